//! Maximum-likelihood training with early stopping.

mod checkpoint;
mod feed;
mod rate;
mod snapshot;
mod trainer;
mod training;

use core::ops::ControlFlow;

use detfree_core::{Backend, Error, Key};

pub use checkpoint::{CheckpointError, Difference};
pub use feed::TrainingRows;
pub use rate::Schedule;
pub use trainer::{Drift, State, StepReport, Trainer, Validation};
pub(crate) use trainer::{check_batch, check_rate, or_none};
pub use training::{Progress, Training};

/// How to train.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FitOptions {
    /// The most epochs.
    pub epochs: u32,
    /// Rows of a minibatch, one at least and all where there are fewer; a remainder waits for the next epoch's
    /// shuffle.
    pub batch: usize,
    /// The initial learning rate μ.
    pub learning_rate: f64,
    /// What becomes of it.
    pub schedule: Schedule,
    /// Epochs without improvement after which training stops.
    pub patience: u32,
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
    /// The standard error of that mean as an estimate of theirs; 0 where log-determinants are exact.
    pub standard_error: f64,
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

/// Trains on `training`, and keeps the weights that were best on `validation` (row-major,
/// standardised).
///
/// The observer may end training after any step; the weights kept are still the best ones.
/// [`Training`] is the same with the caller in control, and with checkpoints.
///
/// ```
/// use core::ops::ControlFlow;
/// use detfree_core::{reference::Heap, Activation, BaseDensity, Key};
/// use detfree_flows::relative::{RelativeFlow, RelativeTrainer, RelativeTraining};
/// use detfree_flows::{FitOptions, Schedule, TrainingRows, fit};
/// let b = Heap::<f64>::new();
/// let rows: Vec<f64> = (0..400).map(|r| Key::new(7).normal(r, 0).powi(3)).collect();
/// let (train, validation) = rows.split_at(300);
/// let training = TrainingRows { values: train.to_vec(), noise: vec![0.0], squash: None };
/// let sigma = Activation::LeakySoftplus { alpha: 0.3 };
/// let flow = RelativeFlow::random(&b, 1, 4, sigma, BaseDensity::Normal, Key::new(1)).unwrap();
/// let shape = training.batch_shape(50);
/// let mut trainer = RelativeTrainer::new(&b, flow, shape, RelativeTraining::default()).unwrap();
/// let options = FitOptions {
///     epochs: 20,
///     batch: 50,
///     learning_rate: 0.01,
///     schedule: Schedule::Plateau,
///     patience: 10,
///     key: Key::new(2),
/// };
/// let keep_on = |_| ControlFlow::Continue(());
/// let report = fit(&b, &mut trainer, &training, validation, &options, keep_on).unwrap();
/// assert!(report.best > -10.0 && report.best_epoch <= report.epochs);
/// let _best = trainer.flow();
/// ```
///
/// # Errors
/// As [`Training::epoch`].
pub fn fit<B: Backend, T: Trainer<B>>(
    b: &B,
    trainer: &mut T,
    training: &TrainingRows<B::Scalar>,
    validation: &[B::Scalar],
    options: &FitOptions,
    mut observe: impl FnMut(Event) -> ControlFlow<()> + Send,
) -> Result<FitReport, Error<B::Error>> {
    let mut training = Training::new(trainer, training, validation, options);
    while let Progress::Epoch(report) = training.epoch(b, || observe(Event::Step))? {
        if observe(Event::Epoch(report)).is_break() {
            break;
        }
    }
    training.finish(b)
}
