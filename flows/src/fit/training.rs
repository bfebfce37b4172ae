//! A training run with the caller in control between its steps.

use core::fmt;
use core::ops::ControlFlow;

use detfree_core::{Backend, Error, Scalar};

use super::feed::Feed;
use super::rate::Rate;
use super::{
    CheckpointError, Drift, EpochReport, FitOptions, FitReport, StepReport, Stop, Tracked, Trainer,
    TrainingRows, Validation, check_rate,
};

/// A training run that its caller takes an epoch at a time, or less, and may save.
///
/// ```
/// # use core::ops::ControlFlow;
/// # use detfree_core::{reference::Heap, Activation, BaseDensity, Key};
/// # use detfree_flows::relative::{RelativeFlow, RelativeTrainer, RelativeTraining};
/// # use detfree_flows::{FitOptions, Progress, Schedule, Training, TrainingRows};
/// # let b = Heap::<f64>::new();
/// # let key = Key::new(1);
/// # let rows: Vec<f64> = (0..90).map(|r| key.normal(r, 0)).collect();
/// # let (values, validation) = (rows.clone(), &rows[..]);
/// # let training = TrainingRows { values, noise: vec![0.0], squash: None };
/// # let (shape, schedule) = (training.batch_shape(30), Schedule::Constant);
/// # let options = FitOptions { epochs: 9, batch: 30, learning_rate: 0.1, schedule, patience: 9, key };
/// # let trainer = || {
/// #     let base = BaseDensity::Normal;
/// #     let flow = RelativeFlow::random(&b, 1, 2, Activation::Identity, base, key).unwrap();
/// #     RelativeTrainer::new(&b, flow, shape, RelativeTraining::default()).unwrap()
/// # };
/// let mut first = trainer();
/// let mut run = Training::new(&mut first, &training, validation, &options);
/// let pause = || ControlFlow::Break(()); // after the first step
/// assert_eq!(run.epoch(&b, pause).unwrap(), Progress::Paused);
/// let saved = run.checkpoint(&b).unwrap();
///
/// let mut second = trainer();
/// let mut run = Training::resume(&b, &mut second, &training, validation, &options, &saved).unwrap();
/// while run.epoch(&b, || ControlFlow::Continue(())).unwrap() != Progress::Ended {}
/// assert_eq!(run.finish(&b).unwrap().epochs, 9);
/// ```
pub struct Training<'a, B: Backend, T> {
    pub(super) trainer: &'a mut T,
    pub(super) rows: &'a TrainingRows<B::Scalar>,
    pub(super) validation: &'a [B::Scalar],
    pub(super) options: FitOptions,
    pub(super) feed: Feed<'a, B::Scalar>,
    pub(super) rate: Rate,
    pub(super) followed: Followed,
    /// Whole ones, validated.
    pub(super) epochs: u32,
    pub(super) best: Best,
    stop: Option<Stop>,
}

/// How far [`Training::epoch`] came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Progress {
    /// To the end of an epoch.
    Epoch(EpochReport),
    /// To a step after which the observer said `Break`; the next call goes on from there.
    Paused,
    /// Nowhere: training is over.
    Ended,
}

/// Of the weights that are kept.
pub(super) struct Best {
    pub(super) figure: f64,
    /// 0 where they are no epoch's.
    pub(super) epoch: u32,
}

impl<'a, B: Backend, T: Trainer<B>> Training<'a, B, T> {
    /// A run from its beginning, on `rows`, with `validation` rows (row-major, as the flow takes
    /// them) to tell the best weights.
    ///
    /// The trainer takes batches of [`TrainingRows::batch_shape`].
    #[must_use]
    pub fn new(
        trainer: &'a mut T,
        rows: &'a TrainingRows<B::Scalar>,
        validation: &'a [B::Scalar],
        options: &FitOptions,
    ) -> Self {
        let feed = Feed::new(rows, options.batch, options.key);
        Self {
            trainer,
            rows,
            validation,
            options: *options,
            rate: Rate::new(options, feed.batches()),
            feed,
            followed: Followed::default(),
            epochs: 0,
            best: Best {
                figure: f64::NEG_INFINITY,
                epoch: 0,
            },
            stop: None,
        }
    }

    /// Where the run stood when [`Self::checkpoint`] was called, in a trainer as it was at the
    /// beginning: the steps that follow are those that would have followed there, bit for bit.
    ///
    /// # Errors
    /// [`CheckpointError`] where the bytes are no checkpoint, or one of another run: of other
    /// options (but the number of epochs, unless the schedule depends on it), rows, or another
    /// trainer.
    pub fn resume(
        b: &B,
        trainer: &'a mut T,
        rows: &'a TrainingRows<B::Scalar>,
        validation: &'a [B::Scalar],
        options: &FitOptions,
        checkpoint: &[u8],
    ) -> Result<Self, CheckpointError<B::Error>> {
        let mut training = Self::new(trainer, rows, validation, options);
        training.restore(b, checkpoint)?;
        Ok(training)
    }

    /// Takes steps to the end of the epoch, and validates; `observe` is asked after every step
    /// whether to go on.
    ///
    /// # Errors
    /// [`Error::Shape`] where rows do not fit the trainer, or are not whole; [`Error::Invalid`] without rows to
    /// train on or to validate with, for rows that are not finite, or for a learning rate that is negative or not
    /// finite; the device's.
    pub fn epoch(
        &mut self,
        b: &B,
        observe: impl FnMut() -> ControlFlow<()> + Send,
    ) -> Result<Progress, Error<B::Error>> {
        self.check()?;
        self.stop = self.stop.or_else(|| self.over());
        if self.stop.is_some() {
            return Ok(Progress::Ended);
        }
        if self.feed.shuffles() == self.epochs {
            self.feed.shuffle();
            self.followed = Followed::default();
        }
        if let Some(end) = b.together(usize::MAX, |b| self.steps(b, observe))? {
            return Ok(end);
        }
        self.epochs += 1;
        let found = match self.trainer.validate(b, self.validation) {
            Ok(found) if found.mean.is_finite() => found,
            Ok(_) | Err(Error::Singular) => return Ok(self.diverge()),
            Err(error) => return Err(error),
        };
        self.offer(b, found.mean)?;
        self.rate.after_epoch(self.epochs - self.best.epoch);
        Ok(Progress::Epoch(self.report(&found)))
    }

