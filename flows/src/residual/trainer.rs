//! Maximum-likelihood training of a residual flow.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;

use detfree_core::{
    Activation, Adam, Allocate, Backend, Draw, Error, FlowBackend, Key, Quantity, Shape,
};

use super::ascent::Ascent;
use super::evaluate::Evaluator;
use super::{Block, Estimator, EstimatorChoice, Gradients, ResidualFlow, Sweep, Tape};
use crate::fit::{State, StepReport, Trainer, Validation, or_none};
use crate::norm::{check_clip, clip_factor};

/// What the streams of the key are for.
const STEPS: u64 = 0;
const VALIDATION: u64 = 1;

/// How to train a residual flow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResidualTraining {
    /// Of the log-determinants and their gradients.
    pub estimator: EstimatorChoice,
    /// When the gradients of the log-determinants are taken.
    pub sweep: Sweep,
    /// The largest norm of a gradient: a longer one is scaled down to it.
    pub clip: Option<f64>,
    /// d of the average w̄ ← d w̄ + (1 − d) w that is evaluated instead of the weights, in (0, 1). In its
    /// first steps t it is (1 + t)/(10 + t), where that is less.
    pub average: Option<f64>,
    /// Over how many steps the learning rate rises to what it is meant to be.
    pub warm_up: u64,
    /// Into how many shards a batch is cut, each for a thread; threads share the products of a single
    /// one, which suits nets that are wide beside a shard's rows.
    pub shards: usize,
    /// The stream of the estimators.
    pub key: Key,
}

/// A flow with all that training it needs.
///
/// Every step is Adam's (Kingma and Ba 2015) on the gradient of the mean log-likelihood, whose
/// log-determinants are estimated without bias. After it, singular values of the weights are brought down
/// until every block's Lipschitz constant is certified to be at most its bound: in every step, so that
/// the variance of the next one's estimates is what their schedule promises. The running average is
/// certified before an evaluation.
pub struct ResidualTrainer<B: Backend> {
    current: ResidualFlow<B>,
    average: Option<ResidualFlow<B>>,
    best: ResidualFlow<B>,
    options: ResidualTraining,
    estimator: Estimator,
    shards: Vec<Shard<B>>,
    ascents: Vec<Ascent<B>>,
    evaluator: Evaluator<B>,
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
    /// [`Error::Invalid`] for a flow without blocks, a `clip` that is not above 0, or an `average` outside of
    /// (0, 1); the device's.
    pub fn new(
        b: &B,
        flow: ResidualFlow<B>,
        shape: Shape,
        options: ResidualTraining,
    ) -> Result<Self, Error<B::Error>> {
        check_clip(options.clip)?;
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

    /// Before the first step: standard outputs behind every block.
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
        let dim = self.current.dim;
        let expected = Shape::new(self.shards.last().map_or(0, |shard| shard.rows.end), dim);
        Error::check_numbers("the batch", expected, batch.len())?;
        if self.steps == 0 {
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
        let ResidualTraining {
            estimator,
            sweep,
            clip,
            average,
            warm_up,
            shards,
            key,
        } = self.options;
        for (name, value) in [
            ("estimator", estimator.to_string()),
            ("sweep", sweep.name().into()),
            ("clip", or_none(clip)),
            ("decay of averaged weights", or_none(average)),
            ("number of warm-up steps", warm_up.to_string()),
            ("number of shards", shards.to_string()),
            ("key of estimators", key.bits().to_string()),
        ] {
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
