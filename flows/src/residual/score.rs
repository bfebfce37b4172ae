//! Log-densities of rows, exact or to a tolerance.

mod spending;
mod turns;

use alloc::vec::Vec;
use core::fmt;

use detfree_core::{
    Allocate, Error, FlowBackend, Key, Moments, Probe, Quantity, ScheduleError, TraceEstimator,
};

use super::controls::fitting;
use super::evaluate::Evaluator;
use super::{Estimator, EstimatorChoice, ResidualFlow, SeriesSchedule};
use spending::Spending;

/// Of few rows, several estimates are run at once, as they are much cheaper together: the last time may take
/// more of a row than it needs, by one part in this of the estimates that are left to it.
const SPARE: f64 = 16.0;

/// How well a log-density is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Accuracy {
    /// Explicit Jacobians, refused where they take more products a row than this.
    Exact {
        /// Vector-Jacobian products a row.
        most_products: u64,
    },
    /// Explicit Jacobians where those take no more products than a pilot, else as many unbiased estimates
    /// as every row needs, or as its products allow.
    StandardError {
        /// Of each row, in nats.
        tolerance: f64,
        /// Vector-Jacobian products a row, in expectation; refused where they do not suffice for a pilot and
        /// one estimate.
        most_products: u64,
    },
}

/// A row's log-density.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowScore {
    /// log p, in nats: unbiased, so that means and bits per dimension are. Its exponential is *not* an
    /// unbiased p, nor is the logarithm of a mean of such exponentials.
    pub log_density: f64,
    /// Of `log_density`; 0 where it is deterministic, and NaN where it is not finite. The interval of ±2 of them covers the truth in at
    /// least 90% of cases.
    pub standard_error: f64,
    /// A certified bound of what rounding does to deterministic log-determinants; 0 for estimates.
    ///
    /// It covers the nets' values, slopes and products in the backend's precision, and elimination and
    /// logarithms in double precision, at the inputs that the blocks have been given; those, the base's
    /// density and the sum of all are rounded as in any net, and numbers are taken not to underflow. It is a
    /// worst case that grows with a row's norm: in single precision, wide nets and rows far out may have
    /// bounds of whole nats where errors are of 10⁻⁵, and infinite ones. Double precision leaves bounds that
    /// are of use.
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
    /// Rows whose standard error stayed above the tolerance, or is NaN.
    pub above_tolerance: usize,
    /// Rows that need more estimates, by their pilot, than the products allow.
    pub limited: usize,
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
    /// A pilot and one estimate take more products than allowed.
    TooFewProducts {
        /// What a row takes at least.
        least: u64,
        /// What it may.
        most: u64,
    },
    /// A block is not certified to be a contraction.
    NotCertified {
        /// The block, from 0.
        block: usize,
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
            Self::TooFewProducts { least, most } => write!(
                f,
                "scores take {least} products a row at least, for a pilot and one estimate, and {most} \
                 are allowed: allow {least} or more"
            ),
            Self::NotCertified { block } => write!(
                f,
                "block {block} (from 0) is not certified to be a contraction, as its weights are not \
                 finite: score the flow that was kept before training diverged"
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
    /// or where the products allowed do not suffice, and [`Scores::above_tolerance`] counts them. The errors of
    /// different rows add up in their mean like those of independent ones.
    ///
    /// # Errors
    /// [`ScoreError`], where it can be before anything is spent.
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
        let certified = |bound: f64| (0.0..1.0).contains(&bound);
        if let Some(block) = self.contractions().position(|bound| !certified(bound)) {
            return Err(ScoreError::NotCertified { block });
        }
        let schedule = |error| ScoreError::Compute(Error::Schedule(error));
        let estimator = self.estimator(b, accuracy).map_err(schedule)?;
        let needed = match (estimator, tolerance) {
            (Estimator::Explicit, _) => self.explicit_products(),
            _ => self.least_products(estimator).map_err(schedule)?,
        };
        if needed > most {
            return Err(match tolerance {
                None => ScoreError::TooManyProducts { needed, most },
                Some(_) => ScoreError::TooFewProducts {
                    least: needed.min(self.explicit_products()),
                    most,
                },
            });
        }
        let count = rows.len() / self.dim.max(1);
        match (estimator, tolerance) {
            (Estimator::Series(_), Some(tolerance)) if count > 0 => {
                let per_estimate = self.per_estimate(estimator).map_err(schedule)?;
                let spare = (most - needed) as f64 / per_estimate;
                let together = count.saturating_mul(1 + (spare / SPARE) as usize);
                let mut spending = Spending {
                    evaluator: Evaluator::new(b, self, estimator, together, workers)?,
                    flow: self,
                    estimator,
                    tolerance,
                    most,
                    products: 0,
                };
                let (rows, limited) = spending.run(b, rows, key)?;
                Ok(Scores {
                    above_tolerance: above(&rows, tolerance),
                    rows,
                    estimator,
                    products: spending.products,
                    limited,
                })
            }
            _ => {
                let workers = workers.min(count.max(1));
                let mut evaluator = Evaluator::new(b, self, estimator, count, workers)?;
                self.exact(b, &mut evaluator, rows, key)
            }
        }
    }

    /// The estimator that [`Self::score`] uses.
    ///
    /// # Errors
    /// [`ScheduleError`] for a flow that is not certified to be invertible.
    pub fn estimator(&self, b: &B, accuracy: Accuracy) -> Result<Estimator, ScheduleError> {
        let widths = self.widths(b);
        let mut contraction = 0.0_f64;
        for bound in self.contractions() {
            if !(0.0..1.0).contains(&bound) {
                return Err(ScheduleError::Contraction { contraction: bound });
            }
            contraction = contraction.max(bound);
        }
        let choose = |choice| Estimator::choose(choice, Quantity::Value, &widths, contraction);
        let series = choose(EstimatorChoice::Series {
            schedule: SeriesSchedule::Certified,
            trace: TraceEstimator::new(Probe::Rademacher, 1),
            exact_first: true,
        })?;
        let Accuracy::StandardError { most_products, .. } = accuracy else {
            return Ok(Estimator::Explicit);
        };
        let pilot = Moments::PILOT as f64 * series.products(self.dim, contraction)?;
        let cheap = self.dim as f64 <= pilot || self.least_products(series)? > most_products;
        let affordable = self.explicit_products() <= most_products;
        Ok(if cheap && affordable {
            Estimator::Explicit
        } else {
            series
        })
    }

    /// What explicit Jacobians take, of a row.
    const fn explicit_products(&self) -> u64 {
        self.dim as u64 * self.blocks.len() as u64
    }

    /// What a pilot, the fit of the control variates and one estimate take in expectation, of a row, with an
    /// estimate for what fills up the last piece of each.
    fn least_products(&self, estimator: Estimator) -> Result<u64, ScheduleError> {
        let mut least = (Moments::PILOT + 3) as f64 * self.per_estimate(estimator)?;
        for bound in self.contractions() {
            least += fitting(estimator, estimator.products(self.dim, bound)?);
        }
        Ok(libm::ceil(least) as u64)
    }

    /// What an estimate takes in expectation, of a row.
    fn per_estimate(&self, estimator: Estimator) -> Result<f64, ScheduleError> {
        let mut products = 0.0;
        for bound in self.contractions() {
            products += estimator.products(self.dim, bound)?;
        }
        Ok(products)
    }

    fn exact(
        &self,
        b: &B,
        evaluator: &mut Evaluator<B>,
        rows: &[B::Scalar],
        key: Key,
    ) -> Result<Scores, ScoreError<B::Error>> {
        let (mut figures, mut bounds) = (Vec::new(), Vec::new());
        let products =
            evaluator.bounded_log_density(b, self, rows, key, &mut figures, &mut bounds)?;
        let row = |(log_density, rounding)| RowScore {
            log_density,
            // What is not finite is not known.
            standard_error: if f64::is_finite(log_density) {
                0.0
            } else {
                f64::NAN
            },
            rounding,
        };
        let rows: Vec<RowScore> = figures.into_iter().zip(bounds).map(row).collect();
        Ok(Scores {
            above_tolerance: above(&rows, 0.0),
            rows,
            estimator: Estimator::Explicit,
            products,
            limited: 0,
        })
    }
}

