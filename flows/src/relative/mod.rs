//! Flows of unconstrained square layers, trained by the relative gradient.

mod clip;
mod evaluate;
mod init;
mod inverse;
mod last_layer;
mod optimiser;
mod parameters;
mod shards;
mod tape;
mod trainer;

use alloc::vec::Vec;

use detfree_core::{
    Activation, Affine, Allocate, Backend, BaseDensity, Error, FlowBackend, Key, Scalar, Shape,
};

pub use crate::fit::{Drift, StepReport};
pub use evaluate::Evaluator;
use init::standardised;
pub use inverse::{Conditioning, InversionError};
pub use optimiser::{Optimiser, OptimiserState};
pub use parameters::RelativeParameters;
pub use shards::ShardedGradient;
pub use tape::FlowTape;
pub use trainer::{RelativeTrainer, RelativeTraining};

use crate::transfer::{download, upload};

/// z₀ = x, y_l = W_l z_{l−1} + b_l, z_l = σ(y_l) for l < L, and z_L = y_L; the density is
///
/// log p(x) = log p₀(z_L) + Σ_l log|det W_l| + Σ_{l<L} Σ_j log σ'(y_lj)
///
/// (Gresele et al. 2020, section 4). The weights are square and otherwise unconstrained.
///
/// ```
/// use detfree_core::{reference::Heap, Activation, BaseDensity, Key};
/// use detfree_flows::relative::{Evaluator, RelativeFlow};
/// let b = Heap::<f64>::new();
/// let sigma = Activation::LeakySoftplus { alpha: 0.3 };
/// let flow = RelativeFlow::random(&b, 2, 3, sigma, BaseDensity::Normal, Key::new(1)).unwrap();
/// let mut log_density = Vec::new();
/// let mut evaluator = Evaluator::new(&b, &flow, 2).unwrap();
/// evaluator.log_density(&b, &flow, &[0.5, -0.5, 9.0, 9.0], &mut log_density).unwrap();
/// assert!(log_density[0] > log_density[1]);
/// ```
#[derive(Debug)]
pub struct RelativeFlow<B: Backend> {
    pub(crate) layers: Vec<Affine<B::Batch>>,
    pub(crate) activation: Activation,
    pub(crate) base: BaseDensity,
}

impl<B: FlowBackend + Allocate> RelativeFlow<B> {
    /// A flow of `depth` layers with random weights through which standardised data stays
    /// standardised, so that a hundred layers are as well conditioned as one.
    ///
    /// # Errors
    /// [`Error::Invalid`] without dimensions or layers, for an activation that is no
    /// [bijection](Activation::is_bijection) of ℝ or has parameters that it cannot have; the device's.
    pub fn random(
        b: &B,
        dim: usize,
        depth: usize,
        activation: Activation,
        base: BaseDensity,
        key: Key,
    ) -> Result<Self, Error<B::Error>> {
        check_activation(activation)?;
        let layers = standardised(dim, depth, activation, key);
        Self::from_layers(b, dim, &layers, activation, base)
    }

    /// A flow from host weights: row-major [dim, dim] matrices and biases.
    ///
    /// # Errors
    /// [`Error::Shape`] where a weight or a bias has another size; [`Error::Invalid`] as for
    /// [`Self::random`], and for numbers that are not finite in the backend's precision; the device's.
    pub fn from_layers(
        b: &B,
        dim: usize,
        host: &[Affine<Vec<f64>>],
        activation: Activation,
        base: BaseDensity,
    ) -> Result<Self, Error<B::Error>> {
        check_activation(activation)?;
        if dim == 0 || host.is_empty() {
            return Err(Error::Invalid(
                "a flow has at least one dimension and one layer",
            ));
        }
        let put = |what, values: &[f64], shape: Shape| -> Result<B::Batch, Error<B::Error>> {
            Error::check_numbers(what, shape, values.len())?;
            let finite = |&x: &f64| B::Scalar::from_f64(x).to_f64().is_finite();
            if !values.iter().all(finite) {
                return Err(Error::Invalid(
                    "a weight or bias of a layer is not finite in this precision: \
                     give finite numbers, or use double precision for very large ones",
                ));
            }
            Ok(upload(b, values, shape)?)
        };
        let mut layers = Vec::new();
        for Affine { weight, bias } in host {
            layers.push(Affine {
                weight: put("a weight", weight, Shape::new(dim, dim))?,
                bias: put("a bias", bias, Shape::new(1, dim))?,
            });
        }
        Ok(Self {
            layers,
            activation,
            base,
        })
    }

