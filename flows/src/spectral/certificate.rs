//! Certificates that a spectral norm is below a number, after rounding.

use alloc::vec::Vec;

use detfree_core::{Allocate, Backend, DenseBackend, Fill, Op, Scalar, Shape, Store};

/// Squarings of WᵀW: the bound exceeds the norm by at most a factor n^(1/64), 8% for n = 128 equal
/// singular values, and by 0.1% for those of a Gaussian matrix.
const SQUARINGS: i32 = 5;

/// The largest α of [`Certificate::clip`]: it leaves the largest singular value a half, where the bound is
/// met, and that is rare.
const STRONGEST: f64 = 0.5;

/// The memory of certificates of weights of one shape, and the Gram matrix of the last one.
pub(super) struct Certificate<B: Backend> {
    /// Of the weight, [out, in].
    shape: Shape,
    /// WᵀW or WWᵀ, the smaller, and its powers over their traces, [n, n].
    power: B::Batch,
    squared: B::Batch,
    /// Per row of the weight, or of a power.
    products: B::Rows,
    products_of_power: B::Rows,
    /// The factor of every row of a power.
    scale: B::Rows,
    host: Vec<f64>,
    /// A weight, while it is clipped.
    before: B::Batch,
    /// log tr A^(2^(SQUARINGS − 1)), the power that [`Self::schatten`] leaves over its trace.
    log_trace: f64,
}

impl<B: DenseBackend + Allocate> Certificate<B> {
    pub(super) fn new(b: &B, shape: Shape) -> Result<Self, B::Error> {
        let smaller = shape.rows.min(shape.dim);
        let square = Shape::new(smaller, smaller);
        Ok(Self {
            shape,
            power: b.batch(square)?,
            squared: b.batch(square)?,
            products: b.rows(shape.rows)?,
            products_of_power: b.rows(smaller)?,
            scale: b.rows(smaller)?,
            host: alloc::vec![0.0; shape.rows.max(smaller)],
            before: b.batch(shape)?,
            log_trace: 0.0,
        })
    }
}

impl<B: DenseBackend> Certificate<B> {
    pub(super) const fn shape(&self) -> Shape {
        self.shape
    }

    /// weight ← factor · weight, and its Gram matrix with it; the new ‖W‖_F² from the last.
    pub(super) fn scale(
        &mut self,
        b: &B,
        factor: f64,
        weight: &mut B::Batch,
        trace: f64,
    ) -> Result<f64, B::Error> {
        b.fill_rows(factor, &mut self.products)?;
        b.scale_rows(&self.products, weight)?;
        self.scale_power(b, factor * factor)?;
        Ok(trace * factor * factor)
    }

    /// power ← WᵀW or WWᵀ, the smaller; its trace, ‖W‖_F².
    pub(super) fn gram(&mut self, b: &B, weight: &B::Batch) -> Result<f64, B::Error> {
        let (rows, set) = (0..self.shape.rows, Store::Set);
        let out = &mut self.power;
        if self.shape.dim <= self.shape.rows {
            b.outer(rows.clone(), 1.0, weight, weight, set, out)?;
        } else {
            b.apply(rows.clone(), weight, Op::Plain, weight, set, out)?;
        }
        b.fill_rows(0.0, &mut self.products)?;
        b.dot_rows(rows, 1.0, weight, weight, &mut self.products)?;
        let host = self.host.get_mut(..self.shape.rows).unwrap_or_default();
        b.download_rows(&self.products, host)?;
        Ok(host.iter().sum())
    }

