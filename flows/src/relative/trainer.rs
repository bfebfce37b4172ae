//! Training of a flow by relative gradients.

use alloc::format;

use core::ops::RangeInclusive;

use detfree_core::{Affine, Allocate, Backend, Error, FlowBackend, Shape, Side};

use super::{Evaluator, FlowTape, Optimiser, OptimiserState, RelativeFlow, ShardedGradient};
use crate::fit::{State, StepReport, Trainer, Validation};

/// Dimensions in which a step is quicker in shards of its rows, a thread's each, than with threads that
/// share its products, or with one thread: below, a thread is hardly woken up before it is done. Of batches
/// of 100 rows on two threads, by 1.3 times at D = 100, and as quick at 64 and 200
/// (`relative-gradient --dim 100 --shards 2 adam` in `benches/`).
const SHARDED: RangeInclusive<usize> = 80..=160;

/// A flow with all that training by the relative gradient needs.
pub struct RelativeTrainer<B: Backend> {
    current: RelativeFlow<B>,
    tape: FlowTape<B>,
    state: OptimiserState<B>,
    sharded: Option<ShardedGradient<B>>,
    evaluator: Evaluator<B>,
    best: RelativeFlow<B>,
}

impl<B: FlowBackend + Allocate> RelativeTrainer<B> {
    /// For steps on batches of `shape`, along the relative gradient of a group that acts on `side`
    /// of every layer.
    ///
    /// # Errors
    /// [`Error::Singular`] where a weight to be tracked is; the device's.
    pub fn new(
        b: &B,
        flow: RelativeFlow<B>,
        shape: Shape,
        optimiser: Optimiser,
        side: Side,
    ) -> Result<Self, Error<B::Error>> {
        Self::with_workers(b, flow, shape, optimiser, side, 1)
    }

    /// The same with so many threads at hand, among which the rows of a batch are shared out where that is
    /// quicker. Their number then decides how sums over rows are rounded.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_workers(
        b: &B,
        flow: RelativeFlow<B>,
        shape: Shape,
        optimiser: Optimiser,
        side: Side,
        workers: usize,
    ) -> Result<Self, Error<B::Error>> {
        // What is followed exactly needs the factors of the whole batch.
        let followed = optimiser == Optimiser::Sgd;
        let sharded = workers > 1 && SHARDED.contains(&shape.dim) && !followed;
        let sharded = sharded.then(|| ShardedGradient::new(b, &flow, shape, side, workers));
        Ok(Self {
            tape: FlowTape::new(b, &flow, shape)?,
            state: OptimiserState::new(b, &flow, shape, optimiser, side)?,
            sharded: sharded.transpose()?,
            evaluator: Evaluator::new(b, &flow, shape.dim)?,
            best: flow.duplicate(b)?,
            current: flow,
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

impl<B: FlowBackend + Allocate + Sync> Trainer<B> for RelativeTrainer<B> {
    fn step(
        &mut self,
        b: &B,
        batch: &[B::Scalar],
        rate: f64,
    ) -> Result<StepReport, Error<B::Error>> {
        let flow = &mut self.current;
        let Some(sharded) = &mut self.sharded else {
            return self.state.step(b, flow, &mut self.tape, batch, rate);
        };
        let log_density = sharded.compute(b, flow, batch)?;
        self.state.ascend(b, flow, sharded.directions(), rate)?;
        Ok(StepReport {
            log_density,
            ..StepReport::default()
        })
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

    fn visit<E>(&mut self, mut visit: impl FnMut(State<'_, B>) -> Result<(), E>) -> Result<(), E> {
        let RelativeFlow {
            activation, base, ..
        } = self.current;
        visit(State::Setting("activation", format!("{activation:?}")))?;
        visit(State::Setting("base density", format!("{base:?}")))?;
        for Affine { weight, bias } in self.current.layers.iter_mut().chain(&mut self.best.layers) {
            visit(State::Batch(weight))?;
            visit(State::Batch(bias))?;
        }
        self.state.visit(visit)
    }
}
