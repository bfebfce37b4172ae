//! Training steps: the relative gradient of every layer, fed to Adam or taken as it is.

use alloc::vec::Vec;

use detfree_core::{
    Adam, Affine, Allocate, Backend, DenseRelative, Error, Fill, FlowBackend, RelativeGradient,
    Shape, Side,
};

use super::{FlowTape, RelativeFlow};

/// What turns relative gradients into steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Optimiser {
    /// Adam on the relative direction (Gresele et al. 2020, section 5).
    Adam,
    /// Plain relative-gradient ascent, guarded so that no weight's path meets a singular matrix;
    /// Σ log|det W| follows every step exactly.
    Sgd,
}

/// What one step saw and did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Mean over the batch of log p without Σ log|det W|, before the step.
    pub log_density: f64,
    /// The exact change of Σ log|det W|, where the optimiser knows it.
    pub log_det_change: Option<f64>,
    /// How often a guarded step was halved.
    pub shrinks: u32,
}

/// Moments of a layer's parameters.
struct Moments<B: Backend> {
    first: Affine<B::Batch>,
    second: Affine<B::Batch>,
}

/// The memory of training: a direction, a linearisation, and the moments.
pub struct OptimiserState<B: Backend> {
    tangent: DenseRelative<B>,
    direction: Affine<B::Batch>,
    /// One per layer with Adam, none without.
    moments: Vec<Moments<B>>,
    step: u64,
    log: Vec<f64>,
}

impl<B: FlowBackend + Allocate> OptimiserState<B> {
    /// Memory for steps of `flow` on batches of `shape`.
    ///
    /// # Errors
    /// The device's.
    pub fn new(
        b: &B,
        flow: &RelativeFlow<B>,
        shape: Shape,
        optimiser: Optimiser,
    ) -> Result<Self, Error<B::Error>> {
        let affine = || -> Result<Affine<B::Batch>, B::Error> {
            let mut weight = b.batch(Shape::new(shape.dim, shape.dim))?;
            let mut bias = b.batch(Shape::new(1, shape.dim))?;
            b.fill(Fill::Constant(0.0), &mut weight)?;
            b.fill(Fill::Constant(0.0), &mut bias)?;
            Ok(Affine { weight, bias })
        };
        let mut moments = Vec::new();
        if optimiser == Optimiser::Adam {
            for _ in 0..flow.depth() {
                moments.push(Moments {
                    first: affine()?,
                    second: affine()?,
                });
            }
        }
        Ok(Self {
            tangent: DenseRelative::allocate(b, shape.rows, shape.dim)?,
            direction: affine()?,
            moments,
            step: 0,
            log: alloc::vec![0.0; shape.rows],
        })
    }

    /// One ascent step of the mean log-likelihood over a batch of row-major `rows`.
    ///
    /// # Errors
    /// [`Error::Shape`] where the buffers do not fit; [`Error::Singular`] where a guarded step of
    /// no size is safe; the device's.
    pub fn step(
        &mut self,
        b: &B,
        flow: &mut RelativeFlow<B>,
        tape: &mut FlowTape<B>,
        rows: &[B::Scalar],
        learning_rate: f64,
    ) -> Result<StepReport, Error<B::Error>> {
        tape.forward(b, flow, rows, &mut self.log)?;
        self.step += 1;
        let adam = Adam::new(learning_rate, self.step);
        let mut report = StepReport {
            log_density: self.log.iter().sum::<f64>() / self.log.len() as f64,
            log_det_change: self.moments.is_empty().then_some(0.0),
            shrinks: 0,
        };
        for l in (0..flow.depth()).rev() {
            // δ below needs this layer's weight from before its step.
            tape.backward(b, flow, l)?;
            let (Some(layer), Some(y)) = (flow.layers.get_mut(l), tape.layers.get(l)) else {
                continue;
            };
            self.tangent
                .linearise(b, Side::Plain, layer, &tape.delta, &y.y)?;
            if let Some(Moments { first, second }) = self.moments.get_mut(l) {
                self.tangent.direction(b, layer, &mut self.direction)?;
                let Affine { weight, bias } = &self.direction;
                b.adam(
                    &adam,
                    weight,
                    &mut first.weight,
                    &mut second.weight,
                    &mut layer.weight,
                )?;
                b.adam(
                    &adam,
                    bias,
                    &mut first.bias,
                    &mut second.bias,
                    &mut layer.bias,
                )?;
            } else {
                let Some(safe) = self.tangent.guard(b, learning_rate)? else {
                    return Err(Error::Singular);
                };
                self.tangent.step(b, safe.mu, layer, None)?;
                report.shrinks += safe.shrinks;
                report.log_det_change = report.log_det_change.map(|sum| sum + safe.log_det_change);
            }
            core::mem::swap(&mut tape.delta, &mut tape.delta_below);
        }
        Ok(report)
    }
}
