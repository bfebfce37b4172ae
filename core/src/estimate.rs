//! A number with its error bar: estimates of one log-determinant by independent batches.

use crate::{Backend, Draw, Error, Key, LogDet, Operator, Work, Workspace};

/// A mean of independent samples with its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean of the samples, unbiased.
    pub mean: f64,
    /// The standard error of the mean, s/√samples; infinite for fewer than two samples.
    pub standard_error: f64,
    /// Independent samples in the mean.
    pub samples: u64,
    /// Vector-Jacobian products spent, those of a pilot included.
    pub products: u64,
}

/// Mean and variance of samples in one pass (Welford 1962).
///
/// ```
/// let mut moments = detfree_core::Moments::default();
/// [1.0, 2.0, 6.0].map(|x| moments.push(x));
/// assert_eq!((moments.count(), moments.mean(), moments.variance()), (3, 3.0, 7.0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// Samples of a pilot, which tells how many fresh ones are needed, and the least number that an
    /// error bar is computed from.
    pub const PILOT: u64 = 32;

    /// A pilot's variance times this exceeds the true variance with probability 0.9 for normal
    /// samples: 31 over the 0.1 quantile of χ² with 31 degrees of freedom, 21.43.
    const PILOT_MARGIN: f64 = 31.0 / 21.43;

    /// How many fresh samples have a standard error of at most `tolerance`, where these are the moments of a
    /// pilot: in nine cases of ten for normal samples, in seven to eight where rare ones make the variance.
    #[must_use]
    pub fn needed(&self, tolerance: f64) -> f64 {
        libm::ceil(Self::PILOT_MARGIN * self.variance() / (tolerance * tolerance))
    }

    /// Takes a sample.
    pub fn push(&mut self, x: f64) {
        self.count += 1;
        let delta = x - self.mean;
        self.mean += delta / self.count as f64;
        self.squares += delta * (x - self.mean);
    }

    /// How many samples.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Their mean; 0 of none.
    #[must_use]
    pub const fn mean(&self) -> f64 {
        self.mean
    }

    /// s², unbiased; infinite for fewer than two samples.
    #[must_use]
    pub const fn variance(&self) -> f64 {
        if self.count < 2 {
            f64::INFINITY
        } else {
            self.squares / (self.count - 1) as f64
        }
    }

    /// Of the mean, s/√count.
    #[must_use]
    pub fn standard_error(&self) -> f64 {
        libm::sqrt(self.variance() / self.count as f64)
    }
}

impl LogDet {
    /// log det(I + J) of an operator whose rows are all the same J, from `samples` independent
    /// batches of probes (at least two, for an error bar).
    ///
    /// One sample is the mean over a batch's rows, which the stratified roulette makes dependent.
    /// `out` and `host` hold one number per row. The ±2 standard errors interval covers about
    /// 90% and more from 32 samples on, with a certified schedule.
    ///
    /// # Errors
    /// [`Error::Shape`] where a buffer does not fit the operator; [`Error::Invalid`] for an operator
    /// without rows; the device's.
    #[expect(clippy::too_many_arguments, reason = "the caller lends every buffer")]
    // Inlined, so that the law of terms and probes is known where the series runs.
    #[inline(always)]
    pub fn estimate<B: Backend, O: Operator<B>>(
        &self,
        b: &B,
        op: &mut O,
        samples: u64,
        key: Key,
        workspace: &mut Workspace<B>,
        out: &mut B::Rows,
        host: &mut [f64],
    ) -> Result<Estimate, Error<B::Error>> {
        let (moments, work) = self.sample(b, op, samples.max(2), key, workspace, out, host)?;
        Ok(Estimate {
            mean: moments.mean(),
            standard_error: moments.standard_error(),
            samples: moments.count(),
            products: work.products,
        })
    }

    #[expect(clippy::too_many_arguments, reason = "the caller lends every buffer")]
    #[inline(always)]
    fn sample<B: Backend, O: Operator<B>>(
        &self,
        b: &B,
        op: &mut O,
        samples: u64,
        key: Key,
        workspace: &mut Workspace<B>,
        out: &mut B::Rows,
        host: &mut [f64],
    ) -> Result<(Moments, Work), Error<B::Error>> {
        let shape = op.shape(b);
        if shape.rows == 0 {
            return Err(Error::Invalid(
                "a sample is a mean over the rows of the operator, which has none: \
                 give it a batch of at least one row",
            ));
        }
        Error::check_rows("the host's buffer", shape.rows, host.len())?;
        let mut moments = Moments::default();
        let mut work = Work::default();
        for sample in 0..samples {
            let draw = Draw::new(key.fold_in(sample));
            work += self.value(b, op, &draw, workspace, out)?;
            b.download_rows(out, host)?;
            moments.push(host.iter().sum::<f64>() / host.len() as f64);
        }
        Ok((moments, work))
    }

