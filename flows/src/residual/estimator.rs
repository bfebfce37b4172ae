//! Which estimator of log det(I + J) a flow's blocks use, and one call for all of them.

use alloc::format;
use alloc::string::String;

use detfree_core::{
    Allocate, Backend, DenseBackend, Draw, Error, LogDet, Probe, Quantity, RouletteSchedule,
    ScheduleError, Shape, TraceEstimator, Work, Workspace,
};

use super::Block;
use super::explicit::Explicit;
use crate::mlp::{Mlp, MlpGradient, MlpOperator, TraceTape};

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
    /// [`Estimator::Series`], refused where it cannot be.
    Series {
        /// How many terms.
        schedule: SeriesSchedule,
        /// Which probes, and how many.
        trace: TraceEstimator,
        /// Whether tr J is taken in closed form, for one or two hidden layers.
        exact_first: bool,
    },
}

/// An estimator of the log-determinants of a residual flow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Estimator {
    /// Makes the Jacobians explicit by D products a row, and takes their determinants: no variance.
    Explicit,
    /// The series of Residual Flows, theorems 1 and 2.
    Series {
        /// How many terms.
        schedule: SeriesSchedule,
        /// Which probes, and how many.
        trace: TraceEstimator,
        /// Whether tr J is taken in closed form (ours).
        exact_first: bool,
        /// What the schedule must serve.
        quantity: Quantity,
    },
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
        let series = |schedule, trace, exact_first| Self::Series {
            schedule,
            trace,
            exact_first: exact_first && has_closed_trace(widths),
            quantity,
        };
        let chosen = match choice {
            EstimatorChoice::Explicit => Self::Explicit,
            EstimatorChoice::Series {
                schedule,
                trace,
                exact_first,
            } => series(schedule, trace, exact_first),
            EstimatorChoice::Auto => {
                let one = TraceEstimator::new(Probe::Rademacher, 1);
                let series = series(SeriesSchedule::Certified, one, true);
                let dim = widths.first().copied().unwrap_or(0);
                if Self::Explicit.cost(quantity, dim, lipschitz)?
                    <= series.cost(quantity, dim, lipschitz)?
                {
                    Self::Explicit
                } else {
                    series
                }
            }
        };
        if let Self::Series { .. } = chosen {
            chosen.log_det(lipschitz)?;
        }
        Ok(chosen)
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
            Self::Series { trace, .. } => {
                let terms = self.log_det(lipschitz)?.schedule.expected_terms();
                f64::from(trace.passes(dim)) * (terms + contraction)
            }
        })
    }

    /// What this estimator is and what it costs, in one line, for nets of these widths.
    #[must_use]
    pub fn explain(&self, widths: &[usize], lipschitz: f64) -> String {
        let dim = widths.first().copied().unwrap_or(0);
        let Self::Series {
            schedule,
            trace,
            exact_first,
            ..
        } = self
        else {
            return format!(
                "exact: {dim} products a row and block make the Jacobian explicit; no variance"
            );
        };
        let terms = self
            .log_det(lipschitz)
            .map_or(f64::NAN, |log_det| log_det.schedule.expected_terms());
        let schedule = match schedule {
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
        let first = if *exact_first {
            "tr J in closed form, "
        } else {
            ""
        };
        let passes = trace.passes(dim);
        format!(
            "{schedule}: {first}{passes} probe{} a row, {:.1} products a row and block on average, \
             where exact Jacobians take {dim}",
            if passes == 1 { "" } else { "s" },
            f64::from(passes) * terms,
        )
    }

    fn log_det(&self, contraction: f64) -> Result<LogDet, ScheduleError> {
        let Self::Series {
            schedule,
            trace,
            quantity,
            exact_first,
        } = *self
        else {
            return RouletteSchedule::truncated(1).map(|schedule| LogDet {
                schedule,
                trace: TraceEstimator::new(Probe::Basis, 1),
            });
        };
        let contraction = contraction.max(LEAST_CONTRACTION);
        let schedule = match schedule {
            SeriesSchedule::Certified if exact_first => {
                RouletteSchedule::certified_beyond_trace(contraction, quantity)?
            }
            SeriesSchedule::Certified => RouletteSchedule::certified(contraction, quantity)?,
            SeriesSchedule::Geometric {
                exact,
                continuation,
            } => RouletteSchedule::geometric(exact, continuation, contraction, quantity)?,
            SeriesSchedule::Paper => RouletteSchedule::geometric_unchecked(2, 0.5)?,
            SeriesSchedule::Poisson { exact, mean } => {
                RouletteSchedule::poisson_unchecked(exact, mean)?
            }
            SeriesSchedule::Truncated { terms } => RouletteSchedule::truncated(terms)?,
        };
        Ok(LogDet { schedule, trace })
    }
}

