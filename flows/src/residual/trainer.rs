//! Maximum-likelihood training of a residual flow.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use detfree_core::{
    Activation, Adam, Allocate, Backend, Draw, Error, FlowBackend, Quantity, Shape,
};

use super::ascent::Ascent;
use super::evaluate::Evaluator;
use super::{Block, Estimator, Gradients, ResidualFlow, ResidualTraining, Tape};
use crate::fit::{State, StepReport, Trainer, Validation, check_batch, check_rate};
use crate::norm::{check_clip, clip_factor};

/// What the streams of the key are for.
const STEPS: u64 = 0;
const VALIDATION: u64 = 1;

/// A flow with all that training it needs.
///
/// Every step is Adam's (Kingma and Ba 2015) on the gradient of the mean log-likelihood, whose
/// log-determinants are estimated without bias. After it, singular values of the weights are brought down
/// until every block's Lipschitz constant is certified to be at most its bound: in every step, so that
/// the variance of the next one's estimates is what their schedule promises. The running average is
/// certified before an evaluation.
///
/// The first batch that a new flow is given, [`ResidualFlow::random`], also chooses the affine maps behind its
/// blocks: outputs then have mean 0 and deviation 1 in every column (Kingma and Dhariwal 2018, section 3.1). A flow
/// that was trained, or made of given numbers, goes on with those it has. A column that hardly varies in that batch is
/// stretched all the same, and other rows may then lie tens of nats out: begin with one in which every column varies.
///
/// ```
/// use detfree_core::{Activation, BaseDensity, Key, Shape, reference::Heap};
/// use detfree_flows::residual::{
///     EstimatorChoice, ResidualFlow, ResidualOptions, ResidualTrainer, ResidualTraining, Sweep,
/// };
/// use detfree_flows::{Trainer, toy::Toy};
/// let (b, key) = (Heap::<f64>::new(), Key::new(1));
/// let batch = |n: u64| -> Vec<f64> { (50 * n..50 * n + 50).flat_map(|row| Toy::HalfMoons.sample(key, row)).collect() };
/// let options = ResidualOptions {
///     blocks: 4,
///     hidden: vec![16, 16],
///     activation: Activation::Sine,
///     lipschitz: 0.9,
///     base: BaseDensity::Normal,
/// };
/// let how = ResidualTraining {
///     estimator: EstimatorChoice::Auto,
///     sweep: Sweep::Reverse,
///     clip: None,
///     average: None,
///     warm_up: 0,
///     shards: 1,
///     key,
/// };
/// let flow = ResidualFlow::random(&b, 2, &options, key)?;
/// let mut trainer = ResidualTrainer::new(&b, flow, Shape::new(50, 2), how)?;
/// trainer.step(&b, &batch(0), 0.0)?;
/// let first = trainer.validate(&b, &batch(100))?;
/// for step in 1..60 {
///     trainer.step(&b, &batch(step), 1e-2)?;
/// }
/// let last = trainer.validate(&b, &batch(100))?;
/// assert!(last.mean > first.mean + 0.1);
/// trainer.keep(&b)?;
/// // The same numbers again, such as a model file's: training goes on from them.
/// let kept = trainer.flow().to_parameters(&b)?;
/// let flow = ResidualFlow::from_parameters(&b, 2, &kept, BaseDensity::Normal)?;
/// let mut trainer = ResidualTrainer::new(&b, flow, Shape::new(50, 2), how)?;
/// trainer.step(&b, &batch(60), 1e-3)?;
/// assert!(trainer.validate(&b, &batch(100))?.mean > first.mean + 0.1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ResidualTrainer<B: Backend> {
    current: ResidualFlow<B>,
    average: Option<ResidualFlow<B>>,
    best: ResidualFlow<B>,
    options: ResidualTraining,
    estimator: Estimator,
    shards: Vec<Shard<B>>,
    ascents: Vec<Ascent<B>>,
    evaluator: Evaluator<B>,
    /// Whether the first batch chooses the affine maps.
    new: bool,
    /// Steps taken.
    steps: u64,
}

