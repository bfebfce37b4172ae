//! Multilayer perceptrons as operators: products with their Jacobian, its bilinear gradient, and
//! its first trace in closed form.

mod first_trace;
mod tape;

use alloc::vec::Vec;
use core::ops::Range;

use detfree_core::{
    Activation, Affine, Allocate, Backend, DenseBackend, Error, Fill, Key, Shape, Store,
};

pub use first_trace::{TraceTape, TracedMlp};
pub use tape::{MlpOperator, MlpTape};

/// g(x) = W_L σ(… σ(W₁ x + b₁) …) + b_L: a plain chain, without an activation in front of the
/// first weight or behind the last.
///
/// Its Jacobian is J = W_L D_{L−1} W_{L−1} … D₁ W₁ with D_l = diag σ'(h_l).
///
/// ```
/// use detfree_core::{reference::Heap, Activation, Allocate, Key, Operator, Shape};
/// use detfree_flows::mlp::{Mlp, MlpTape};
/// let b = Heap::<f64>::new();
/// let net = Mlp::random(&b, &[3, 8, 3], Activation::Tanh, 0.5, Key::new(1)).unwrap();
/// let shape = Shape::new(4, 3); // four rows
/// let (x, mut g) = (b.batch(shape).unwrap(), b.batch(shape).unwrap());
/// let mut tape = MlpTape::new(&b, &net, 4).unwrap();
/// let operator = tape.linearise(&b, &net, &x, &mut g).unwrap();
/// assert_eq!(operator.shape(&b), shape);
/// ```
#[derive(Debug)]
pub struct Mlp<B: Backend> {
    pub(crate) layers: Vec<Affine<B::Batch>>,
    /// Behind every layer but the last.
    pub(crate) activations: Vec<Activation>,
}

impl<B: DenseBackend + Allocate> Mlp<B> {
    /// A net of these widths (input, hidden …, output), with weights N(0, gain²/inputs) and
    /// biases N(0, gain²/inputs).
    ///
    /// # Errors
    /// [`Error::Invalid`] without a hidden layer; the device's.
    pub fn random(
        b: &B,
        widths: &[usize],
        activation: Activation,
        gain: f64,
        key: Key,
    ) -> Result<Self, Error<B::Error>> {
        if widths.len() < 3 {
            return Err(Error::Invalid(
                "a net has a hidden layer at least: \
                 give three widths or more, from the input's to the output's",
            ));
        }
        let mut layers = Vec::new();
        for (number, (&inputs, &outputs)) in widths.iter().zip(widths.iter().skip(1)).enumerate() {
            let key = key.fold_in(number as u64);
            let fill = |first_row| Fill::Gaussian {
                key,
                first_row,
                scale: gain / libm::sqrt(inputs as f64),
            };
            let mut layer = Affine {
                weight: b.batch(Shape::new(outputs, inputs))?,
                bias: b.batch(Shape::new(1, outputs))?,
            };
            b.fill(fill(0), &mut layer.weight)?;
            b.fill(fill(outputs as u64), &mut layer.bias)?;
            layers.push(layer);
        }
        let activations = alloc::vec![activation; layers.len() - 1];
        Ok(Self {
            layers,
            activations,
        })
    }
}

impl<B: Backend> Mlp<B> {
    /// The layers, from the input's.
    #[must_use]
    pub fn layers(&self) -> &[Affine<B::Batch>] {
        &self.layers
    }

    /// The layers, from the input's.
    pub fn layers_mut(&mut self) -> &mut [Affine<B::Batch>] {
        &mut self.layers
    }

    /// The activations, one behind every layer but the last.
    #[must_use]
    pub fn activations(&self) -> &[Activation] {
        &self.activations
    }

    /// The activations, one behind every layer but the last.
    pub fn activations_mut(&mut self) -> &mut [Activation] {
        &mut self.activations
    }

