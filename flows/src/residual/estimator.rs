//! Which estimator of log det(I + J) a flow's blocks use, and one call for all of them.

use alloc::format;
use alloc::string::String;
use core::fmt;

use detfree_core::{LogDet, Probe, Quantity, RouletteSchedule, ScheduleError, TraceEstimator};

/// Beside the products of a series a gradient costs about this many: a jvp, and a backward pass with
/// an outer product for every weight.
const CONTRACTION_COST: f64 = 3.0;

/// Contractions below this are taken for it: certified all the same, and the series ends at once.
const LEAST_CONTRACTION: f64 = 0.05;

/// How many terms of the series are taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SeriesSchedule {
    /// The certified roulette for the bound of each block as it is: [`RouletteSchedule::certified`], or
    /// where tr J is known [`RouletteSchedule::certified_beyond_trace`].
    Certified,
    /// [`RouletteSchedule::geometric`], refused where its variance could be infinite.
    Geometric {
        /// Terms that are always taken.
        exact: u32,
        /// The probability of going on.
        continuation: f64,
    },
    /// The paper's: two exact terms, then continued with probability ½, certified or not.
    Paper,
    /// [`RouletteSchedule::poisson_unchecked`].
    Poisson {
        /// Terms that are always taken.
        exact: u32,
        /// The mean number of further ones.
        mean: f64,
    },
    /// Always so many: *biased*.
    Truncated {
        /// How many.
        terms: u32,
    },
}

/// What a user asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EstimatorChoice {
    /// The exact one where that costs no more products than the certified roulette; else the roulette,
    /// with tr J in closed form where the net has one.
    Auto,
    /// [`Estimator::Explicit`]
    Explicit,
    /// [`SeriesEstimator`], refused where it cannot be.
    Series {
        /// How many terms.
        schedule: SeriesSchedule,
        /// Which probes, and how many.
        trace: TraceEstimator,
        /// Whether tr J is taken in closed form, for one or two hidden layers.
        exact_first: bool,
    },
}

/// `roulette`, `roulette:2,0.9` with its exact terms and continuation, `paper`, `poisson:2,1` or `truncated:10`.
impl fmt::Display for SeriesSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certified => f.write_str("roulette"),
            Self::Geometric {
                exact,
                continuation,
            } => write!(f, "roulette:{exact},{continuation}"),
            Self::Paper => f.write_str("paper"),
            Self::Poisson { exact, mean } => write!(f, "poisson:{exact},{mean}"),
            Self::Truncated { terms } => write!(f, "truncated:{terms}"),
        }
    }
}

/// `auto`, `exact`, or a series with all it takes: `roulette (1 rademacher probe, tr J in closed form)`.
impl fmt::Display for EstimatorChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Explicit => f.write_str("exact"),
            Self::Series {
                schedule,
                trace,
                exact_first,
            } => {
                let first = if *exact_first {
                    ", tr J in closed form"
                } else {
                    ""
                };
                write!(f, "{schedule} ({trace}{first})")
            }
        }
    }
}

/// An estimator of the log-determinants of a residual flow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Estimator {
    /// Makes the Jacobians explicit by D products a row, and takes their determinants: no variance.
    Explicit,
    /// The series of Residual Flows, theorems 1 and 2.
    Series(SeriesEstimator),
}

/// The series of Residual Flows, theorems 1 and 2, for blocks of any contraction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeriesEstimator {
    /// How many terms.
    pub schedule: SeriesSchedule,
    /// Which probes, and how many.
    pub trace: TraceEstimator,
    /// Whether tr J is taken in closed form (ours).
    pub exact_first: bool,
    /// What the schedule must serve.
    pub quantity: Quantity,
}

impl Estimator {
    /// The estimator for nets of these widths whose Lipschitz constants stay below `lipschitz`.
    ///
    /// # Errors
    /// [`ScheduleError`] where the schedule asked for is not certified for `lipschitz`.
    pub fn choose(
        choice: EstimatorChoice,
        quantity: Quantity,
        widths: &[usize],
        lipschitz: f64,
    ) -> Result<Self, ScheduleError> {
        let (schedule, trace, exact_first) = match choice {
            EstimatorChoice::Explicit => return Ok(Self::Explicit),
            EstimatorChoice::Series {
                schedule,
                trace,
                exact_first,
            } => (schedule, trace, exact_first),
            EstimatorChoice::Auto => {
                let one = TraceEstimator::new(Probe::Rademacher, 1);
                (SeriesSchedule::Certified, one, true)
            }
        };
        let series = Self::Series(SeriesEstimator {
            schedule,
            trace,
            exact_first: exact_first && has_closed_trace(widths),
            quantity,
        });
        let dim = widths.first().copied().unwrap_or(0);
        let cost = series.cost(quantity, dim, lipschitz)?;
        let or_explicit = choice == EstimatorChoice::Auto;
        if or_explicit && Self::Explicit.cost(quantity, dim, lipschitz)? <= cost {
            return Ok(Self::Explicit);
        }
        Ok(series)
    }