/// Some rows of every batch.
struct Shard<B: Backend> {
    rows: Range<usize>,
    tape: Tape<B>,
    gradients: Gradients<B>,
    log: Vec<f64>,
    products: u64,
    outcome: Result<(), Error<B::Error>>,
}

/// A block's turn to be stepped.
struct BlockStep<'a, B: Backend> {
    block: &'a mut Block<B>,
    ascent: &'a mut Ascent<B>,
    gradient: &'a mut super::BlockGradient<B>,
    outcome: Result<(), Error<B::Error>>,
}

impl<B: FlowBackend + Allocate> ResidualTrainer<B> {
    /// For steps on batches of `shape`.
    ///
    /// # Errors
    /// [`Error::Schedule`] where the estimator asked for is not certified for the flow's bound;
    /// [`Error::Shape`] where `shape` has rows of another length than the flow; [`Error::Invalid`] for batches
    /// without rows, or of a single one for a new flow, a `clip` that is not above 0, or an `average` outside of
    /// (0, 1); the device's.
    pub fn new(
        b: &B,
        flow: ResidualFlow<B>,
        shape: Shape,
        options: ResidualTraining,
    ) -> Result<Self, Error<B::Error>> {
        check_clip(options.clip)?;
        check_batch(shape, flow.dim)?;
        let new = flow.awaits_data();
        if new && shape.rows < 2 {
            return Err(Error::Invalid(
                "a new residual flow is normalised by the deviations of its first batch, and one row has \
                 none: give batches of two rows or more",
            ));
        }
        if options.average.is_some_and(|d| !(d > 0.0 && d < 1.0)) {
            return Err(Error::Invalid(
                "the decay of the running average must lie strictly between 0 and 1: give such a one, or none",
            ));
        }
        let widths = flow.widths(b);
        let choose = |quantity| {
            Estimator::choose(options.estimator, quantity, &widths, flow.lipschitz())
                .map_err(Error::Schedule)
        };
        let estimator = choose(Quantity::Gradient)?;
        let count = options.shards.clamp(1, shape.rows.max(1));
        let mut shards = Vec::new();
        for i in 0..count {
            let rows = shape.rows * i / count..shape.rows * (i + 1) / count;
            let part = Shape::new(rows.len(), shape.dim);
            shards.push(Shard {
                tape: Tape::new(b, &flow, part, estimator)?,
                gradients: Gradients::new(b, &flow, part.rows, options.sweep)?,
                log: alloc::vec![0.0; part.rows],
                rows,
                products: 0,
                outcome: Ok(()),
            });
        }
        let ascents = flow.blocks.iter().map(|block| Ascent::new(b, block));
        Ok(Self {
            ascents: ascents.collect::<Result<_, _>>()?,
            evaluator: Evaluator::new(b, &flow, choose(Quantity::Value)?, shape.rows, count)?,
            average: match options.average {
                Some(_) => Some(flow.duplicate(b)?),
                None => None,
            },
            best: flow.duplicate(b)?,
            current: flow,
            options,
            estimator,
            shards,
            new,
            steps: 0,
        })
    }

    /// The estimator of training, and what it costs, in a line.
    pub fn explain(&self, b: &B) -> String {
        let widths = self.current.widths(b);
        self.estimator.explain(&widths, self.current.lipschitz())
    }
}

impl<B: Backend> ResidualTrainer<B> {
    /// The flow with the weights that were kept last; the initial ones before any.
    #[must_use]
    pub const fn flow(&self) -> &ResidualFlow<B> {
        &self.best
    }
}

impl<B: Backend> fmt::Debug for ResidualTrainer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResidualTrainer")
            .field("flow", &self.current)
            .field("options", &self.options)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

