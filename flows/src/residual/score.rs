//! Log-densities of rows, exact or to a tolerance.

use alloc::vec::Vec;
use core::fmt;

use detfree_core::{
    Allocate, Error, FlowBackend, Key, Moments, Probe, Quantity, ScheduleError, TraceEstimator,
};

use super::evaluate::Evaluator;
use super::{Block, Estimator, EstimatorChoice, ResidualFlow, SeriesSchedule};

/// How well a log-density is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Accuracy {
    /// Explicit Jacobians, refused where they take more products a row than this.
    Exact {
        /// Vector-Jacobian products a row.
        most_products: u64,
    },
    /// Explicit Jacobians where those take no more products than a pilot, else as many unbiased estimates
    /// as every row needs.
    StandardError {
        /// Of each row, in nats.
        tolerance: f64,
        /// Vector-Jacobian products a row.
        most_products: u64,
    },
}

/// A row's log-density.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowScore {
    /// log p, in nats: unbiased, so that means and bits per dimension are. Its exponential is *not* an
    /// unbiased p, nor is the logarithm of a mean of such exponentials.
    pub log_density: f64,
    /// Of `log_density`; 0 where it is deterministic. The interval of ±2 of them covers the truth in at
    /// least 90% of cases.
    pub standard_error: f64,
    /// A certified bound of what rounding does to deterministic log-determinants, at the inputs that the
    /// blocks have been given; 0 for estimates.
    pub rounding: f64,
}

/// The scores of rows, and what they took.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// In order.
    pub rows: Vec<RowScore>,
    /// The estimator that was chosen.
    pub estimator: Estimator,
    /// Vector-Jacobian products, of all rows.
    pub products: u64,
    /// Rows whose standard error stayed above the tolerance when their products were spent.
    pub above_tolerance: usize,
}

/// Why rows were not scored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ScoreError<E> {
    /// Exact figures take more products than allowed.
    TooManyProducts {
        /// What a row takes.
        needed: u64,
        /// What it may.
        most: u64,
    },
    /// The tolerance is not a positive number.
    Tolerance {
        /// What was given.
        tolerance: f64,
    },
    /// A buffer does not fit, or the backend failed.
    Compute(Error<E>),
}

impl<E> From<Error<E>> for ScoreError<E> {
    fn from(error: Error<E>) -> Self {
        Self::Compute(error)
    }
}

impl<E: fmt::Display> fmt::Display for ScoreError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyProducts { needed, most } => write!(
                f,
                "exact log-determinants take {needed} products a row and {most} are allowed: allow more, \
                 or accept a standard error"
            ),
            Self::Tolerance { tolerance } => write!(
                f,
                "the standard error wanted is {tolerance}, expected a positive number of nats"
            ),
            Self::Compute(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for ScoreError<E> {}

impl<B: FlowBackend + Allocate + Sync> ResidualFlow<B> {
    /// log p of every row of row-major `rows`, on as many threads as `workers`.
    ///
    /// To a standard error, 32 estimates of every row are a pilot that tells how many *fresh* ones it
    /// gets: stopping when an error looks small would bias the figure. Where tr J is known, the control
    /// variates of [`Tape::fit_controls`](super::Tape::fit_controls) are fitted to the first rows, with draws
    /// of their own. About one row in ten stays
    /// somewhat above the tolerance by chance; more do where long series make the estimates' tails heavy,
    /// and [`Scores::above_tolerance`] counts them.
    ///
    /// # Errors
    /// [`ScoreError`]; a flow that is not certified to be invertible gives [`Error::Schedule`] inside.
    pub fn score(
        &self,
        b: &B,
        rows: &[B::Scalar],
        accuracy: Accuracy,
        key: Key,
        workers: usize,
    ) -> Result<Scores, ScoreError<B::Error>> {
        let (tolerance, most) = match accuracy {
            Accuracy::Exact { most_products } => (None, most_products),
            Accuracy::StandardError {
                tolerance,
                most_products,
            } => (Some(tolerance), most_products),
        };
        if let Some(tolerance) = tolerance.filter(|t| t.is_nan() || *t <= 0.0) {
            return Err(ScoreError::Tolerance { tolerance });
        }
        let estimator = self
            .estimator(b, accuracy)
            .map_err(|error| ScoreError::Compute(Error::Schedule(error)))?;
        let count = rows.len() / self.dim.max(1);
        let mut evaluator = Evaluator::new(b, self, estimator, count, workers)?;
        match (estimator, tolerance) {
            (Estimator::Explicit, _) => {
                let needed = (self.dim * self.blocks.len()) as u64;
                if needed > most {
                    return Err(ScoreError::TooManyProducts { needed, most });
                }
                self.exact(b, &mut evaluator, rows, key)
            }
            (Estimator::Series(_), tolerance) => {
                let tolerance = tolerance.unwrap_or(f64::INFINITY);
                let mut spending = Spending {
                    evaluator: &mut evaluator,
                    flow: self,
                    tolerance,
                    most,
                    products: 0,
                };
                let (rows, above_tolerance) = spending.run(b, rows, key)?;
                Ok(Scores {
                    rows,
                    estimator,
                    products: spending.products,
                    above_tolerance,
                })
            }
        }
    }

    /// The estimator that [`Self::score`] uses.
    ///
    /// # Errors
    /// [`ScheduleError`] for a flow that is not certified to be invertible.
    pub fn estimator(&self, b: &B, accuracy: Accuracy) -> Result<Estimator, ScheduleError> {
        let widths = self.widths(b);
        let contraction = self.blocks.iter().map(Block::bound);
        let contraction = contraction.fold(0.0, f64::max);
        let choose = |choice| Estimator::choose(choice, Quantity::Value, &widths, contraction);
        let series = choose(EstimatorChoice::Series {
            schedule: SeriesSchedule::Certified,
            trace: TraceEstimator::new(Probe::Rademacher, 1),
            exact_first: true,
        })?;
        let blocks = self.blocks.len() as f64;
        let Accuracy::StandardError { most_products, .. } = accuracy else {
            return Ok(Estimator::Explicit);
        };
        let explicit = self.dim as f64;
        let pilot = Moments::PILOT as f64 * series.products(self.dim, contraction)?;
        let affordable = explicit * blocks <= most_products as f64;
        Ok(if explicit <= pilot && affordable {
            Estimator::Explicit
        } else {
            series
        })
    }

    fn exact(
        &self,
        b: &B,
        evaluator: &mut Evaluator<B>,
        rows: &[B::Scalar],
        key: Key,
    ) -> Result<Scores, ScoreError<B::Error>> {
        let mut figures = Vec::new();
        let products = evaluator.log_density(b, self, rows, key, &mut figures)?;
        let rounding = self.rounding(b).map_err(Error::Device)?;
        let row = |log_density| RowScore {
            log_density,
            standard_error: 0.0,
            rounding,
        };
        Ok(Scores {
            rows: figures.into_iter().map(row).collect(),
            estimator: Estimator::Explicit,
            products,
            above_tolerance: 0,
        })
    }
}

/// Estimates, row by row as many as it needs.
struct Spending<'a, B: FlowBackend> {
    evaluator: &'a mut Evaluator<B>,
    flow: &'a ResidualFlow<B>,
    tolerance: f64,
    most: u64,
    products: u64,
}