    /// The rest of an epoch's steps; where training does not reach its end, how far it came.
    fn steps(
        &mut self,
        b: &B,
        mut observe: impl FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Progress>, Error<B::Error>> {
        while let Some(batch) = self.feed.next_batch() {
            match self.trainer.step(b, batch, self.rate.next()) {
                Ok(report) if report.log_density.is_finite() => self.followed.add(&report),
                Ok(_) | Err(Error::Singular) => return Ok(Some(self.diverge())),
                Err(error) => return Err(error),
            }
            if observe().is_break() {
                return Ok(Some(Progress::Paused));
            }
        }
        Ok(None)
    }

    /// Ends the run, with the best weights kept in the trainer: those of the moment where the first
    /// epoch has not ended. [`Trainer::conclude`] may improve them.
    ///
    /// # Errors
    /// The device's.
    pub fn finish(mut self, b: &B) -> Result<FitReport, Error<B::Error>> {
        if self.stop != Some(Stop::Diverged)
            && self.best.epoch == 0
            && let Ok(found) = self.trainer.validate(b, self.validation)
            && found.mean.is_finite()
        {
            self.offer(b, found.mean)?;
        }
        if self.best.figure.is_finite() {
            self.conclude(b)?;
        }
        Ok(FitReport {
            epochs: self.epochs,
            best_epoch: self.best.epoch,
            best: self.best.figure,
            stop: self.stop.unwrap_or(Stop::Observer),
        })
    }

    fn conclude(&mut self, b: &B) -> Result<(), Error<B::Error>> {
        b.together(usize::MAX, |b| {
            self.feed.shuffle();
            while let Some(batch) = self.feed.next_batch() {
                if !self.trainer.review(b, batch)? {
                    break;
                }
            }
            let (rows, figure) = (self.validation, self.best.figure);
            if let Some(better) = self.trainer.conclude(b, rows, figure)? {
                self.best.figure = better;
            }
            Ok(())
        })
    }

    /// Whether a step was not finite, or a weight became singular: nothing that is worth saving.
    #[must_use]
    pub fn has_diverged(&self) -> bool {
        self.stop == Some(Stop::Diverged)
    }

    /// What is trained, as it is now.
    #[must_use]
    pub const fn trainer(&self) -> &T {
        self.trainer
    }

    /// Refuses what no training comes of.
    fn check(&self) -> Result<(), Error<B::Error>> {
        let dim = self.rows.noise.len();
        if dim == 0 {
            return Err(Error::Invalid(
                "the noise of training rows has a width for every column, zero for none: \
                 give as many as there are columns",
            ));
        }
        for rows in [&self.rows.values, self.validation] {
            Error::check_whole_rows(rows.len(), dim)?;
        }
        if self.rows.values.is_empty() {
            Err(Error::Invalid("there are no rows to train on: give some"))
        } else if self.validation.is_empty() {
            Err(Error::Invalid(
                "there are no rows to validate with, which tell the weights to keep: set some apart",
            ))
        } else if self.feed.shuffles() == 0 && !self.is_finite() {
            Err(Error::Invalid(
                "a number of the rows to train on or to validate with is not finite, or a width of noise \
                 is negative: remove such rows, or use double precision for very large numbers",
            ))
        } else {
            check_rate(self.options.learning_rate)
        }
    }

    fn is_finite(&self) -> bool {
        let TrainingRows { values, noise, .. } = self.rows;
        let mut rows = values.iter().chain(self.validation).map(|x| x.to_f64());
        let mut widths = noise.iter().map(|x| x.to_f64());
        rows.all(f64::is_finite) && widths.all(|w| w >= 0.0 && w.is_finite())
    }

    fn over(&self) -> Option<Stop> {
        if self.epochs > 0 && self.epochs - self.best.epoch >= self.options.patience {
            return Some(Stop::Patience);
        }
        (self.epochs >= self.options.epochs).then_some(Stop::Epochs)
    }

    fn diverge(&mut self) -> Progress {
        self.stop = Some(Stop::Diverged);
        Progress::Ended
    }

    fn offer(&mut self, b: &B, figure: f64) -> Result<(), B::Error> {
        if figure > self.best.figure {
            self.trainer.keep(b)?;
            self.best = Best {
                figure,
                epoch: self.epochs,
            };
        }
        Ok(())
    }

    fn report(&self, found: &Validation) -> EpochReport {
        EpochReport {
            epoch: self.epochs,
            validation: found.mean,
            standard_error: found.standard_error,
            best: self.best.figure,
            learning_rate: self.rate.last,
            tracked: found.drift.map(|drift| self.followed.report(drift)),
        }
    }
}

impl<B: Backend, T: fmt::Debug> fmt::Debug for Training<'_, B, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Training")
            .field("trainer", &self.trainer)
            .field("options", &self.options)
            .field("epochs", &self.epochs)
            .field("stop", &self.stop)
            .finish_non_exhaustive()
    }
}

/// What the steps of an epoch report, summed.
#[derive(Default)]
pub(super) struct Followed {
    pub(super) log_likelihood: f64,
    pub(super) steps: f64,
    pub(super) shrinks: u32,
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