    /// Whether Cholesky succeeds on c² I − A, A = WᵀW or WWᵀ as [`Self::gram`] left it.
    ///
    /// The computed A is off by γ ‖W‖_F² in norm, γ = (m + 2) ε; the subtraction rounds by ε (c² + ‖W‖_F²) at
    /// most; and where Cholesky succeeds on n × n numbers, the matrix plus (n + 2) ε times its trace, at
    /// most n c² here, is positive definite (Demmel 1989; Rump 2006). All of that is taken off c² before.
    pub(super) fn is_below(&mut self, b: &B, trace: f64, limit: f64) -> Result<bool, B::Error> {
        let n = b.shape(&self.power).rows as f64;
        let longest = self.shape.rows.max(self.shape.dim) as f64;
        let epsilon = B::Scalar::EPSILON;
        let square = limit * limit;
        let slack = epsilon * ((longest + 3.0) * trace + square + (n + 2.0) * n * square);
        let left = square - slack;
        if !(left > 0.0 && trace.is_finite()) {
            return Ok(false);
        }
        let rows = b.shape(&self.power).rows;
        b.fill(Fill::Identity, &mut self.squared)?;
        b.fill_rows(left, &mut self.scale)?;
        b.scale_rows(&self.scale, &mut self.squared)?;
        b.axpy(0..rows, -1.0, &self.power, &mut self.squared)?;
        b.is_positive_definite(&mut self.squared)
    }

    /// (tr Aᵖ)^(1/2p) for A = WᵀW or WWᵀ. With B₀ = A/tr A, B_{k+1} = B_k²/t_{k+1} and
    /// t_{k+1} = tr B_k² = ‖B_k‖_F², log tr A^(2^(k+1)) = 2 log tr A^(2^k) + log t_{k+1}.
    ///
    /// A rounded square differs from the square by a matrix of Frobenius norm γ t, γ = (n+2) ε, and
    /// so does its largest eigenvalue, which is at least t² of a matrix of trace t: a relative error
    /// of γ/t_{k+1}, whose 2^(k+1)-th root the bound takes.
    pub(super) fn schatten(&mut self, b: &B, trace: f64) -> Result<f64, B::Error> {
        let shape = self.shape;
        let n = b.shape(&self.power).rows;
        let set = Store::Set;
        let inner = shape.rows.max(shape.dim) as f64;
        let gamma = |length: f64| (length + 2.0) * B::Scalar::EPSILON;
        if trace == 0.0 {
            return Ok(0.0);
        }
        let mut log = libm::log(trace);
        // Of A itself: ‖error‖₂ ≤ γ ‖W‖_F², and the trace is at most n times the norm.
        let mut slack = 0.5 * gamma(inner) * n as f64;
        self.scale_power(b, 1.0 / trace)?;
        for k in 1..=SQUARINGS {
            let t = self.squared_norm_of_power(b)?;
            self.log_trace = log;
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

    /// W ← W (1 − α (WᵀW/s²)^(k/2)), k = 2^SQUARINGS, with s the bound that [`Self::schatten`] has just
    /// found of W: a singular value x s becomes x (1 − α x^k) s, whose largest on [0, 1] is `limit` by the
    /// choice of α. Those a little below it keep what they have, to 1 − α x^k.
    ///
    /// With a = limit/s the largest is at x = 1 and α = 1 − a, unless a < k/(k+1): then it is within, and
    /// α = (k/((k+1) a))^k/(k+1). Were α above [`STRONGEST`], W is scaled down for the rest.
    pub(super) fn clip(
        &mut self,
        b: &B,
        weight: &mut B::Batch,
        bound: f64,
        limit: f64,
    ) -> Result<(), B::Error> {
        let k = libm::ldexp(1.0, SQUARINGS);
        let (peak, wanted) = (k / (k + 1.0), limit / bound);
        let least = peak * libm::pow((k + 1.0) * STRONGEST, -1.0 / k);
        let reached = wanted.max(least);
        let alpha = if reached < peak {
            libm::pow(peak / reached, k) / (k + 1.0)
        } else {
            1.0 - reached
        };
        let rest = wanted / reached;
        let to_power = libm::exp(self.log_trace - k * libm::log(bound));
        b.fill_rows(rest, &mut self.products)?;
        b.scale_rows(&self.products, weight)?;
        b.copy(weight, &mut self.before)?;
        self.scale_power(b, -alpha * to_power)?;
        let rows = 0..self.shape.rows;
        let (power, before) = (&self.power, &self.before);
        if self.shape.dim <= self.shape.rows {
            b.apply(rows, power, Op::Plain, before, Store::Add, weight)
        } else {
            b.outer(rows, 1.0, power, before, Store::Add, weight)
        }
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
}

/// NaN certifies nothing.
fn finite_or_infinite(bound: f64) -> f64 {
    if bound.is_finite() {
        bound
    } else {
        f64::INFINITY
    }
}