    /// The widths: input, hidden …, output.
    pub fn widths(&self, b: &B) -> Vec<usize> {
        let first = self.layers.iter().take(1).map(|l| b.shape(&l.weight).dim);
        let rest = self.layers.iter().map(|l| b.shape(&l.weight).rows);
        first.chain(rest).collect()
    }
}

/// The gradient of a sum over rows with respect to a net's parameters and to each row's input.
#[derive(Debug)]
pub struct MlpGradient<B: Backend> {
    /// One per layer, of its shape.
    pub layers: Vec<Affine<B::Batch>>,
    /// [rows, input dimension].
    pub input: B::Batch,
    /// For every activation that is a [`Activation::LipSwish`]: row by row, the derivative with respect
    /// to log β, of its sharpness β.
    pub sharpness: Vec<Option<B::Rows>>,
    /// Of every layer, whether its weight's gradient counts as zero, whatever is there.
    cleared: Vec<bool>,
}

impl<B: Allocate> MlpGradient<B> {
    /// A zero gradient for batches of `rows` rows.
    ///
    /// # Errors
    /// The device's.
    pub fn zeros(b: &B, net: &Mlp<B>, rows: usize) -> Result<Self, B::Error> {
        let zeros = |shape| -> Result<B::Batch, B::Error> {
            let mut zeros = b.batch(shape)?;
            b.fill(Fill::Constant(0.0), &mut zeros)?;
            Ok(zeros)
        };
        let mut layers = Vec::new();
        for layer in &net.layers {
            layers.push(Affine {
                weight: zeros(b.shape(&layer.weight))?,
                bias: zeros(b.shape(&layer.bias))?,
            });
        }
        let mut sharpness = Vec::new();
        for activation in &net.activations {
            let learned = matches!(activation, Activation::LipSwish { .. });
            let mut derivatives = learned.then(|| b.rows(rows)).transpose()?;
            if let Some(derivatives) = &mut derivatives {
                b.fill_rows(0.0, derivatives)?;
            }
            sharpness.push(derivatives);
        }
        let dim = net.layers.first().map_or(0, |l| b.shape(&l.weight).dim);
        Ok(Self {
            cleared: layers.iter().map(|_| false).collect(),
            layers,
            input: zeros(Shape::new(rows, dim))?,
            sharpness,
        })
    }
}

impl<B: Backend> MlpGradient<B> {
    /// gradient ← 0, though those of weights are not touched before they are needed: they are complete after
    /// [`finish`](detfree_core::BilinearGradient::finish), as ever.
    ///
    /// # Errors
    /// The device's.
    pub fn clear(&mut self, b: &B) -> Result<(), B::Error> {
        self.cleared.fill(true);
        for Affine { bias, .. } in &mut self.layers {
            b.fill(Fill::Constant(0.0), bias)?;
        }
        for derivatives in self.sharpness.iter_mut().flatten() {
            b.fill_rows(0.0, derivatives)?;
        }
        b.fill(Fill::Constant(0.0), &mut self.input)
    }

    /// Zeros, where nothing has been added to a weight's gradient since it was cleared.
    fn settle(&mut self, b: &B) -> Result<(), B::Error> {
        for (layer, cleared) in self.layers.iter_mut().zip(&mut self.cleared) {
            if core::mem::take(cleared) {
                b.fill(Fill::Constant(0.0), &mut layer.weight)?;
            }
        }
        Ok(())
    }
}

/// Adds Σ_r s_r v_rᵀ to the gradient of a weight, which may count as zero.
fn add_outer<B: DenseBackend>(
    b: &B,
    rows: Range<usize>,
    [s, v]: [&B::Batch; 2],
    (sum, cleared): (&mut B::Batch, &mut bool),
) -> Result<(), B::Error> {
    let store = if core::mem::take(cleared) {
        Store::Set
    } else {
        Store::Add
    };
    b.outer(rows, 1.0, s, v, store, sum)
}
