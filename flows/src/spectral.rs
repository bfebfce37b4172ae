//! Spectral normalisation with a certificate: upper bounds of ‖W‖₂ that hold after rounding.

use alloc::vec::Vec;

use detfree_core::{Allocate, Backend, DenseBackend, Error, Op, Scalar, Shape, Store};

/// Squarings of WᵀW: the bound exceeds the norm by at most a factor n^(1/64), 8% for n = 128 equal
/// singular values, and by 0.1% for those of a Gaussian matrix.
const SQUARINGS: i32 = 5;

/// An upper bound of the spectral norm ‖W‖₂ of one weight, kept valid while the weight is trained.
///
/// [`Self::certify`] computes the Schatten bound ‖W‖₂ ≤ (tr (WᵀW)ᵖ)^(1/2p), p = 32, by repeated
/// squaring, with what rounding may have taken from it added. Power iteration approaches the norm
/// from below and certifies nothing. Between such bounds [`Self::follow`] uses
/// ‖W + Δ‖₂ ≤ ‖W‖₂ + ‖Δ‖_F, at the cost of a pass over the weight.
///
/// ```
/// use detfree_core::{reference::Heap, Dense, Shape};
/// use detfree_flows::SpectralBound;
/// let b = Heap::<f64>::new();
/// let mut w = Dense::new(Shape::new(2, 2), vec![3.0, 0.0, 0.0, -4.0]).unwrap();
/// let mut bound = SpectralBound::new(&b, &w).unwrap();
/// assert!(bound.get() >= 4.0 && bound.get() < 4.001);
/// bound.limit(&b, &mut w, 0.9).unwrap();
/// assert!(bound.get() <= 0.9 && w.as_slice()[1] == 0.0 && w.as_slice()[3] < -0.89);
/// ```
#[derive(Debug)]
pub struct SpectralBound<B: Backend> {
    bound: f64,
    /// The weight that the bound is of, [out, in].
    weight: B::Batch,
    /// Powers of the smaller of WᵀW and WWᵀ, over their traces, [n, n].
    power: B::Batch,
    squared: B::Batch,
    /// Per row of the weight, or of a power.
    products: B::Rows,
    products_of_power: B::Rows,
    /// The factor of every row of a power.
    scale: B::Rows,
    host: Vec<f64>,
}

impl<B: DenseBackend + Allocate> SpectralBound<B> {
    /// The certified bound of `weight`.
    ///
    /// # Errors
    /// As [`Self::certify`].
    pub fn new(b: &B, weight: &B::Batch) -> Result<Self, Error<B::Error>> {
        let shape = b.shape(weight);
        let smaller = shape.rows.min(shape.dim);
        let square = Shape::new(smaller, smaller);
        let mut spectral = Self {
            bound: f64::INFINITY,
            weight: b.batch(shape)?,
            power: b.batch(square)?,
            squared: b.batch(square)?,
            products: b.rows(shape.rows)?,
            products_of_power: b.rows(smaller)?,
            scale: b.rows(smaller)?,
            host: alloc::vec![0.0; shape.rows.max(smaller)],
        };
        spectral.certify(b, weight)?;
        Ok(spectral)
    }
}

impl<B: DenseBackend> SpectralBound<B> {
    /// ‖W‖₂ is at most this; ∞ where the weight holds numbers that are not finite.
    #[must_use]
    pub const fn get(&self) -> f64 {
        self.bound
    }

    /// Computes the bound of `weight` anew.
    ///
    /// # Errors
    /// [`Error::Shape`] where the weight has another shape; the device's.
    pub fn certify(&mut self, b: &B, weight: &B::Batch) -> Result<(), Error<B::Error>> {
        self.check(b, weight)?;
        b.copy(weight, &mut self.weight)?;
        self.bound = self.schatten(b)?;
        Ok(())
    }

    /// The bound of `weight`, which has changed since: the last one plus the Frobenius norm of the
    /// change.
    ///
    /// # Errors
    /// [`Error::Shape`] where the weight has another shape; the device's.
    pub fn follow(&mut self, b: &B, weight: &B::Batch) -> Result<(), Error<B::Error>> {
        self.check(b, weight)?;
        let shape = b.shape(weight);
        b.axpy(0..shape.rows, -1.0, weight, &mut self.weight)?;
        let square = self.squared_norm_of_weight(b)?;
        // The difference is rounded by ε/2 of itself, and the sum in f64 by far less.
        let change = libm::sqrt(square) * (1.0 + 2.0 * B::Scalar::EPSILON);
        self.bound = finite_or_infinite(self.bound + change);
        b.copy(weight, &mut self.weight)?;
        Ok(())
    }

