//! Training of whole residual flows, step by step.

use core::error::Error;

use detfree::flows::Trainer;
use detfree::flows::residual::{
    Accuracy, EstimatorChoice, ResidualFlow, ResidualOptions, ResidualTrainer, ResidualTraining,
    SeriesSchedule, Sweep,
};
use detfree::{Activation, Allocate, BaseDensity, FlowBackend, Key, Probe, Shape, TraceEstimator};

use crate::turns::Outcome;

/// The certified roulette with one probe a row, and the first trace in closed form if the nets have one.
#[must_use]
pub fn certified() -> EstimatorChoice {
    EstimatorChoice::Series {
        schedule: SeriesSchedule::Certified,
        trace: TraceEstimator::new(Probe::Rademacher, 1),
        exact_first: true,
    }
}

/// Blocks in a flow of two dimensions.
pub const BLOCKS: usize = 8;

/// What a flow is trained with.
pub struct Plan {
    /// Of the nets: input, hidden …, output.
    pub widths: Vec<usize>,
    /// How many.
    pub blocks: usize,
    /// Between layers.
    pub activation: Activation,
    /// Of the log-determinants.
    pub estimator: EstimatorChoice,
    /// Rows in a batch.
    pub batch: usize,
    /// At the start; it falls to 0 as a cosine.
    pub rate: f64,
    /// Of a batch, each for a thread.
    pub shards: usize,
}

/// A flow with its optimiser.
pub struct Course<B: FlowBackend> {
    trainer: ResidualTrainer<B>,
    rate: f64,
    shards: usize,
}

/// A flow of random blocks, ready to be trained.
///
/// # Errors
/// For widths that make no flow; the device's.
pub fn trainer<B>(b: &B, plan: &Plan) -> Outcome<ResidualTrainer<B>>
where
    B: FlowBackend + Allocate,
    B::Error: Error + 'static,
{
    let [dim, hidden @ .., _] = plan.widths.as_slice() else {
        return Err("a net without widths".into());
    };
    let options = ResidualOptions {
        blocks: plan.blocks,
        hidden: hidden.to_vec(),
        activation: plan.activation,
        lipschitz: 0.9,
        base: BaseDensity::Normal,
    };
    let flow = ResidualFlow::random(b, *dim, &options, Key::new(1))?;
    let training = ResidualTraining {
        estimator: plan.estimator,
        sweep: Sweep::Reverse,
        clip: Some(10.0),
        average: Some(0.99),
        warm_up: 10,
        shards: plan.shards,
        key: Key::new(2),
    };
    let shape = Shape::new(plan.batch, *dim);
    Ok(ResidualTrainer::new(b, flow, shape, training)?)
}

impl<B: FlowBackend + Allocate + Sync> Course<B>
where
    B::Error: Error + 'static,
{
    /// A flow of random blocks.
    ///
    /// # Errors
    /// For widths that make no flow; the device's.
    pub fn new(b: &B, plan: &Plan) -> Outcome<Self> {
        Ok(Self {
            trainer: trainer(b, plan)?,
            rate: plan.rate,
            shards: plan.shards,
        })
    }

    /// One step, with a rate for where training stands: 0 at its start, 1 at its end.
    ///
    /// # Errors
    /// The device's.
    pub fn step(&mut self, b: &B, rows: &[B::Scalar], progress: f64) -> Outcome<()> {
        let rate = 0.5 * self.rate * (1.0 + (std::f64::consts::PI * progress).cos());
        self.trainer.step(b, rows, rate)?;
        Ok(())
    }

    /// The flow as evaluation uses it, with certified bounds.
    ///
    /// # Errors
    /// The device's.
    pub fn flow(&mut self, b: &B, some_rows: &[B::Scalar]) -> Outcome<&ResidualFlow<B>> {
        self.trainer.validate(b, some_rows)?;
        self.trainer.keep(b)?;
        Ok(self.trainer.flow())
    }

    /// The mean log-likelihood of rows, with exact determinants.
    ///
    /// # Errors
    /// The device's.
    pub fn log_likelihood(&mut self, b: &B, rows: &[B::Scalar], dim: usize) -> Outcome<f64> {
        let shards = self.shards;
        let flow = self.flow(b, &rows[..dim])?;
        let exact = Accuracy::Exact {
            most_products: u64::MAX,
        };
        let scores = flow.score(b, rows, exact, Key::new(3), shards)?.rows;
        let sum: f64 = scores.iter().map(|row| row.log_density).sum();
        Ok(sum / scores.len() as f64)
    }
}