impl<B: FlowBackend + Allocate + Sync> Spending<'_, B> {
    fn run(
        &mut self,
        b: &B,
        rows: &[B::Scalar],
        key: Key,
    ) -> Result<(Vec<RowScore>, usize), ScoreError<B::Error>> {
        let dim = self.flow.dim.max(1);
        let count = rows.len() / dim;
        let mut pilot = alloc::vec![Moments::default(); count];
        let mut figures = Vec::new();
        let controls = self
            .evaluator
            .fit_controls(b, self.flow, rows, key.fold_in(2))?;
        for sample in 0..Moments::PILOT {
            figures.clear();
            let key = key.fold_in(0).fold_in(sample);
            self.products += self
                .evaluator
                .log_density(b, self.flow, rows, key, &mut figures)?;
            let pairs = pilot.iter_mut().zip(&figures);
            pairs.for_each(|(moments, &figure)| moments.push(figure));
        }
        let per_row = self.products as f64 / count.max(1) as f64;
        let affordable = (self.most as f64 - per_row - controls as f64 / count.max(1) as f64)
            / (per_row / Moments::PILOT as f64);
        let affordable = (affordable as u64).max(1);
        // A NaN saturates to 0, and more than can be counted to the most.
        let needs =
            |moments: &Moments| (moments.needed(self.tolerance) as u64).clamp(1, affordable);
        // The neediest first: those that still need estimates are then a prefix.
        let mut order: Vec<(u64, usize)> = pilot.iter().map(needs).zip(0..).collect();
        order.sort_unstable_by(|x, y| y.cmp(x));
        let mut sorted: Vec<B::Scalar> = Vec::with_capacity(rows.len());
        for &(_, row) in &order {
            sorted.extend(rows.iter().skip(row * dim).take(dim));
        }
        let mut fresh = alloc::vec![Moments::default(); count];
        let mut sample = 0;
        let mut left = count;
        while left > 0 {
            figures.clear();
            let rows = sorted.get(..left * dim).unwrap_or_default();
            let key = key.fold_in(1).fold_in(sample);
            self.products += self
                .evaluator
                .log_density(b, self.flow, rows, key, &mut figures)?;
            for (moments, &figure) in fresh.iter_mut().zip(&figures) {
                moments.push(figure);
            }
            sample += 1;
            left = order.partition_point(|&(needed, _)| needed > sample);
        }
        self.products += controls;
        let nothing = RowScore {
            log_density: f64::NAN,
            standard_error: f64::INFINITY,
            rounding: 0.0,
        };
        let mut scores = alloc::vec![nothing; count];
        for (fresh, &(_, row)) in fresh.iter().zip(&order) {
            if let (Some(score), Some(pilot)) = (scores.get_mut(row), pilot.get(row)) {
                score.log_density = fresh.mean();
                score.standard_error = libm::sqrt(pooled(pilot, fresh) / fresh.count() as f64);
            }
        }
        let above = |score: &&RowScore| score.standard_error > self.tolerance;
        let above = scores.iter().filter(above).count();
        Ok((scores, above))
    }
}

/// The variance of one estimate from two sets of them: few fresh ones alone would tell it badly.
fn pooled(pilot: &Moments, fresh: &Moments) -> f64 {
    let (m, n) = (pilot.count() as f64 - 1.0, fresh.count() as f64 - 1.0);
    let fresh = if n > 0.0 { n * fresh.variance() } else { 0.0 };
    (m * pilot.variance() + fresh) / (m + n)
}
