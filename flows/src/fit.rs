//! Maximum-likelihood training with early stopping.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use detfree_core::{Allocate, Error, FlowBackend, Key, Scalar, Shape};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::relative::{Evaluator, FlowTape, Optimiser, OptimiserState, RelativeFlow};

/// Standardised rows to train on, and the noise that each epoch adds to them afresh.
#[derive(Clone, Debug)]
pub struct TrainingRows<T> {
    /// Row-major.
    pub values: Vec<T>,
    /// Per column, the width w of uniform noise on [0, w); zero for none. Its length is the
    /// dimension.
    pub noise: Vec<T>,
}

/// How to train.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FitOptions {
    /// The most epochs.
    pub epochs: u32,
    /// Rows of a minibatch; a remainder waits for the next epoch's shuffle.
    pub batch: usize,
    /// The initial learning rate; it is halved when validation does not improve.
    pub learning_rate: f64,
    /// Epochs without improvement after which training stops. The learning rate is halved after
    /// each quarter of them.
    pub patience: u32,
    /// What makes steps of gradients.
    pub optimiser: Optimiser,
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
    /// The learning rate of the epoch.
    pub learning_rate: f64,
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
/// use detfree_core::{reference::Heap, Activation, BaseDensity, Key};
/// use detfree_flows::relative::{Optimiser, RelativeFlow};
/// use detfree_flows::{FitOptions, TrainingRows, fit};
/// let b = Heap::<f64>::new();
/// let rows: Vec<f64> = (0..400).map(|r| Key::new(7).normal(r, 0).powi(3)).collect();
/// let (train, validation) = rows.split_at(300);
/// let sigma = Activation::LeakySoftplus { alpha: 0.3 };
/// let mut flow = RelativeFlow::random(&b, 1, 4, sigma, BaseDensity::Normal, Key::new(1)).unwrap();
/// let training = TrainingRows { values: train.to_vec(), noise: vec![0.0] };
/// let options = FitOptions {
///     epochs: 20,
///     batch: 50,
///     learning_rate: 0.01,
///     patience: 10,
///     optimiser: Optimiser::Adam,
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
    let mut state = OptimiserState::new(b, flow, shape, options.optimiser)?;
    let mut evaluator = Evaluator::new(b, flow, dim)?;
    let mut best = Best::new(b, flow)?;
    let mut feed = Feed::new(training, shape.rows, options.key);
    let mut learning_rate = options.learning_rate;
    let mut stop = Stop::Epochs;
    let mut epochs = 0;

    'training: while epochs < options.epochs {
        feed.shuffle();
        while let Some(batch) = feed.next_batch() {
            let step = state.step(b, flow, &mut tape, batch, learning_rate);
            let diverged = match step {
                Ok(report) => !report.log_density.is_finite(),
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
        let validation = match evaluator.mean(b, flow, validation) {
            Ok(mean) if mean.is_finite() => mean,
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
            learning_rate,
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
        if idle > 0 && idle.is_multiple_of((options.patience / 4).max(1)) {
            learning_rate *= 0.5;
        }
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

/// Shuffled minibatches with fresh noise.
struct Feed<'a, T> {
    training: &'a TrainingRows<T>,
    order: Vec<usize>,
    /// Rows of `order` handed out.
    used: usize,
    batch: Vec<T>,
    rng: Xoshiro256PlusPlus,
}

impl<'a, T: Scalar> Feed<'a, T> {
    fn new(training: &'a TrainingRows<T>, rows: usize, key: Key) -> Self {
        let dim = training.noise.len();
        Self {
            training,
            order: (0..training.values.len() / dim.max(1)).collect(),
            used: 0,
            batch: alloc::vec![T::default(); rows * dim],
            rng: Xoshiro256PlusPlus::seed_from_u64(key.bits()),
        }
    }

    /// Fisher and Yates; a 64-bit product's high half is uniform to 2⁻⁶⁴ of the range.
    fn shuffle(&mut self) {
        for last in (1..self.order.len()).rev() {
            let product = u128::from(self.rng.next_u64()) * (last as u128 + 1);
            self.order.swap(last, (product >> 64) as usize);
        }
        self.used = 0;
    }

    fn next_batch(&mut self) -> Option<&[T]> {
        let dim = self.training.noise.len().max(1);
        let rows = self.batch.len() / dim;
        let chosen = self.order.get(self.used..self.used + rows)?;
        self.used += rows;
        for (to, &row) in self.batch.chunks_exact_mut(dim).zip(chosen) {
            let from = self.training.values.iter().skip(row * dim);
            for ((to, &from), &noise) in to.iter_mut().zip(from).zip(&self.training.noise) {
                *to = from;
                if noise != T::zero() {
                    let u = (self.rng.next_u64() >> 11) as f64 * (f64::EPSILON / 2.0);
                    *to += noise * T::from_f64(u);
                }
            }
        }
        Some(&self.batch)
    }
}
