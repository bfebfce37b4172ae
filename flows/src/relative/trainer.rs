//! Training of a flow by relative gradients.

use alloc::string::ToString;
use alloc::vec::Vec;

use core::fmt;
use core::ops::RangeInclusive;

use detfree_core::{Affine, Allocate, Backend, Error, FlowBackend, Shape, Side};

use super::clip::Clip;
use super::last_layer::LastLayer;
use super::shards::directions;
use super::{Evaluator, FlowTape, Optimiser, OptimiserState, RelativeFlow, ShardedGradient};
use crate::fit::{State, StepReport, Trainer, Validation, check_batch, check_rate, or_none};
use crate::norm::check_clip;

/// Dimensions in which a step is quicker in shards of its rows, a thread's each, than with threads that
/// share its products, or with one thread: below, a thread is hardly woken up before it is done. Of batches
/// of 100 rows on two threads, by 1.3 times at D = 100, and as quick at 64 and 200
/// (`relative-gradient --dim 100 --shards 2 adam` in `benches/`).
const SHARDED: RangeInclusive<usize> = 80..=160;

/// How a relative flow is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RelativeTraining {
    /// What makes steps of gradients.
    pub optimiser: Optimiser,
    /// The side of every layer on which the group of the relative gradient acts.
    pub side: Side,
    /// Directions are cut to this Euclidean length of (ΔW_l, Δb_l) over all layers. They are then written
    /// out before the step, and SGD computes them twice.
    pub clip: Option<f64>,
    /// Threads at hand, among which the rows of a batch are shared out where that is quicker. Their number
    /// then decides how sums over rows are rounded.
    pub workers: usize,
}

impl Default for RelativeTraining {
    /// Adam on one thread, with nothing cut.
    fn default() -> Self {
        Self {
            optimiser: Optimiser::Adam,
            side: Side::Plain,
            clip: None,
            workers: 1,
        }
    }
}

/// A flow with all that training by the relative gradient needs.
pub struct RelativeTrainer<B: Backend> {
    current: RelativeFlow<B>,
    tape: FlowTape<B>,
    state: OptimiserState<B>,
    gradient: Gradient<B>,
    clip: Option<Clip<B>>,
    training: RelativeTraining,
    evaluator: Evaluator<B>,
    best: RelativeFlow<B>,
    last_layer: Option<LastLayer<B>>,
}

/// Where the directions of a step are.
enum Gradient<B: Backend> {
    /// Nowhere: every layer's is made within its step.
    Fused,
    /// The mean of those of shards.
    Sharded(ShardedGradient<B>),
    /// Written out.
    Whole(Vec<Affine<B::Batch>>),
}

impl<B: FlowBackend + Allocate> RelativeTrainer<B> {
    /// For steps on batches of `shape`.
    ///
    /// # Errors
    /// [`Error::Singular`] where a weight to be tracked is; [`Error::Invalid`] for a `clip` that is not above 0,
    /// a momentum's decay outside of [0, 1), or batches without rows; [`Error::Shape`] where `shape` has rows of
    /// another length than the flow; the device's.
    pub fn new(
        b: &B,
        flow: RelativeFlow<B>,
        shape: Shape,
        training: RelativeTraining,
    ) -> Result<Self, Error<B::Error>> {
        let RelativeTraining {
            optimiser,
            side,
            clip,
            workers,
        } = training;
        check_clip(clip)?;
        check_batch(shape, flow.dim(b))?;
        // What is followed exactly needs the factors of the whole batch.
        let followed = optimiser == Optimiser::Sgd;
        let gradient = if workers > 1 && SHARDED.contains(&shape.dim) && !followed {
            Gradient::Sharded(ShardedGradient::new(b, &flow, shape, side, workers)?)
        } else if clip.is_some() {
            Gradient::Whole(directions(b, &flow, shape.dim)?)
        } else {
            Gradient::Fused
        };
        let clip = clip.map(|limit| Clip::new(b, limit, shape.dim));
        Ok(Self {
            tape: FlowTape::new(b, &flow, shape, side)?,
            state: OptimiserState::new(b, &flow, shape, optimiser, side)?,
            gradient,
            clip: clip.transpose()?,
            training,
            evaluator: Evaluator::new(b, &flow, shape.dim)?,
            best: flow.duplicate(b)?,
            current: flow,
            last_layer: None,
        })
    }
}

impl<B: Backend> RelativeTrainer<B> {
    /// The flow with the weights that were kept last; the initial ones before any.
    #[must_use]
    pub const fn flow(&self) -> &RelativeFlow<B> {
        &self.best
    }
}

