//! Maximum-likelihood training with early stopping.

mod feed;
mod rate;

use core::ops::ControlFlow;

use crate::relative::{
    Drift, Evaluator, FlowTape, Optimiser, OptimiserState, RelativeFlow, StepReport,
};
use detfree_core::{Allocate, Error, FlowBackend, Key, Shape, Side};
use feed::Feed;
pub use feed::TrainingRows;
use rate::Rate;
pub use rate::Schedule;

/// How to train.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FitOptions {
    /// The most epochs.
    pub epochs: u32,
    /// Rows of a minibatch; a remainder waits for the next epoch's shuffle.
    pub batch: usize,
    /// The initial learning rate μ.
    pub learning_rate: f64,
    /// What becomes of it.
    pub schedule: Schedule,
    /// Epochs without improvement after which training stops.
    pub patience: u32,
    /// What makes steps of gradients.
    pub optimiser: Optimiser,
    /// Which group's relative gradient is followed.
    pub side: Side,
    /// The stream of shuffles and noise.
    pub key: Key,
}

/// Where training stands after an epoch; log-likelihoods in nats per standardised row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochReport {
    /// From 1.
    pub epoch: u32,
    /// Mean over the validation rows.
    pub validation: f64,
    /// The best so far.
    pub best: f64,
    /// The learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// What an optimiser that follows the likelihood saw.
    pub tracked: Option<Tracked>,
}

/// The exact log-likelihood as it was followed through the steps of an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tracked {
    /// The mean over the epoch's batches, each before its step.
    pub log_likelihood: f64,
    /// How often a step was halved in this epoch.
    pub shrinks: u32,
    /// How far log|det W| and W⁻¹ were from LU at the end of the epoch; they start anew from it.
    pub drift: Drift,
}

/// What the observer of a training run is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// A step has been taken.
    Step,
    /// An epoch has been taken and validated.
    Epoch(EpochReport),
}

/// What ended a training run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// All epochs were taken.
    Epochs,
    /// Validation stopped improving.
    Patience,
    /// The observer asked for it.
    Observer,
    /// A log-likelihood was not finite, or a weight became singular.
    Diverged,
}

/// What a training run came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FitReport {
    /// Whole epochs taken.
    pub epochs: u32,
    /// The epoch whose weights were kept; 0 where none was finished.
    pub best_epoch: u32,
    /// Mean log-likelihood of the validation rows with the weights kept; −∞ where training
    /// diverged before any were worth keeping.
    pub best: f64,
    /// What ended it.
    pub stop: Stop,
}

