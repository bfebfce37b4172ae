//! The course of a training run, whatever it trains: progress, checkpoints, and what ends it early.

use std::ops::ControlFlow;
use std::time::Instant;

use detfree::flows::{FitOptions, FitReport, Progress as Came, Trainer, Training, TrainingRows};
use detfree::{Backend, Shape};

use crate::failure::Failure;
use crate::fit::checkpoint::Checkpoint;
use crate::fit::interrupt;
use crate::progress::Progress;

pub(crate) struct Course<'a, S> {
    pub(crate) training: &'a TrainingRows<S>,
    pub(crate) validation: &'a [S],
    pub(crate) options: FitOptions,
    /// Brings validation to nats per row in the data's own units.
    pub(crate) log_jacobian: f64,
    pub(crate) deadline: Option<Instant>,
    pub(crate) progress: Progress,
    pub(crate) checkpoint: Option<Checkpoint>,
    /// How far validation ended below its best epoch.
    pub(crate) loss: f64,
}

impl<S> Course<'_, S> {
    pub(crate) fn batch_shape(&self) -> Shape {
        self.training.batch_shape(self.options.batch)
    }

    /// Trains to the end, from a checkpoint where there is one to go on from.
    pub(crate) fn run<B, T>(&mut self, b: &B, trainer: &mut T) -> Result<FitReport, Failure>
    where
        B: Backend<Scalar = S>,
        B::Error: std::fmt::Display,
        S: detfree::Scalar,
        T: Trainer<B>,
    {
        let result = self.train(b, trainer);
        self.progress.finish();
        result
    }

    fn train<B, T>(&mut self, b: &B, trainer: &mut T) -> Result<FitReport, Failure>
    where
        B: Backend<Scalar = S>,
        B::Error: std::fmt::Display,
        S: detfree::Scalar,
        T: Trainer<B>,
    {
        let (rows, validation, options) = (self.training, self.validation, &self.options);
        let saved = self.checkpoint.as_ref().map(Checkpoint::read).transpose()?;
        let mut training = match (saved.flatten(), &self.checkpoint) {
            (Some(saved), Some(checkpoint)) => {
                Training::resume(b, trainer, rows, validation, options, &saved)
                    .map_err(|reason| checkpoint.refuse(&reason))?
            }
            _ => Training::new(trainer, rows, validation, options),
        };
        loop {
            let over =
                || interrupt::is_raised() || self.deadline.is_some_and(|end| Instant::now() >= end);
            let due = || self.checkpoint.as_ref().is_some_and(Checkpoint::is_due);
            let came = training.epoch(b, || {
                if over() || due() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })?;
            if let Came::Epoch(report) = &came {
                self.progress.epoch(report, self.log_jacobian);
                self.loss = report.best - report.validation;
            }
            let ended = came == Came::Ended || over();
            if let Some(checkpoint) = &mut self.checkpoint
                && (ended || checkpoint.is_due())
                && !training.has_diverged()
            {
                let bytes = training.checkpoint(b);
                let bytes = bytes.map_err(|reason| checkpoint.refuse(&reason))?;
                checkpoint.write(&bytes)?;
            }
            if ended {
                return Ok(training.finish(b)?);
            }
        }
    }
}