    /// Products a row in expectation.
    pub(super) fn products(&self, dim: usize, lipschitz: f64) -> Result<f64, ScheduleError> {
        self.cost(Quantity::Value, dim, lipschitz)
    }

    /// The same with what a gradient costs beside them.
    fn cost(&self, quantity: Quantity, dim: usize, lipschitz: f64) -> Result<f64, ScheduleError> {
        let contraction = match quantity {
            Quantity::Value => 0.0,
            Quantity::Gradient => CONTRACTION_COST,
        };
        Ok(match self {
            Self::Explicit => dim as f64 * (1.0 + contraction),
            Self::Series(series) => {
                let terms = series.log_det(lipschitz)?.schedule.expected_terms();
                f64::from(series.trace.passes(dim)) * (terms + contraction)
            }
        })
    }

    /// What this estimator is and what it costs, in one line, for nets of these widths.
    #[must_use]
    pub fn explain(&self, widths: &[usize], lipschitz: f64) -> String {
        let dim = widths.first().copied().unwrap_or(0);
        match self {
            Self::Explicit => format!(
                "exact: {dim} products a row and block make the Jacobian explicit; no variance"
            ),
            Self::Series(series) => series.explain(dim, lipschitz),
        }
    }
}

impl SeriesEstimator {
    fn explain(&self, dim: usize, lipschitz: f64) -> String {
        let terms = self
            .log_det(lipschitz)
            .map_or(f64::NAN, |log_det| log_det.schedule.expected_terms());
        let schedule = match self.schedule {
            SeriesSchedule::Certified => {
                format!(
                    "Russian roulette with a finite variance certified for Lipschitz {lipschitz}"
                )
            }
            SeriesSchedule::Geometric {
                exact,
                continuation,
            } => format!("Russian roulette, {exact} terms, then continued with {continuation}"),
            SeriesSchedule::Paper => {
                "Russian roulette, 2 terms, then continued with 1/2 (not certified)".into()
            }
            SeriesSchedule::Poisson { exact, mean } => {
                format!("Russian roulette, {exact} terms and Poisson({mean}) more (not certified)")
            }
            SeriesSchedule::Truncated { terms } => {
                format!("a series cut after {terms} terms: biased")
            }
        };
        let first = if self.exact_first {
            "tr J in closed form, "
        } else {
            ""
        };
        let passes = self.trace.passes(dim);
        format!(
            "{schedule}: {first}{passes} probe{} a row, {:.1} products a row and block on average, \
             where exact Jacobians take {dim}",
            if passes == 1 { "" } else { "s" },
            f64::from(passes) * terms,
        )
    }

    /// The estimator for a block whose Jacobians have norms of at most `contraction`.
    pub(super) fn log_det(&self, contraction: f64) -> Result<LogDet, ScheduleError> {
        let contraction = contraction.max(LEAST_CONTRACTION);
        let schedule = match self.schedule {
            SeriesSchedule::Certified if self.exact_first => {
                RouletteSchedule::certified_beyond_trace(contraction, self.quantity)?
            }
            SeriesSchedule::Certified => RouletteSchedule::certified(contraction, self.quantity)?,
            SeriesSchedule::Geometric {
                exact,
                continuation,
            } => RouletteSchedule::geometric(exact, continuation, contraction, self.quantity)?,
            SeriesSchedule::Paper => RouletteSchedule::geometric_unchecked(2, 0.5)?,
            SeriesSchedule::Poisson { exact, mean } => {
                RouletteSchedule::poisson_unchecked(exact, mean)?
            }
            SeriesSchedule::Truncated { terms } => RouletteSchedule::truncated(terms)?,
        };
        Ok(LogDet {
            schedule,
            trace: self.trace,
        })
    }
}

/// Nets with one or two hidden layers have tr J in closed form.
fn has_closed_trace(widths: &[usize]) -> bool {
    (3..=4).contains(&widths.len())
}