impl<B: FlowBackend + Allocate + Sync> ResidualTrainer<B> {
    /// The gradients of a batch's mean log-likelihood, in the first shard's; that mean.
    fn gradient(&mut self, b: &B, batch: &[B::Scalar], draw: Draw) -> Result<f64, Error<B::Error>> {
        let Self {
            current: flow,
            options,
            shards,
            ..
        } = self;
        let dim = flow.dim;
        let rows = batch.len() / dim.max(1);
        let weight = 1.0 / rows as f64;
        let sweep = options.sweep;
        let work = |b: &B, shard: &mut Shard<B>| {
            let Range { start, end } = shard.rows;
            let part = batch.get(start * dim..end * dim).unwrap_or_default();
            let draw = draw.at_row(start as u64);
            let (log, gradients) = (&mut shard.log, &mut shard.gradients);
            shard.outcome = shard
                .tape
                .gradient(b, flow, part, weight, draw, sweep, log, gradients)
                .map(|work| shard.products = work.products);
            Ok(())
        };
        if let [whole] = shards.as_mut_slice() {
            // Threads share its products.
            b.together(usize::MAX, |b| work(b, whole))?;
        } else {
            b.each_shard(shards, work)?;
        }
        let mut log_density = 0.0;
        for shard in shards.iter_mut() {
            core::mem::replace(&mut shard.outcome, Ok(()))?;
            log_density += shard.log.iter().sum::<f64>();
        }
        if let Some((first, rest)) = shards.split_first_mut() {
            for shard in rest {
                first.gradients.add(b, &shard.gradients)?;
            }
        }
        Ok(log_density * weight)
    }

    /// Before the first step of a new flow: standard outputs behind every block.
    fn start(&mut self, b: &B, batch: &[B::Scalar]) -> Result<(), Error<B::Error>> {
        let shape = Shape::new(batch.len() / self.current.dim.max(1), self.current.dim);
        let mut tape = Tape::new(b, &self.current, shape, self.estimator)?;
        tape.standardise(b, &mut self.current, batch)?;
        if let Some(average) = &mut self.average {
            average.copy_from(b, &self.current)?;
        }
        Ok(())
    }

    /// Certifies the bounds of the weights that evaluation uses.
    fn certify(&mut self, b: &B) -> Result<(), Error<B::Error>> {
        let flow = self.average.as_mut().unwrap_or(&mut self.current);
        let mut blocks = flow.blocks.iter_mut();
        blocks.try_for_each(|block| block.limit(b))
    }
}

impl<B: FlowBackend + Allocate + Sync> Trainer<B> for ResidualTrainer<B> {
    fn step(
        &mut self,
        b: &B,
        batch: &[B::Scalar],
        rate: f64,
    ) -> Result<StepReport, Error<B::Error>> {
        check_rate(rate)?;
        let dim = self.current.dim;
        let expected = Shape::new(self.shards.last().map_or(0, |shard| shard.rows.end), dim);
        Error::check_numbers("the batch", expected, batch.len())?;
        if self.new && self.steps == 0 {
            self.start(b, batch)?;
        }
        let key = self.options.key.fold_in(STEPS).fold_in(self.steps);
        let log_density = self.gradient(b, batch, Draw::new(key))?;
        let Some(total) = self.shards.first_mut().map(|shard| &mut shard.gradients) else {
            return Ok(StepReport::default());
        };
        let mut square = 0.0;
        for (ascent, gradient) in self.ascents.iter_mut().zip(&total.blocks) {
            square += ascent.squared_norm(b, gradient)?;
        }
        if !(square.is_finite() && log_density.is_finite()) {
            // Nothing is stepped: the weights stay those of the last sound step.
            return Ok(StepReport {
                log_density: f64::NAN,
                ..StepReport::default()
            });
        }
        let factor = clip_factor(libm::sqrt(square), self.options.clip);
        self.steps += 1;
        let warm = (self.steps as f64 / self.options.warm_up.max(1) as f64).min(1.0);
        let adam = Adam::new(rate * warm, self.steps);
        let blocks = self.current.blocks.iter_mut().zip(&mut self.ascents);
        let mut turns: Vec<_> = blocks
            .zip(&mut total.blocks)
            .map(|((block, ascent), gradient)| BlockStep {
                block,
                ascent,
                gradient,
                outcome: Ok(()),
            })
            .collect();
        b.each_shard(&mut turns, |b, turn| {
            let BlockStep {
                block,
                ascent,
                gradient,
                ..
            } = turn;
            turn.outcome = ascent
                .step(b, &adam, factor, gradient, block)
                .map_err(Error::Device)
                .and_then(|()| block.limit(b));
            Ok(())
        })?;
        for turn in turns {
            turn.outcome?;
        }
        if let (Some(average), Some(decay)) = (&mut self.average, self.options.average) {
            let steps = self.steps as f64;
            let decay = decay.min((1.0 + steps) / (10.0 + steps));
            let blocks = average.blocks.iter_mut().zip(&self.current.blocks);
            for ((average, block), ascent) in blocks.zip(&mut self.ascents) {
                ascent.average(b, decay, block, average)?;
            }
        }
        Ok(StepReport {
            log_density,
            products: self.shards.iter().map(|shard| shard.products).sum(),
            ..StepReport::default()
        })
    }

