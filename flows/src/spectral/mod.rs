//! Spectral normalisation with a certificate: upper bounds of ‖W‖₂ that hold after rounding.

mod certificate;
mod leading;

use detfree_core::{Allocate, Backend, DenseBackend, Error, Scalar};

use certificate::Certificate;
use leading::Leading;

/// How far below a limit singular values are brought that exceed it: the next ones to be found, and
/// the next steps, have that much room before they meet the limit.
const MARGIN: f64 = 1.0 / 256.0;

/// By how much a clipped weight is scaled down, one after the other, where rounding has left too much of
/// it, before the Schatten bound decides: scaling takes from all directions what a few have too much.
const SCALINGS: [f64; 4] = [1.0 / 2048.0, 1.0 / 512.0, 1.0 / 128.0, 1.0 / 32.0];

/// An upper bound of the spectral norm ‖W‖₂ of one weight, kept valid while the weight is trained.
///
/// | | what it does | products of n² m |
/// |---|---|---|
/// | [`Self::limit`] | shortens W along the leading singular vectors, which it follows, then the certificate c² I − WᵀW ≻ 0 by Cholesky | 1, and n³/3 |
/// | … where that fails | W ← W (1 − α (WᵀW/s²)ᵖ) with the Schatten bound s, and the certificate anew | 7, and 2n³/3 |
/// | [`Self::certify`] | the Schatten bound ‖W‖₂ ≤ (tr (WᵀW)ᵖ)^(1/2p), p = 32, by repeated squaring | 5 |
///
/// for a weight [m, n], n ≤ m, and at most that many for another. The polynomial takes from singular values at
/// the bound and next to nothing from those a tenth below. What of a certificate then still fails, by the
/// rounding of the polynomial, scales the weight down until it holds. Power iterations approach a norm
/// from below and certify nothing; what rounding may have taken from a bound or a certificate is added
/// to it.
///
/// ```
/// use detfree_core::{reference::Heap, Dense, Shape};
/// use detfree_flows::SpectralBound;
/// let b = Heap::<f64>::new();
/// let mut w = Dense::new(Shape::new(2, 2), vec![0.3, 0.0, 0.0, -4.0]).unwrap();
/// let mut bound = SpectralBound::new(&b, &w).unwrap();
/// assert!(bound.get() >= 4.0 && bound.get() < 4.001);
/// bound.limit(&b, &mut w, 0.9).unwrap();
/// // The singular value below the limit is left as it was.
/// assert!(bound.get() <= 0.9 && w.as_slice()[3] < -0.89);
/// assert!((w.as_slice()[0] - 0.3).abs() < 1e-3);
/// ```
pub struct SpectralBound<B: Backend> {
    bound: f64,
    leading: Leading<B>,
    certificate: Certificate<B>,
}

impl<B: DenseBackend + Allocate> SpectralBound<B> {
    /// The certified bound of `weight`.
    ///
    /// # Errors
    /// As [`Self::certify`].
    pub fn new(b: &B, weight: &B::Batch) -> Result<Self, Error<B::Error>> {
        let shape = b.shape(weight);
        let mut spectral = Self {
            bound: f64::INFINITY,
            leading: Leading::new(b, shape)?,
            certificate: Certificate::new(b, shape)?,
        };
        spectral.certify(b, weight)?;
        Ok(spectral)
    }
}

impl<B: Backend> SpectralBound<B> {
    /// ‖W‖₂ is at most this; ∞ where the weight holds numbers that are not finite.
    #[must_use]
    pub const fn get(&self) -> f64 {
        self.bound
    }

    /// What the next call depends on beside the weight: the bound, and the leading vectors as they are
    /// known.
    pub(crate) const fn state_mut(&mut self) -> (&mut f64, &mut B::Batch) {
        (&mut self.bound, &mut self.leading.vectors)
    }
}

impl<B: DenseBackend> SpectralBound<B> {
    /// The bound of `weight`, by repeated squaring.
    ///
    /// # Errors
    /// [`Error::Shape`] where the weight has another shape; the device's.
    pub fn certify(&mut self, b: &B, weight: &B::Batch) -> Result<(), Error<B::Error>> {
        self.check(b, weight)?;
        let trace = self.certificate.gram(b, weight)?;
        self.bound = self.certificate.schatten(b, trace)?;
        Ok(())
    }

    /// The bound of `weight`: `limit` where that is certified, which is sharper than squaring and what
    /// [`Self::limit`] made sure of; else by squaring.
    ///
    /// # Errors
    /// [`Error::Shape`] where the weight has another shape; the device's.
    pub fn certify_below(
        &mut self,
        b: &B,
        weight: &B::Batch,
        limit: f64,
    ) -> Result<(), Error<B::Error>> {
        self.check(b, weight)?;
        let trace = self.certificate.gram(b, weight)?;
        self.bound = if self.certificate.is_below(b, trace, limit)? {
            limit
        } else {
            self.certificate.schatten(b, trace)?
        };
        Ok(())
    }

    /// Shrinks singular values where needed until ‖W‖₂ ≤ `limit` is certified; all of them together where one is
    /// so large that what is left of it would be rounding. A weight with numbers that are not finite is left with
    /// a bound of ∞.
    ///
    /// # Errors
    /// [`Error::Shape`] where the weight has another shape; the device's.
    pub fn limit(
        &mut self,
        b: &B,
        weight: &mut B::Batch,
        limit: f64,
    ) -> Result<(), Error<B::Error>> {
        self.check(b, weight)?;
        self.bound = f64::INFINITY;
        let Some(crowded) = self.leading.shrink(b, weight, limit * (1.0 - MARGIN))? else {
            return self.scale(b, weight, limit);
        };
        let certificate = &mut self.certificate;
        let mut trace = certificate.gram(b, weight)?;
        // No use in trying where more singular values are above the limit than are followed.
        if !crowded && certificate.is_below(b, trace, limit)? {
            self.bound = limit;
            return Ok(());
        }
        self.bound = certificate.schatten(b, trace)?;
        if self.bound <= limit || !self.bound.is_finite() {
            return Ok(());
        }
        certificate.clip(b, weight, self.bound, limit * (1.0 - MARGIN))?;
        trace = certificate.gram(b, weight)?;
        for excess in SCALINGS {
            if certificate.is_below(b, trace, limit)? {
                self.bound = limit;
                return Ok(());
            }
            trace = certificate.scale(b, 1.0 - excess, weight, trace)?;
        }
        self.scale(b, weight, limit)
    }

    /// Scales the weight down as a whole where ‖W‖₂ ≤ `limit` is not certified by squaring.
    pub(crate) fn scale(
        &mut self,
        b: &B,
        weight: &mut B::Batch,
        limit: f64,
    ) -> Result<(), Error<B::Error>> {
        self.certify(b, weight)?;
        if self.bound > limit && self.bound.is_finite() {
            // Rounding of the factor and of the products moves the norm up by 2ε at most.
            let factor = limit / self.bound * (1.0 - 4.0 * B::Scalar::EPSILON);
            self.certificate.scale(b, factor, weight, 0.0)?;
            self.bound = limit;
        }
        Ok(())
    }

    /// Takes what another bound, of an equal weight, has found.
    pub(crate) fn copy_from(&mut self, b: &B, other: &Self) -> Result<(), B::Error> {
        self.bound = other.bound;
        b.copy(&other.leading.vectors, &mut self.leading.vectors)
    }

    fn check(&self, b: &B, weight: &B::Batch) -> Result<(), Error<B::Error>> {
        Error::check_shape(
            "the weight of a spectral bound",
            self.certificate.shape(),
            b.shape(weight),
        )
    }
}
