//! The learning rate from step to step.

use core::f64::consts::PI;
use core::fmt;

use super::FitOptions;

/// How the learning rate changes from its initial value μ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Halved after each quarter of [`FitOptions::patience`] without improvement.
    Plateau,
    /// It stays.
    Constant,
    /// μ (1 + cos(π t/T))/2 at step t of T, those of all [`FitOptions::epochs`] (Loshchilov and
    /// Hutter 2017).
    Cosine,
}

/// `plateau`, `constant` or `cosine`.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plateau => "plateau",
            Self::Constant => "constant",
            Self::Cosine => "cosine",
        })
    }
}

/// The learning rate from step to step.
pub(super) struct Rate {
    options: FitOptions,
    /// Of all epochs.
    steps: f64,
    pub(super) taken: f64,
    /// 2⁻ⁿ after n halvings.
    pub(super) factor: f64,
    pub(super) last: f64,
}

impl Rate {
    pub(super) fn new(options: &FitOptions, steps_per_epoch: usize) -> Self {
        Self {
            options: *options,
            steps: f64::from(options.epochs) * steps_per_epoch as f64,
            taken: 0.0,
            factor: 1.0,
            last: options.learning_rate,
        }
    }

    pub(super) fn next(&mut self) -> f64 {
        let factor = match self.options.schedule {
            Schedule::Plateau | Schedule::Constant => self.factor,
            Schedule::Cosine => 0.5 + 0.5 * libm::cos(PI * self.taken / self.steps),
        };
        self.taken += 1.0;
        self.last = factor * self.options.learning_rate;
        self.last
    }

    /// After an epoch, with this many since the best one.
    pub(super) fn after_epoch(&mut self, idle: u32) {
        let quarter = (self.options.patience / 4).max(1);
        if self.options.schedule == Schedule::Plateau && idle > 0 && idle.is_multiple_of(quarter) {
            self.factor *= 0.5;
        }
    }
}