/// Nets with one or two hidden layers have tr J in closed form.
fn has_closed_trace(widths: &[usize]) -> bool {
    (3..=4).contains(&widths.len())
}

/// What an estimator needs beside the net's tape.
pub(super) enum Memory<B: Backend> {
    Explicit(Explicit<B>),
    Series(Workspace<B>),
    ExactFirst(Workspace<B>, TraceTape<B>),
}

/// What to estimate, and how: one block's turn.
#[derive(Clone, Copy)]
pub(super) struct Turn<'a, B: Backend> {
    pub(super) estimator: &'a Estimator,
    /// A bound of the block's Lipschitz constant.
    pub(super) contraction: f64,
    pub(super) net: &'a Mlp<B>,
    pub(super) draw: Draw,
}

impl<B: DenseBackend + Allocate> Memory<B> {
    pub(super) fn new(
        b: &B,
        estimator: &Estimator,
        net: &Mlp<B>,
        shape: Shape,
    ) -> Result<Self, Error<B::Error>> {
        Ok(match estimator {
            Estimator::Explicit => Self::Explicit(Explicit::new(b, shape)?),
            Estimator::Series {
                exact_first: true, ..
            } => Self::ExactFirst(Workspace::allocate(b, shape)?, TraceTape::new(b, net)?),
            Estimator::Series { .. } => Self::Series(Workspace::allocate(b, shape)?),
        })
    }
}

impl<B: DenseBackend> Memory<B> {
    /// out_r ← an estimate of log det(I + J_r).
    pub(super) fn value(
        &mut self,
        b: &B,
        turn: Turn<'_, B>,
        mut op: MlpOperator<'_, B>,
        out: &mut B::Rows,
    ) -> Result<Work, Error<B::Error>> {
        match self {
            Self::Explicit(explicit) => explicit.value(b, &mut op, out),
            Self::Series(workspace) => turn
                .log_det()?
                .value(b, &mut op, &turn.draw, workspace, out),
            Self::ExactFirst(workspace, trace) => {
                trace.refresh(b, turn.net)?;
                let mut op = op.with_trace(trace);
                let estimator = turn.log_det()?.with_exact_first();
                estimator.value(b, &mut op, &turn.draw, workspace, out)
            }
        }
    }

    /// The same, and gradient ← gradient + its weighted gradient, with what waited in the operator.
    pub(super) fn value_and_gradient(
        &mut self,
        b: &B,
        turn: Turn<'_, B>,
        mut op: MlpOperator<'_, B>,
        weights: &B::Rows,
        out: &mut B::Rows,
        gradient: &mut MlpGradient<B>,
    ) -> Result<Work, Error<B::Error>> {
        let (draw, weights) = (&turn.draw, Some(weights));
        match self {
            Self::Explicit(explicit) => {
                explicit.value_and_gradient(b, &mut op, weights, out, gradient)
            }
            Self::Series(workspace) => turn
                .log_det()?
                .value_and_gradient(b, &mut op, draw, weights, workspace, out, gradient),
            Self::ExactFirst(workspace, trace) => {
                trace.refresh(b, turn.net)?;
                let mut op = op.with_trace(trace);
                turn.log_det()?
                    .with_exact_first()
                    .value_and_gradient(b, &mut op, draw, weights, workspace, out, gradient)
            }
        }
    }
}

impl<'a, B: Backend> Turn<'a, B> {
    /// The turn of block number `i`, with a stream of its own.
    pub(super) fn new(estimator: &'a Estimator, block: &'a Block<B>, i: usize, draw: Draw) -> Self {
        let key = draw.key.fold_in(i as u64);
        Self {
            estimator,
            contraction: block.bound(),
            net: &block.net,
            draw: Draw { key, ..draw },
        }
    }

    fn log_det(&self) -> Result<LogDet, Error<B::Error>> {
        self.estimator
            .log_det(self.contraction)
            .map_err(Error::Schedule)
    }
}
