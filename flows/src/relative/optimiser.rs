//! Training steps: the relative gradient of every layer, fed to an optimiser.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;

use detfree_core::{
    Adam, Affine, Allocate, Backend, DenseRelative, Error, Fill, FlowBackend, Shape, Side, Store,
};

use super::{Drift, FlowTape, RelativeFlow, StepReport};
use crate::fit::State;
use crate::tracking::Tracking;

/// What turns relative gradients into steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimiser {
    /// Adam on the relative direction (Gresele et al. 2020, section 5).
    Adam,
    /// Ascent along v ← decay · v + Δ, the heavy ball of Polyak (1964); decay in [0, 1).
    Momentum {
        /// How much of the last step remains.
        decay: f64,
    },
    /// Plain relative-gradient ascent, guarded so that no weight's path meets a singular matrix;
    /// log|det W| and W⁻¹ of every layer follow every step exactly.
    Sgd,
}

/// `adam`, `momentum:0.9` with its decay, or `sgd`.
impl fmt::Display for Optimiser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Adam => f.write_str("adam"),
            Self::Momentum { decay } => write!(f, "momentum:{decay}"),
            Self::Sgd => f.write_str("sgd"),
        }
    }
}

/// What an optimiser remembers of a layer.
enum Memory<B: Backend> {
    Adam {
        first: Affine<B::Batch>,
        second: Affine<B::Batch>,
    },
    Momentum {
        velocity: Affine<B::Batch>,
        /// The factor of every row of the velocity: of the weight's, and of the bias's one.
        decay: Affine<B::Rows>,
    },
    Tracked(Tracking<B>),
}

/// The memory of training: a linearisation, and what the optimiser remembers of every layer.
pub struct OptimiserState<B: Backend> {
    optimiser: Optimiser,
    side: Side,
    tangent: DenseRelative<B>,
    layers: Vec<Memory<B>>,
    /// ΔW, or what [`FlowBackend::relative_adam`] needs instead of it; a single number where the
    /// optimiser needs neither.
    scratch: B::Batch,
    step: u64,
    log: Vec<f64>,
}

