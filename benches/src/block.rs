//! One residual block's log-determinant with its gradient, on as many shards as wanted.

use std::ops::Range;

use detfree::flows::mlp::{Mlp, MlpGradient, MlpTape, TraceTape};
use detfree::{
    Activation, Affine, Allocate, DenseBackend, Draw, Error, FlowBackend, Key, LogDet, Scalar,
    Shape, Workspace,
};

use crate::problem;

/// What residual flows have between layers; its sharpness is learned.
pub const ACTIVATION: Activation = Activation::LipSwish { beta: 1.0 };

/// A net, and the rows of a batch in shards.
pub struct Block<B: DenseBackend> {
    net: Mlp<B>,
    shards: Vec<Shard<B>>,
}

/// Some rows with all that they need.
struct Shard<B: DenseBackend> {
    rows: Range<usize>,
    x: B::Batch,
    /// g(x)
    out: B::Batch,
    tape: MlpTape<B>,
    trace: Option<TraceTape<B>>,
    workspace: Workspace<B>,
    value: B::Rows,
    gradient: MlpGradient<B>,
    outcome: Result<(), Error<B::Error>>,
}

/// What two programs that compute the same agree on.
pub struct Sums {
    /// Σ_r of the estimates.
    pub value: f64,
    /// Σ (‖ΔW‖² + ‖Δb‖²) of every layer, then ‖Δx‖², then the squares of the derivatives with
    /// respect to the sharpnesses' logarithms.
    pub squares: Vec<f64>,
}

impl<B: FlowBackend + Allocate + Sync> Block<B> {
    /// The net of [`problem::net`] on the data of [`problem::rows`].
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than three widths; with an exact first trace, for a net that has none
    /// in closed form; the device's.
    pub fn new(
        b: &B,
        widths: &[usize],
        rows: usize,
        shards: usize,
        exact_first: bool,
    ) -> Result<Self, Error<B::Error>> {
        let mut net = Mlp::random(b, widths, ACTIVATION, 1.0, Key::new(0))?;
        let scalars = |x: &[f64]| -> Vec<B::Scalar> {
            let scalars = x.iter().map(|&x| Scalar::from_f64(x));
            scalars.collect()
        };
        for (layer, host) in net.layers_mut().iter_mut().zip(problem::net(widths)) {
            let Affine { weight, bias } = host;
            b.upload(&scalars(&weight), &mut layer.weight)?;
            b.upload(&scalars(&bias), &mut layer.bias)?;
        }
        let dim = widths[0];
        let data = problem::rows::<B::Scalar>(rows, dim);
        let shard = |i| {
            let rows = rows * i / shards..rows * (i + 1) / shards;
            let shape = Shape::new(rows.len(), dim);
            let mut x = b.batch(shape)?;
            b.upload(&data[rows.start * dim..rows.end * dim], &mut x)?;
            Ok(Shard {
                x,
                out: b.batch(shape)?,
                tape: MlpTape::new(b, &net, shape.rows)?,
                trace: match exact_first {
                    true => Some(TraceTape::new(b, &net)?),
                    false => None,
                },
                workspace: Workspace::allocate(b, shape)?,
                value: b.rows(shape.rows)?,
                gradient: MlpGradient::zeros(b, &net, shape.rows)?,
                rows,
                outcome: Ok(()),
            })
        };
        Ok(Self {
            shards: (0..shards).map(shard).collect::<Result<_, Error<_>>>()?,
            net,
        })
    }

    /// The value of every row, linearisation included.
    ///
    /// # Errors
    /// The device's.
    pub fn value(&mut self, b: &B, estimator: LogDet, key: Key) -> Result<(), Error<B::Error>> {
        self.each(b, key, |b, net, shard, draw| {
            let Shard {
                x,
                out,
                tape,
                trace,
                workspace,
                value,
                ..
            } = shard;
            let mut op = tape.linearise(b, net, x, out)?;
            match trace {
                None => estimator.value(b, &mut op, &draw, workspace, value)?,
                Some(trace) => {
                    trace.refresh(b, net)?;
                    let (estimator, mut op) = (estimator.with_exact_first(), op.with_trace(trace));
                    estimator.value(b, &mut op, &draw, workspace, value)?
                }
            };
            Ok(())
        })
    }