/// Trains `flow` on `training` and leaves the weights that were best on `validation` (row-major,
/// standardised) in it.
///
/// The observer may end training after any step; the weights kept are still the best ones.
///
/// ```
/// use core::ops::ControlFlow;
/// use detfree_core::{reference::Heap, Activation, BaseDensity, Key, Side};
/// use detfree_flows::relative::{Optimiser, RelativeFlow};
/// use detfree_flows::{FitOptions, Schedule, TrainingRows, fit};
/// let b = Heap::<f64>::new();
/// let rows: Vec<f64> = (0..400).map(|r| Key::new(7).normal(r, 0).powi(3)).collect();
/// let (train, validation) = rows.split_at(300);
/// let sigma = Activation::LeakySoftplus { alpha: 0.3 };
/// let mut flow = RelativeFlow::random(&b, 1, 4, sigma, BaseDensity::Normal, Key::new(1)).unwrap();
/// let training = TrainingRows { values: train.to_vec(), noise: vec![0.0], squash: None };
/// let options = FitOptions {
///     epochs: 20,
///     batch: 50,
///     learning_rate: 0.01,
///     schedule: Schedule::Plateau,
///     patience: 10,
///     optimiser: Optimiser::Adam,
///     side: Side::Plain,
///     key: Key::new(2),
/// };
/// let keep_on = |_| ControlFlow::Continue(());
/// let report = fit(&b, &mut flow, &training, validation, &options, keep_on).unwrap();
/// assert!(report.best > -10.0 && report.best_epoch <= report.epochs);
/// ```
///
/// # Errors
/// [`Error::Shape`] where rows do not fit the flow; the device's.
pub fn fit<B: FlowBackend + Allocate>(
    b: &B,
    flow: &mut RelativeFlow<B>,
    training: &TrainingRows<B::Scalar>,
    validation: &[B::Scalar],
    options: &FitOptions,
    mut observe: impl FnMut(Event) -> ControlFlow<()>,
) -> Result<FitReport, Error<B::Error>> {
    let dim = training.noise.len();
    let rows = training.values.len() / dim.max(1);
    let shape = Shape::new(options.batch.clamp(1, rows.max(1)), dim);
    let mut tape = FlowTape::new(b, flow, shape)?;
    let mut state = OptimiserState::new(b, flow, shape, options.optimiser, options.side)?;
    let mut evaluator = Evaluator::new(b, flow, dim)?;
    let mut best = Best::new(b, flow)?;
    let mut feed = Feed::new(training, shape.rows, options.key);
    let mut rate = Rate::new(options, rows / shape.rows);
    let mut stop = Stop::Epochs;
    let mut epochs = 0;

    'training: while epochs < options.epochs {
        feed.shuffle();
        let mut followed = Followed::default();
        while let Some(batch) = feed.next_batch() {
            let diverged = match state.step(b, flow, &mut tape, batch, rate.next()) {
                Ok(report) => {
                    followed.add(&report);
                    !report.log_density.is_finite()
                }
                Err(Error::Singular) => true,
                Err(error) => return Err(error),
            };
            if diverged {
                stop = Stop::Diverged;
                break 'training;
            }
            if observe(Event::Step).is_break() {
                stop = Stop::Observer;
                break 'training;
            }
        }
        epochs += 1;
        let figures = evaluator.mean(b, flow, validation);
        let (validation, drift) = match figures.and_then(|mean| Ok((mean, state.refresh(b, flow)?)))
        {
            Ok((mean, drift)) if mean.is_finite() => (mean, drift),
            Ok(_) | Err(Error::Singular) => {
                stop = Stop::Diverged;
                break;
            }
            Err(error) => return Err(error),
        };
        best.offer(b, flow, epochs, validation)?;
        let report = EpochReport {
            epoch: epochs,
            validation,
            best: best.figure,
            learning_rate: rate.last,
            tracked: drift.map(|drift| followed.report(drift)),
        };
        if observe(Event::Epoch(report)).is_break() {
            stop = Stop::Observer;
            break;
        }
        let idle = epochs - best.epoch;
        if idle >= options.patience {
            stop = Stop::Patience;
            break;
        }
        rate.after_epoch(idle);
    }
    if stop == Stop::Observer
        && best.epoch == 0
        && let Ok(mean) = evaluator.mean(b, flow, validation)
        && mean.is_finite()
    {
        best.offer(b, flow, 0, mean)?;
    }
    flow.copy_from(b, &best.flow)?;
    Ok(FitReport {
        epochs,
        best_epoch: best.epoch,
        best: best.figure,
        stop,
    })
}

/// What the steps of an epoch report, summed.
#[derive(Default)]
struct Followed {
    log_likelihood: f64,
    steps: f64,
    shrinks: u32,
}

impl Followed {
    fn add(&mut self, report: &StepReport) {
        self.log_likelihood += report.log_likelihood.unwrap_or_default();
        self.steps += 1.0;
        self.shrinks += report.shrinks;
    }

    fn report(&self, drift: Drift) -> Tracked {
        Tracked {
            log_likelihood: self.log_likelihood / self.steps,
            shrinks: self.shrinks,
            drift,
        }
    }
}

/// The best weights so far.
struct Best<B: FlowBackend> {
    flow: RelativeFlow<B>,
    figure: f64,
    epoch: u32,
}

impl<B: FlowBackend + Allocate> Best<B> {
    fn new(b: &B, flow: &RelativeFlow<B>) -> Result<Self, B::Error> {
        Ok(Self {
            flow: flow.duplicate(b)?,
            figure: f64::NEG_INFINITY,
            epoch: 0,
        })
    }

    fn offer(
        &mut self,
        b: &B,
        flow: &RelativeFlow<B>,
        epoch: u32,
        figure: f64,
    ) -> Result<(), B::Error> {
        if figure > self.figure {
            self.flow.copy_from(b, flow)?;
            self.figure = figure;
            self.epoch = epoch;
        }
        Ok(())
    }
}
