//! The relative gradient of one affine layer (Gresele et al. 2020), with the exact change of its
//! log-determinant and inverse.

mod channels;
mod dense;
mod step;

pub use channels::ChannelRelative;
pub use dense::DenseRelative;

use crate::{Affine, DenseBackend, Error};

/// How often [`RelativeGradient::guard`] halves a step: 2⁻³² of a step of ordinary size moves no
/// weight in `f32`, so a tangent refused beyond it holds numbers that are not finite.
const MAX_SHRINKS: u32 = 32;

/// Which group acts: on the layer's output, or on its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// y → (I + ε) y + e
    Plain,
    /// z → (I + ε) z + e
    Transposed,
}

impl Side {
    /// `plain` or `transposed`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Transposed => "transposed",
        }
    }

    /// ΔW − W = (1/R) Σ_r left_r right_rᵀ, as (left, right).
    const fn factors<'a, T>(self, u: &'a T, v: &'a T, image: &'a T) -> (&'a T, &'a T) {
        match self {
            Self::Plain => (u, image),
            Self::Transposed => (image, v),
        }
    }
}

/// A step that [`RelativeGradient::guard`] found clear of singular matrices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GuardedStep {
    /// The step to take.
    pub mu: f64,
    /// What the step adds to log|det W|.
    pub log_det_change: f64,
    /// How often the step asked for was halved.
    pub shrinks: u32,
}

/// The gradient of a log-likelihood ℓ at the identity of the affine group that acts on one side of
/// a layer y = W z + b: T = I + U Vᵀ/R, kept by its factors and never formed.
///
/// ℓ is the mean over R rows, to be *maximised*, and contains this layer's log|det W|, whose
/// gradient is the leading I. With δ_r = ∂ℓ_r/∂y_r and t = (1/R) Σ_r δ_r the direction is
///
/// | side       | columns of U, V | ΔW                                    | Δb                             |
/// |------------|-----------------|---------------------------------------|--------------------------------|
/// | plain      | δ_r, y_r        | T W = W + (1/R) Σ_r δ_r (Wᵀ y_r)ᵀ     | T b + t = b + (1/R) Σ_r δ_r (1 + y_rᵀ b) |
/// | transposed | Wᵀ δ_r, z_r     | W T = W + (1/R) Σ_r (W Wᵀ δ_r) z_rᵀ   | W Wᵀ t                         |
///
/// It is one of ascent: dℓ = ‖T‖² + ‖t‖² along it (plain; with Wᵀt for t, transposed). A step of
/// length μ multiplies W by (1+μ) (I + c U Vᵀ), c = μ/((1+μ)R), whose determinant and inverse cost
/// no more than the step itself.
///
/// Gresele, Fissore, Javaloy, Schölkopf and Hyvärinen, "Relative gradient optimization of the
/// Jacobian term in unsupervised deep learning" (2020), section 4 and appendices A and F. Its
/// printed bias update loses the b of T b, and with it the maximum-likelihood fixed point; here it
/// is restored. The exact change of log-determinant and inverse is ours.
///
/// The numbers 1 + μ and μ/R are rounded to the data type before anything is computed from them: the
/// change that is tracked is then the change of the step that is taken, and `f32` does not drift.
pub trait RelativeGradient<B: DenseBackend> {
    /// (U, V) ← the factors of T at this layer.
    ///
    /// `delta` holds ∂ℓ_r/∂y_r, everything downstream included and this layer's own log|det W|
    /// excluded. `anchor` holds y_r *with the bias* for [`Side::Plain`] and z_r for
    /// [`Side::Transposed`].
    ///
    /// # Errors
    /// [`Error::Shape`] where an operand does not fit, or the device's.
    fn linearise(
        &mut self,
        b: &B,
        side: Side,
        layer: &Affine<B::Batch>,
        delta: &B::Batch,
        anchor: &B::Batch,
    ) -> Result<(), Error<B::Error>>;

    /// out ← (ΔW, Δb), for `layer` as it was linearised: what an optimiser is fed.
    ///
    /// # Errors
    /// [`Error::Shape`] where an operand does not fit, or the device's.
    fn direction(
        &mut self,
        b: &B,
        layer: &Affine<B::Batch>,
        out: &mut Affine<B::Batch>,
    ) -> Result<(), Error<B::Error>>;

    /// log|det(W + μ ΔW)| − log|det W| = D log(1+μ) + log|det K|, K = I + c VᵀU, or the same
    /// determinant in the form I + c U Vᵀ where that is the smaller matrix.
    ///
    /// `None` unless (K + Kᵀ)/2 is positive definite and −1 < μ < ∞. That is sufficient, not
    /// necessary, for every matrix on the straight path from W to W + μ ΔW to be invertible: a path
    /// whose K has complex eigenvalues with a negative real part is clear and yet refused. The
    /// sign of det K alone would let a path pass that crosses singular matrices an even number of
    /// times.
    ///
    /// # Errors
    /// The device's.
    fn log_det_change(&mut self, b: &B, mu: f64) -> Result<Option<f64>, Error<B::Error>>;

    /// W ← W + μ ΔW, b ← b + μ Δb, and where `inverse` holds W⁻¹,
    /// W⁻¹ ← (W⁻¹ − c W⁻¹U K⁻¹ Vᵀ)/(1+μ) (plain) or (W⁻¹ − c U K⁻¹ (W⁻ᵀV)ᵀ)/(1+μ) (transposed).
    ///
    /// `layer` is the layer that was linearised, and after the step it no longer is: linearise it
    /// anew before anything else. A step that [`Self::guard`] or [`Self::log_det_change`] accepts
    /// is not refused. Without an inverse to keep, K is not looked at: nothing then tells a step
    /// that leads across singular matrices.
    ///
    /// # Errors
    /// [`Error::Singular`] where μ ≤ −1 or not finite, or where K⁻¹ is needed and K is singular to
    /// working precision: layer and inverse are then as they were. [`Error::Shape`] likewise. The
    /// device's, after which they hold unspecified numbers.
    fn step(
        &mut self,
        b: &B,
        mu: f64,
        layer: &mut Affine<B::Batch>,
        inverse: Option<&mut B::Batch>,
    ) -> Result<(), Error<B::Error>>;

    /// The first of μ, μ/2, μ/4, … that [`Self::log_det_change`] accepts; `None` where it accepts
    /// none, as for numbers that are not finite.
    ///
    /// With R rows much fewer than D a step of about R/(D − R) meets singular matrices near the
    /// optimum: count the shrinks, and take smaller steps or larger batches where there are many.
    ///
    /// # Errors
    /// The device's.
    fn guard(&mut self, b: &B, mu: f64) -> Result<Option<GuardedStep>, Error<B::Error>> {
        let mut mu = mu;
        for shrinks in 0..=MAX_SHRINKS {
            if let Some(log_det_change) = self.log_det_change(b, mu)? {
                return Ok(Some(GuardedStep {
                    mu,
                    log_det_change,
                    shrinks,
                }));
            }
            mu *= 0.5;
        }
        Ok(None)
    }
}