impl<B: FlowBackend + Allocate> OptimiserState<B> {
    /// Memory for steps of `flow` on batches of `shape`, along the relative gradient of a group
    /// that acts on `side` of every layer.
    ///
    /// # Errors
    /// [`Error::Singular`] where a weight to be tracked is; [`Error::Invalid`] for a momentum's decay outside of
    /// [0, 1); the device's.
    pub fn new(
        b: &B,
        flow: &RelativeFlow<B>,
        shape: Shape,
        optimiser: Optimiser,
        side: Side,
    ) -> Result<Self, Error<B::Error>> {
        if let Optimiser::Momentum { decay } = optimiser
            && !(0.0..1.0).contains(&decay)
        {
            return Err(Error::Invalid(
                "the decay of momentum is at least 0 and below 1: try 0.9",
            ));
        }
        let dim = shape.dim;
        let zeros = || -> Result<Affine<B::Batch>, B::Error> {
            let mut weight = b.batch(Shape::new(dim, dim))?;
            let mut bias = b.batch(Shape::new(1, dim))?;
            b.fill(Fill::Constant(0.0), &mut weight)?;
            b.fill(Fill::Constant(0.0), &mut bias)?;
            Ok(Affine { weight, bias })
        };
        let mut layers = Vec::new();
        for layer in &flow.layers {
            layers.push(match optimiser {
                Optimiser::Adam => Memory::Adam {
                    first: zeros()?,
                    second: zeros()?,
                },
                Optimiser::Momentum { decay } => {
                    let factors = |rows| -> Result<B::Rows, B::Error> {
                        let mut factors = b.rows(rows)?;
                        b.fill_rows(decay, &mut factors)?;
                        Ok(factors)
                    };
                    Memory::Momentum {
                        velocity: zeros()?,
                        decay: Affine {
                            weight: factors(dim)?,
                            bias: factors(1)?,
                        },
                    }
                }
                Optimiser::Sgd => Memory::Tracked(Tracking::start(b, &layer.weight)?),
            });
        }
        let tangent = DenseRelative::allocate(b, shape.rows, dim)?;
        let scratch = b.batch(match (optimiser, tangent.weight_factors(b)) {
            (Optimiser::Sgd, _) | (Optimiser::Momentum { .. }, Some(_)) => Shape::new(1, 1),
            (Optimiser::Adam, Some(_)) => b.relative_adam_scratch(dim),
            (_, None) => Shape::new(dim, dim),
        })?;
        Ok(Self {
            optimiser,
            side,
            tangent,
            layers,
            scratch,
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
        b.together(tape.work(b), |b| {
            self.take_step(b, flow, tape, rows, learning_rate)
        })
    }

    fn take_step(
        &mut self,
        b: &B,
        flow: &mut RelativeFlow<B>,
        tape: &mut FlowTape<B>,
        rows: &[B::Scalar],
        learning_rate: f64,
    ) -> Result<StepReport, Error<B::Error>> {
        let log_det = self.log_abs_det();
        match log_det {
            Some(_) => tape.forward(b, flow, rows, &mut self.log)?,
            None => tape.forward_to_base(b, flow, rows, &mut self.log)?,
        }
        let log_density = self.mean_log();
        let mut report = StepReport {
            log_density,
            log_likelihood: log_det.map(|log_det| log_density + log_det),
            log_det_change: log_det.map(|_| 0.0),
            shrinks: 0,
            products: 0,
        };
        self.step += 1;
        let adam = Adam::new(learning_rate, self.step);
        for l in (0..flow.depth()).rev() {
            tape.backward(b, flow, l, self.side, &mut self.tangent)?;
            let (Some(layer), Some(memory)) = (flow.layers.get_mut(l), self.layers.get_mut(l))
            else {
                continue;
            };
            match memory {
                Memory::Adam { first, second } => {
                    let mean = 1.0 / self.log.len() as f64;
                    let (m, v, w) = (&mut first.weight, &mut second.weight, &mut layer.weight);
                    let scratch = &mut self.scratch;
                    if let Some((left, right)) = self.tangent.weight_factors(b) {
                        b.relative_adam(&adam, mean, left, right, scratch, m, v, w)?;
                    } else {
                        self.tangent.weight_direction(b, w, scratch)?;
                        b.adam(&adam, scratch, m, v, w)?;
                    }
                    b.adam(
                        &adam,
                        self.tangent.bias_direction(),
                        &mut first.bias,
                        &mut second.bias,
                        &mut layer.bias,
                    )?;
                }
                Memory::Momentum { velocity, decay } => {
                    let Affine { weight, bias } = velocity;
                    let (batch, all) = (0..self.log.len(), 0..b.shape(weight).rows);
                    b.scale_rows(&decay.weight, weight)?;
                    if let Some((left, right)) = self.tangent.weight_factors(b) {
                        let mean = 1.0 / batch.len() as f64;
                        b.axpy(all.clone(), 1.0, &layer.weight, weight)?;
                        b.outer(batch, mean, left, right, Store::Add, weight)?;
                    } else {
                        let direction = &mut self.scratch;
                        self.tangent.weight_direction(b, &layer.weight, direction)?;
                        b.axpy(all.clone(), 1.0, direction, weight)?;
                    }
                    b.scale_rows(&decay.bias, bias)?;
                    b.axpy(0..1, 1.0, self.tangent.bias_direction(), bias)?;
                    b.axpy(all, learning_rate, weight, &mut layer.weight)?;
                    b.axpy(0..1, learning_rate, bias, &mut layer.bias)?;
                }
                Memory::Tracked(tracking) => {
                    let (change, shrinks) =
                        tracking.step(b, &mut self.tangent, learning_rate, layer)?;
                    report.shrinks += shrinks;
                    report.log_det_change = report.log_det_change.map(|sum| sum + change);
                }
            }
        }
        Ok(report)
    }

    /// One ascent step along given directions (ΔW_l, Δb_l) of every layer, from the first: those of
    /// [`super::ShardedGradient`]. Layers that are followed exactly stay as they are, for their change is
    /// known by its factors alone.
    ///
    /// # Errors
    /// [`Error::Shape`] where a direction does not fit; the device's.
    pub fn ascend(
        &mut self,
        b: &B,
        flow: &mut RelativeFlow<B>,
        directions: &[Affine<B::Batch>],
        learning_rate: f64,
    ) -> Result<(), Error<B::Error>> {
        self.step += 1;
        let adam = Adam::new(learning_rate, self.step);
        let layers = flow.layers.iter_mut().zip(&mut self.layers);
        for ((layer, memory), direction) in layers.zip(directions) {
            match memory {
                Memory::Adam { first, second } => {
                    let (m, v, w) = (&mut first.weight, &mut second.weight, &mut layer.weight);
                    b.adam(&adam, &direction.weight, m, v, w)?;
                    let (m, v, bias) = (&mut first.bias, &mut second.bias, &mut layer.bias);
                    b.adam(&adam, &direction.bias, m, v, bias)?;
                }
                Memory::Momentum { velocity, decay } => {
                    let all = 0..b.shape(&layer.weight).rows;
                    b.scale_rows(&decay.weight, &mut velocity.weight)?;
                    b.axpy(all.clone(), 1.0, &direction.weight, &mut velocity.weight)?;
                    b.scale_rows(&decay.bias, &mut velocity.bias)?;
                    b.axpy(0..1, 1.0, &direction.bias, &mut velocity.bias)?;
                    b.axpy(all, learning_rate, &velocity.weight, &mut layer.weight)?;
                    b.axpy(0..1, learning_rate, &velocity.bias, &mut layer.bias)?;
                }
                Memory::Tracked(_) => {}
            }
        }
        Ok(())
    }

    /// directions_l ← (ΔW_l, Δb_l), the relative gradient of the mean log-likelihood over a batch of
    /// row-major `rows` at every layer, from the first. The result is the mean of what [`FlowTape`] calls
    /// the base's log-density: not finite where anything before was not.
    ///
    /// # Errors
    /// [`Error::Shape`] where the buffers do not fit; the device's.
    pub fn gradient(
        &mut self,
        b: &B,
        flow: &RelativeFlow<B>,
        tape: &mut FlowTape<B>,
        rows: &[B::Scalar],
        directions: &mut [Affine<B::Batch>],
    ) -> Result<f64, Error<B::Error>> {
        b.together(tape.work(b), |b| {
            tape.forward_to_base(b, flow, rows, &mut self.log)?;
            for (l, (layer, direction)) in flow.layers.iter().zip(directions).enumerate().rev() {
                tape.backward(b, flow, l, self.side, &mut self.tangent)?;
                let Affine { weight, bias } = direction;
                self.tangent.weight_direction(b, &layer.weight, weight)?;
                b.copy(self.tangent.bias_direction(), bias)?;
            }
            Ok(self.mean_log())
        })
    }

    /// Computes log|det W| and W⁻¹ of every layer anew by LU, and reports how far the tracked ones
    /// had drifted; `None` with an optimiser that does not track them.
    ///
    /// # Errors
    /// [`Error::Singular`] where a weight is; the device's.
    pub fn refresh(
        &mut self,
        b: &B,
        flow: &RelativeFlow<B>,
    ) -> Result<Option<Drift>, Error<B::Error>> {
        let mut worst = None;
        for (memory, layer) in self.layers.iter_mut().zip(&flow.layers) {
            if let Memory::Tracked(tracking) = memory {
                let drift = tracking.refresh(b, &layer.weight)?;
                worst = Some(drift.worse(worst.unwrap_or_default()));
            }
        }
        Ok(worst)
    }
}

impl<B: Backend> OptimiserState<B> {
    /// Everything that outlives a step, in a fixed order.
    pub(super) fn visit<E>(
        &mut self,
        mut visit: impl FnMut(State<'_, B>) -> Result<(), E>,
    ) -> Result<(), E> {
        visit(State::Setting("optimiser", self.optimiser.to_string()))?;
        visit(State::Setting("gradient", self.side.name().into()))?;
        visit(State::Count(&mut self.step))?;
        for memory in &mut self.layers {
            match memory {
                Memory::Adam { first, second } => {
                    for Affine { weight, bias } in [first, second] {
                        visit(State::Batch(weight))?;
                        visit(State::Batch(bias))?;
                    }
                }
                Memory::Momentum { velocity, .. } => {
                    visit(State::Batch(&mut velocity.weight))?;
                    visit(State::Batch(&mut velocity.bias))?;
                }
                Memory::Tracked(tracking) => tracking.visit(&mut visit)?,
            }
        }
        Ok(())
    }

    fn mean_log(&self) -> f64 {
        self.log.iter().sum::<f64>() / self.log.len() as f64
    }

    /// Σ_l log|det W_l| as it was followed; `None` with an optimiser that does not.
    #[must_use]
    pub fn log_abs_det(&self) -> Option<f64> {
        let tracked = self.layers.iter().map(|memory| match memory {
            Memory::Tracked(tracking) => Some(tracking.log_abs_det()),
            _ => None,
        });
        tracked.sum()
    }

    /// W_l⁻¹ as it was followed; `None` with an optimiser that does not, or without such a layer.
    #[must_use]
    pub fn inverse(&self, l: usize) -> Option<&B::Batch> {
        match self.layers.get(l)? {
            Memory::Tracked(tracking) => Some(tracking.inverse()),
            _ => None,
        }
    }
}