    fn validate(&mut self, b: &B, rows: &[B::Scalar]) -> Result<Validation, Error<B::Error>> {
        // The same stream every time: differences between epochs are then those of the weights.
        let key = self.options.key.fold_in(VALIDATION);
        self.certify(b)?;
        let flow = self.average.as_ref().unwrap_or(&self.current);
        let mut draws = [Vec::new(), Vec::new()];
        for (draw, key) in draws.iter_mut().zip([key.fold_in(0), key.fold_in(1)]) {
            self.evaluator.log_density(b, flow, rows, key, draw)?;
        }
        let [first, second] = &draws;
        let count = first.len() as f64;
        let pairs = || first.iter().zip(second);
        // Half the difference of two estimates has the variance of their mean.
        let squares: f64 = pairs().map(|(x, y)| 0.25 * (x - y) * (x - y)).sum();
        Ok(Validation {
            mean: pairs().map(|(x, y)| 0.5 * (x + y)).sum::<f64>() / count,
            standard_error: libm::sqrt(squares) / count,
            drift: None,
        })
    }

    fn keep(&mut self, b: &B) -> Result<(), B::Error> {
        let flow = self.average.as_ref().unwrap_or(&self.current);
        self.best.copy_from(b, flow)
    }

    fn visit<E>(&mut self, mut visit: impl FnMut(State<'_, B>) -> Result<(), E>) -> Result<(), E> {
        let (lipschitz, base) = (self.current.lipschitz(), self.current.base);
        visit(State::Setting("Lipschitz bound", lipschitz.to_string()))?;
        visit(State::Setting("base density", base.name().into()))?;
        visit(State::Setting("activation", activations(&self.current)))?;
        for (name, value) in self.options.settings() {
            visit(State::Setting(name, value))?;
        }
        visit(State::Count(&mut self.steps))?;
        for block in self
            .current
            .blocks
            .iter_mut()
            .chain(self.average.iter_mut().flat_map(|flow| &mut flow.blocks))
            .chain(&mut self.best.blocks)
        {
            block.visit(&mut visit)?;
        }
        self.ascents
            .iter_mut()
            .try_for_each(|ascent| ascent.visit(&mut visit))
    }
}

/// Of all nets; of LipSwish without the sharpness, which is learned.
fn activations<B: Backend>(flow: &ResidualFlow<B>) -> String {
    let blocks = flow.blocks.iter();
    let mut names: Vec<_> = blocks
        .flat_map(|block| block.net.activations())
        .map(|activation| match activation {
            Activation::LipSwish { .. } => activation.name().into(),
            activation => activation.to_string(),
        })
        .collect();
    names.dedup();
    names.join(", ")
}
