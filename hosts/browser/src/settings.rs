//! The models of the page: those of the command, but for a residual flow that is small enough to be
//! watched.

use detfree_core::{Activation, Key, Probe, TraceEstimator};
use detfree_flows::residual::{EstimatorChoice, SeriesSchedule};
use detfree_flows::{FitOptions, Schedule};

/// Which kind of flow, trained how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Square layers by the relative gradient.
    Relative,
    /// Contractive residual blocks.
    Residual(LogDeterminants),
}

/// Where the log-determinants of a residual flow come from while it trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogDeterminants {
    /// Explicit Jacobians, the cheaper way in the plane.
    Explicit,
    /// The unbiased series with Russian roulette, which any dimension can afford.
    Roulette,
}

impl LogDeterminants {
    pub(crate) fn estimator(self) -> EstimatorChoice {
        match self {
            Self::Explicit => EstimatorChoice::Explicit,
            Self::Roulette => EstimatorChoice::Series {
                schedule: SeriesSchedule::Certified,
                trace: TraceEstimator::new(Probe::Rademacher, 1),
                exact_first: true,
            },
        }
    }
}

impl Method {
    /// The method of this number on the page.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Relative),
            1 => Some(Self::Residual(LogDeterminants::Explicit)),
            2 => Some(Self::Residual(LogDeterminants::Roulette)),
            _ => None,
        }
    }
}

/// The bound of every residual block's Lipschitz constant.
pub(crate) const LIPSCHITZ: f64 = 0.9;
/// Blocks of a residual flow.
pub(crate) const BLOCKS: usize = 6;
/// Hidden widths of every block.
pub(crate) const HIDDEN: [usize; 2] = [32, 32];
/// A sine fits the curved shapes of the plane.
pub(crate) const RESIDUAL_ACTIVATION: Activation = Activation::Sine;
/// The decay of the average of weights that a residual flow is evaluated with.
pub(crate) const AVERAGE: f64 = 0.99;
/// Between the layers of a relative flow.
pub(crate) const RELATIVE_ACTIVATION: Activation = Activation::LeakySoftplus { alpha: 0.3 };

/// Layers of a relative flow, no more than a parameter for every four points.
pub(crate) fn layers(points: usize) -> usize {
    (points / 24).clamp(4, 48)
}

/// How to train on so many points: for a number of steps, along a cosine, with the weights that validate
/// best kept.
pub(crate) fn training(method: Method, points: usize, key: Key) -> FitOptions {
    let (batch, steps) = match method {
        Method::Relative => (100, 20_000_u32),
        Method::Residual(_) => (128, 4_000),
    };
    // An epoch of few points is several steps all the same.
    let batch = batch.min(points / 4).max(1);
    let epochs = steps.div_ceil((points / batch).max(1) as u32);
    FitOptions {
        epochs,
        batch,
        learning_rate: 0.01,
        schedule: Schedule::Cosine,
        patience: epochs,
        key,
    }
}