    /// The same to a standard error of `tolerance`, with at most `most` samples.
    ///
    /// A pilot of 32 samples chooses how many *fresh* ones make the estimate, no fewer than 32: stopping
    /// when the error looks small would bias the mean. The standard error of the result says what was
    /// reached, with the tolerance met in about nine cases of ten; where `most` is too few, or the
    /// tolerance is not a positive number, it takes `most`, or 32 where that is more. Those of the pilot come
    /// on top.
    ///
    /// # Errors
    /// As [`Self::estimate`].
    #[expect(clippy::too_many_arguments, reason = "the caller lends every buffer")]
    pub fn estimate_to_tolerance<B: Backend, O: Operator<B>>(
        &self,
        b: &B,
        op: &mut O,
        tolerance: f64,
        most: u64,
        key: Key,
        workspace: &mut Workspace<B>,
        out: &mut B::Rows,
        host: &mut [f64],
    ) -> Result<Estimate, Error<B::Error>> {
        let (least, first) = (Moments::PILOT, key.fold_in(0));
        let (pilot, work) = self.sample(b, op, least, first, workspace, out, host)?;
        let (needed, most) = (pilot.needed(tolerance), most.max(least));
        // An infinity saturates; like a NaN it means as many as allowed.
        let samples = if tolerance > 0.0 && !needed.is_nan() {
            (needed as u64).clamp(least, most)
        } else {
            most
        };
        let fresh = self.estimate(b, op, samples, key.fold_in(1), workspace, out, host)?;
        Ok(Estimate {
            products: work.products + fresh.products,
            ..fresh
        })
    }
}

#[cfg(feature = "alloc")]
mod owned {
    use super::Estimate;
    use crate::{
        Allocate, Error, Key, LogDet, Operator, Probe, Quantity, RouletteSchedule, TraceEstimator,
        Workspace,
    };

    /// log det(I + J) with an error bar, from `samples` independent batches of Rademacher probes, two at least.
    ///
    /// `op` holds the same J in every row (a row is a probe; 16 are a good number), and
    /// `contraction` bounds its norm: ‖J‖ ≤ contraction < 1.
    ///
    /// ```
    /// use detfree_core::{log_det, reference::Heap, Key, Closures, Dense, Shape};
    /// # use core::convert::Infallible;
    /// // J = 0.4 times a cyclic shift of 5 coordinates, never formed: det(I + J) = 1 + 0.4⁵.
    /// let shift = |by: usize| move |rows: core::ops::Range<usize>, x: &Dense<Vec<f64>>, out: &mut Dense<Vec<f64>>| {
    ///     for r in rows {
    ///         for i in 0..5 {
    ///             out.row_mut(r)[(i + by) % 5] = 0.4 * x.row(r)[i];
    ///         }
    ///     }
    ///     Ok::<(), Infallible>(())
    /// };
    /// let mut op = Closures::new(Shape::new(16, 5), shift(1), shift(4));
    /// let estimate = log_det(&Heap::<f64>::new(), &mut op, 0.4, 200, Key::new(1)).unwrap();
    /// let exact = (1.0 + 0.4_f64.powi(5)).ln();
    /// assert!((estimate.mean - exact).abs() < 4.0 * estimate.standard_error);
    /// assert!(estimate.standard_error < 0.02);
    /// ```
    ///
    /// # Errors
    /// [`Error::Schedule`] unless 0 < `contraction` < 1; [`Error::Invalid`] for an operator without rows; the
    /// device's.
    pub fn log_det<B: Allocate, O: Operator<B>>(
        b: &B,
        op: &mut O,
        contraction: f64,
        samples: u64,
        key: Key,
    ) -> Result<Estimate, Error<B::Error>> {
        let estimator = level_one(contraction)?;
        let shape = op.shape(b);
        let mut workspace = Workspace::allocate(b, shape)?;
        let mut out = b.rows(shape.rows)?;
        let mut host = alloc::vec![0.0; shape.rows];
        estimator.estimate(b, op, samples, key, &mut workspace, &mut out, &mut host)
    }

    /// log det(I + J) to a standard error of `tolerance`, with at most `most` batches: a pilot
    /// chooses the number of fresh probes ([`LogDet::estimate_to_tolerance`]).
    ///
    /// # Errors
    /// [`Error::Schedule`] unless 0 < `contraction` < 1; [`Error::Invalid`] for an operator without rows; the
    /// device's.
    pub fn log_det_to_tolerance<B: Allocate, O: Operator<B>>(
        b: &B,
        op: &mut O,
        contraction: f64,
        tolerance: f64,
        most: u64,
        key: Key,
    ) -> Result<Estimate, Error<B::Error>> {
        let estimator = level_one(contraction)?;
        let shape = op.shape(b);
        let mut workspace = Workspace::allocate(b, shape)?;
        let mut out = b.rows(shape.rows)?;
        let mut host = alloc::vec![0.0; shape.rows];
        estimator.estimate_to_tolerance(
            b,
            op,
            tolerance,
            most,
            key,
            &mut workspace,
            &mut out,
            &mut host,
        )
    }

    fn level_one<E>(contraction: f64) -> Result<LogDet, Error<E>> {
        Ok(LogDet {
            schedule: RouletteSchedule::certified(contraction, Quantity::Value)
                .map_err(Error::Schedule)?,
            trace: TraceEstimator::new(Probe::Rademacher, 1),
        })
    }
}

#[cfg(feature = "alloc")]
pub use owned::{log_det, log_det_to_tolerance};