    /// The weights and biases on the host, layer by layer.
    ///
    /// # Errors
    /// The device's.
    pub fn to_layers(&self, b: &B) -> Result<Vec<Affine<Vec<f64>>>, B::Error> {
        self.layers
            .iter()
            .map(|layer| {
                Ok(Affine {
                    weight: download(b, &layer.weight)?,
                    bias: download(b, &layer.bias)?,
                })
            })
            .collect()
    }

    /// Copies the weights and biases of a flow of the same shape.
    ///
    /// # Errors
    /// The device's.
    pub(crate) fn copy_from(&mut self, b: &B, other: &Self) -> Result<(), B::Error> {
        for (to, from) in self.layers.iter_mut().zip(&other.layers) {
            b.copy(&from.weight, &mut to.weight)?;
            b.copy(&from.bias, &mut to.bias)?;
        }
        Ok(())
    }

    /// A copy with memory of its own.
    ///
    /// # Errors
    /// The device's.
    pub fn duplicate(&self, b: &B) -> Result<Self, B::Error> {
        let mut layers = Vec::new();
        for Affine { weight, bias } in &self.layers {
            layers.push(Affine {
                weight: b.batch(b.shape(weight))?,
                bias: b.batch(b.shape(bias))?,
            });
        }
        let mut copy = Self { layers, ..*self };
        copy.copy_from(b, self)?;
        Ok(copy)
    }

    /// Σ_l log|det W_l| by LU, O(LD³): once per evaluation.
    ///
    /// # Errors
    /// [`Error::Singular`] where a weight is; the device's.
    pub fn log_abs_det(&self, b: &B) -> Result<f64, Error<B::Error>> {
        let mut sum = 0.0;
        let Some(first) = self.layers.first() else {
            return Ok(sum);
        };
        let mut scratch = b.batch(b.shape(&first.weight))?;
        for layer in &self.layers {
            b.copy(&layer.weight, &mut scratch)?;
            let (sign, log) = b.log_abs_det(&mut scratch)?;
            if sign == 0.0 {
                return Err(Error::Singular);
            }
            sum += log;
        }
        Ok(sum)
    }
}

impl<B: Backend> RelativeFlow<B> {
    /// The number of layers.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// The activation between layers.
    #[must_use]
    pub const fn activation(&self) -> Activation {
        self.activation
    }

    /// The base density.
    #[must_use]
    pub const fn base(&self) -> BaseDensity {
        self.base
    }

    fn dim(&self, b: &B) -> usize {
        self.layers
            .first()
            .map_or(0, |layer| b.shape(&layer.bias).dim)
    }

    /// The activation behind layer `l`: none behind the last.
    pub(crate) fn activation_behind(&self, l: usize) -> Activation {
        if l + 1 == self.layers.len() {
            Activation::Identity
        } else {
            self.activation
        }
    }
}

/// Refuses what would make densities that are none.
fn check_activation<E>(activation: Activation) -> Result<(), Error<E>> {
    if !activation.is_bijection() {
        return Err(Error::Invalid(
            "an activation between layers must map ℝ onto ℝ, one to one: \
             use a leaky softplus, tanh plus linear or the identity",
        ));
    }
    activation.check().map_err(Error::Invalid)
}