    /// Follows the change of `weight`, and where its norm may then exceed `limit`, certifies anew and
    /// scales the weight down to it: ‖W‖₂ ≤ `limit` after. Gives the factor, 1 for a weight that was
    /// left alone.
    ///
    /// # Errors
    /// [`Error::Shape`] where the weight has another shape; the device's.
    pub fn limit(
        &mut self,
        b: &B,
        weight: &mut B::Batch,
        limit: f64,
    ) -> Result<f64, Error<B::Error>> {
        self.follow(b, weight)?;
        if self.bound <= limit {
            return Ok(1.0);
        }
        self.certify(b, weight)?;
        if self.bound <= limit || !self.bound.is_finite() {
            return Ok(1.0);
        }
        // Rounding of the factor and of the products moves the norm up by 2ε at most.
        let factor = limit / self.bound * (1.0 - 4.0 * B::Scalar::EPSILON);
        b.fill_rows(factor, &mut self.products)?;
        b.scale_rows(&self.products, weight)?;
        b.copy(weight, &mut self.weight)?;
        self.bound = limit;
        Ok(factor)
    }

    fn check(&self, b: &B, weight: &B::Batch) -> Result<(), Error<B::Error>> {
        let (expected, found) = (b.shape(&self.weight), b.shape(weight));
        if found == expected {
            Ok(())
        } else {
            Err(Error::Shape {
                what: "the weight of a spectral bound",
                expected,
                found,
            })
        }
    }

    /// (tr Aᵖ)^(1/2p) for A = WᵀW or WWᵀ. With B₀ = A/tr A, B_{k+1} = B_k²/t_{k+1} and
    /// t_{k+1} = tr B_k² = ‖B_k‖_F², log tr A^(2^(k+1)) = 2 log tr A^(2^k) + log t_{k+1}.
    ///
    /// A rounded square differs from the square by a matrix of Frobenius norm γ t, γ = (n+2) ε, and
    /// so does its largest eigenvalue, which is at least t² of a matrix of trace t: a relative error
    /// of γ/t_{k+1}, whose 2^(k+1)-th root the bound takes.
    fn schatten(&mut self, b: &B) -> Result<f64, B::Error> {
        let shape = b.shape(&self.weight);
        let n = b.shape(&self.power).rows;
        let (all, set) = (0..shape.rows, Store::Set);
        if shape.dim <= shape.rows {
            let (w, out) = (&self.weight, &mut self.power);
            b.outer(all, 1.0, w, w, set, out)?;
        } else {
            let (w, out) = (&self.weight, &mut self.power);
            b.apply(all, w, Op::Plain, w, set, out)?;
        }
        let inner = shape.rows.max(shape.dim) as f64;
        let gamma = |length: f64| (length + 2.0) * B::Scalar::EPSILON;
        let trace = self.squared_norm_of_weight(b)?;
        if trace == 0.0 {
            return Ok(0.0);
        }
        let mut log = libm::log(trace);
        // Of A itself: ‖error‖₂ ≤ γ ‖W‖_F², and the trace is at most n times the norm.
        let mut slack = 0.5 * gamma(inner) * n as f64;
        self.scale_power(b, 1.0 / trace)?;
        for k in 1..=SQUARINGS {
            let t = self.squared_norm_of_power(b)?;
            log = 2.0 * log + libm::log(t);
            slack += libm::ldexp(gamma(n as f64) / t, -k - 1);
            if k < SQUARINGS {
                let (from, to) = (&self.power, &mut self.squared);
                b.apply(0..n, from, Op::Plain, from, set, to)?;
                core::mem::swap(&mut self.power, &mut self.squared);
                self.scale_power(b, 1.0 / t)?;
            }
        }
        let log = libm::ldexp(log, -SQUARINGS - 1);
        // Each of the few logarithms and sums is good to ε of what it is, of the order of this one.
        slack += 16.0 * f64::EPSILON * (1.0 + log.abs());
        let root = libm::exp(log);
        Ok(finite_or_infinite(root * (1.0 + slack)))
    }

    fn scale_power(&mut self, b: &B, factor: f64) -> Result<(), B::Error> {
        b.fill_rows(factor, &mut self.scale)?;
        b.scale_rows(&self.scale, &mut self.power)
    }

    fn squared_norm_of_power(&mut self, b: &B) -> Result<f64, B::Error> {
        let rows = b.shape(&self.power).rows;
        let out = &mut self.products_of_power;
        b.fill_rows(0.0, out)?;
        b.dot_rows(0..rows, 1.0, &self.power, &self.power, out)?;
        let host = self.host.get_mut(..rows).unwrap_or_default();
        b.download_rows(out, host)?;
        Ok(host.iter().sum())
    }

    fn squared_norm_of_weight(&mut self, b: &B) -> Result<f64, B::Error> {
        let rows = b.shape(&self.weight).rows;
        b.fill_rows(0.0, &mut self.products)?;
        b.dot_rows(0..rows, 1.0, &self.weight, &self.weight, &mut self.products)?;
        let host = self.host.get_mut(..rows).unwrap_or_default();
        b.download_rows(&self.products, host)?;
        Ok(host.iter().sum())
    }
}

/// NaN certifies nothing.
fn finite_or_infinite(bound: f64) -> f64 {
    if bound.is_finite() {
        bound
    } else {
        f64::INFINITY
    }
}