impl<B: Backend> fmt::Debug for RelativeTrainer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelativeTrainer")
            .field("depth", &self.current.depth())
            .field("activation", &self.current.activation)
            .field("base", &self.current.base)
            .field("training", &self.training)
            .finish_non_exhaustive()
    }
}

impl<B: FlowBackend + Allocate + Sync> Trainer<B> for RelativeTrainer<B> {
    fn step(
        &mut self,
        b: &B,
        batch: &[B::Scalar],
        rate: f64,
    ) -> Result<StepReport, Error<B::Error>> {
        check_rate(rate)?;
        let (flow, tape, state) = (&mut self.current, &mut self.tape, &mut self.state);
        let (log_density, directions) = match &mut self.gradient {
            Gradient::Fused => return state.step(b, flow, tape, batch, rate),
            Gradient::Sharded(sharded) => {
                let log_density = sharded.compute(b, flow, batch)?;
                (log_density, sharded.directions_mut())
            }
            Gradient::Whole(directions) => {
                let log_density = state.gradient(b, flow, tape, batch, directions)?;
                (log_density, directions.as_mut_slice())
            }
        };
        let report = StepReport {
            log_density,
            ..StepReport::default()
        };
        if let Some(clip) = &mut self.clip {
            let Some(factor) = clip.factor(b, directions)? else {
                // Nothing is stepped: the weights stay those of the last sound step.
                return Ok(StepReport {
                    log_density: f64::NAN,
                    ..report
                });
            };
            if self.training.optimiser == Optimiser::Sgd {
                return state.step(b, flow, tape, batch, factor * rate);
            }
            if factor < 1.0 {
                clip.scale(b, factor, directions)?;
            }
        }
        state.ascend(b, flow, directions, rate)?;
        Ok(report)
    }

    fn validate(&mut self, b: &B, rows: &[B::Scalar]) -> Result<Validation, Error<B::Error>> {
        Ok(Validation {
            mean: self.evaluator.mean(b, &self.current, rows)?,
            standard_error: 0.0,
            drift: self.state.refresh(b, &self.current)?,
        })
    }

    fn keep(&mut self, b: &B) -> Result<(), B::Error> {
        self.best.copy_from(b, &self.current)
    }

    fn review(&mut self, b: &B, batch: &[B::Scalar]) -> Result<bool, Error<B::Error>> {
        if self.last_layer.is_none() {
            let dim = b.shape(&self.tape.input).dim;
            self.last_layer = LastLayer::of(b, &self.best, dim)?;
        }
        let Some(last_layer) = &mut self.last_layer else {
            return Ok(false);
        };
        last_layer.add(b, &self.best, &mut self.tape, batch)?;
        Ok(true)
    }

    fn conclude(
        &mut self,
        b: &B,
        validation: &[B::Scalar],
        figure: f64,
    ) -> Result<Option<f64>, Error<B::Error>> {
        let (Some(last_layer), Some(layer)) = (self.last_layer.take(), self.best.layers.last_mut())
        else {
            return Ok(None);
        };
        let Some(best) = last_layer.best(b, layer)? else {
            return Ok(None);
        };
        let before = core::mem::replace(layer, best);
        let gained = match self.evaluator.mean(b, &self.best, validation) {
            Ok(mean) => Ok((mean > figure).then_some(mean)),
            Err(Error::Singular) => Ok(None),
            Err(error) => Err(error),
        };
        if let (Ok(None) | Err(_), Some(layer)) = (&gained, self.best.layers.last_mut()) {
            *layer = before;
        }
        gained
    }

    fn visit<E>(&mut self, mut visit: impl FnMut(State<'_, B>) -> Result<(), E>) -> Result<(), E> {
        let RelativeFlow {
            activation, base, ..
        } = self.current;
        visit(State::Setting("activation", activation.to_string()))?;
        visit(State::Setting("base density", base.name().into()))?;
        // The mean of shards rounds otherwise than that of all rows.
        let shards = match &self.gradient {
            Gradient::Sharded(sharded) => sharded.count(),
            Gradient::Fused | Gradient::Whole(_) => 1,
        };
        visit(State::Setting("number of shards", shards.to_string()))?;
        for Affine { weight, bias } in self.current.layers.iter_mut().chain(&mut self.best.layers) {
            visit(State::Batch(weight))?;
            visit(State::Batch(bias))?;
        }
        self.state.visit(&mut visit)?;
        visit(State::Setting("clip", or_none(self.training.clip)))
    }
}