    /// The same, and the gradient of their sum with respect to parameters and input.
    ///
    /// # Errors
    /// The device's.
    pub fn gradient(&mut self, b: &B, estimator: LogDet, key: Key) -> Result<(), Error<B::Error>> {
        self.each(b, key, |b, net, shard, draw| {
            let Shard {
                x,
                out,
                tape,
                trace,
                workspace,
                value,
                gradient,
                ..
            } = shard;
            gradient.clear(b)?;
            let mut op = tape.linearise(b, net, x, out)?;
            match trace {
                None => estimator
                    .value_and_gradient(b, &mut op, &draw, None, workspace, value, gradient)?,
                Some(trace) => {
                    trace.refresh(b, net)?;
                    let (estimator, mut op) = (estimator.with_exact_first(), op.with_trace(trace));
                    estimator
                        .value_and_gradient(b, &mut op, &draw, None, workspace, value, gradient)?
                }
            };
            Ok(())
        })?;
        if let Some((first, rest)) = self.shards.split_first_mut() {
            for shard in rest {
                let layers = shard.gradient.layers.iter();
                for (sum, x) in first.gradient.layers.iter_mut().zip(layers) {
                    b.axpy(0..b.shape(&x.weight).rows, 1.0, &x.weight, &mut sum.weight)?;
                    b.axpy(0..1, 1.0, &x.bias, &mut sum.bias)?;
                }
            }
        }
        Ok(())
    }

    fn each(
        &mut self,
        b: &B,
        key: Key,
        work: impl Fn(&B, &Mlp<B>, &mut Shard<B>, Draw) -> Result<(), Error<B::Error>> + Sync,
    ) -> Result<(), Error<B::Error>>
    where
        B::Error: Send,
    {
        let run = |b: &B, shard: &mut Shard<B>| {
            let draw = Draw::new(key).at_row(shard.rows.start as u64);
            shard.outcome = work(b, &self.net, shard, draw);
            Ok(())
        };
        if let [shard] = self.shards.as_mut_slice() {
            // Threads share the products.
            b.together(usize::MAX, |b| run(b, shard))?;
        } else {
            b.each_shard(&mut self.shards, run)?;
        }
        let mut shards = self.shards.iter_mut();
        shards.try_for_each(|shard| std::mem::replace(&mut shard.outcome, Ok(())))
    }

    /// Of the last gradient.
    ///
    /// # Errors
    /// The device's.
    pub fn sums(&self, b: &B) -> Result<Sums, B::Error> {
        let rows = |rows: &B::Rows| -> Result<f64, B::Error> {
            let mut host = vec![0.0; b.row_count(rows)];
            b.download_rows(rows, &mut host)?;
            Ok(host.iter().sum())
        };
        let (mut value, mut input) = (0.0, 0.0);
        let mut sharpness = vec![0.0; self.net.activations().len()];
        for shard in &self.shards {
            value += rows(&shard.value)?;
            input += problem::squares(b, &shard.gradient.input)?;
            for (sum, x) in sharpness.iter_mut().zip(&shard.gradient.sharpness) {
                *sum += x.as_ref().map_or(Ok(0.0), &rows)?;
            }
        }
        let mut squares = Vec::new();
        for layer in self.shards.iter().take(1).flat_map(|s| &s.gradient.layers) {
            squares.push(problem::square(b, std::slice::from_ref(layer))?);
        }
        squares.push(input);
        squares.push(sharpness.iter().map(|x| x * x).sum());
        Ok(Sums { value, squares })
    }
}