/// How many standard errors are above `tolerance`, or NaN.
fn above(rows: &[RowScore], tolerance: f64) -> usize {
    let within = |row: &&RowScore| row.standard_error <= tolerance;
    rows.len() - rows.iter().filter(within).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::residual::ResidualOptions;
    use detfree_core::reference::Heap;
    use detfree_core::{Activation, Backend, BaseDensity, Fill};

    /// A step that diverged leaves a bound of ∞.
    #[test]
    fn flows_without_a_certificate_are_refused() {
        let b = Heap::<f64>::new();
        let options = ResidualOptions {
            blocks: 3,
            hidden: alloc::vec![4],
            activation: Activation::Tanh,
            lipschitz: 0.9,
            base: BaseDensity::Normal,
        };
        let mut flow = ResidualFlow::random(&b, 2, &options, Key::new(1)).unwrap();
        let block = &mut flow.blocks[1];
        b.fill(
            Fill::Constant(f64::NAN),
            &mut block.net.layers_mut()[0].weight,
        )
        .unwrap();
        block.limit(&b).unwrap();
        let most_products = 10_000;
        for accuracy in [
            Accuracy::Exact { most_products },
            Accuracy::StandardError {
                tolerance: 0.1,
                most_products,
            },
        ] {
            let score =
                |flow: &ResidualFlow<_>| flow.score(&b, &[0.1; 4], accuracy, Key::new(1), 1);
            let refused = ScoreError::NotCertified { block: 1 };
            assert_eq!(score(&flow), Err(refused));
            assert!(matches!(
                flow.estimator(&b, accuracy),
                Err(ScheduleError::Contraction { .. })
            ));
        }
    }
}
