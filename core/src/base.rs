//! The base densities of a flow.

use core::f64::consts::{FRAC_1_SQRT_2, LN_2, PI};

use crate::Scalar;
use crate::elementary::lanes;

/// Newton's method needs 7 from the farthest start.
const MOST_STEPS: usize = 16;

const LN_PI: f64 = 1.144_729_885_849_400_2;
const HALF_LN_TWO_PI: f64 = 0.918_938_533_204_672_7;

/// A density p on ℝ, the same for every coordinate and independent across them.
///
/// | | p(z) | variance |
/// |---|---|---|
/// | `Normal` | exp(−z²/2)/√(2π) | 1 |
/// | `HyperbolicSecant` | 1/(π cosh z) | π²/4 |
/// | `Logistic` | 1/(4 cosh²(z/2)) | π²/3 |
///
/// Densities and scores are the same bits on every host.
///
/// ```
/// use detfree_core::BaseDensity;
/// let z = [0.5_f64, -2.0];
/// let mut score = [0.0; 2];
/// let log_density = BaseDensity::Normal.log_density_and_score(&z, &mut score);
/// assert!((log_density + 2.125 + (2.0 * std::f64::consts::PI).ln()).abs() < 1e-15);
/// assert_eq!(score, [-0.5, 2.0]);
/// assert_eq!(BaseDensity::Logistic.quantile(0.5), 0.0);
/// assert_eq!(BaseDensity::HyperbolicSecant.name(), "hyperbolic-secant");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseDensity {
    /// The standard normal density.
    Normal,
    /// The hyperbolic secant density, with tails like e^−|z|.
    HyperbolicSecant,
    /// The logistic density, with tails like e^−|z|.
    Logistic,
}

impl BaseDensity {
    /// Σⱼ log p(zⱼ), and scoreⱼ = ∂ log p/∂zⱼ, up to the shorter slice.
    ///
    /// With t = tanh|z|, cosh z = e^|z|/(1 + t): so log p = −ln π − |z| + log(1 + t) for the secant
    /// and −2 ln 2 − |z| + 2 log(1 + t(z/2)) for the logistic, stable however large |z| is. The sums
    /// are in double precision, in a fixed order.
    #[inline(always)]
    pub fn log_density_and_score<T: Scalar>(self, z: &[T], score: &mut [T]) -> f64 {
        let length = z.len().min(score.len());
        let (Some(z), Some(score)) = (z.get(..length), score.get_mut(..length)) else {
            return 0.0;
        };
        let count = length as f64;
        let size = |z: T| z.to_f64().abs();
        let one_plus_tanh = |score: T| 1.0 + score.to_f64().abs();
        match self {
            Self::Normal => {
                fill(z, score, |z| -z);
                let squares = lanes::sum(z, |z| z.to_f64() * z.to_f64());
                -0.5 * squares - count * HALF_LN_TWO_PI
            }
            Self::HyperbolicSecant => {
                fill(z, score, |z| -z.tanh_sech2().0);
                lanes::sum_ln_abs(score, one_plus_tanh) - lanes::sum(z, size) - count * LN_PI
            }
            Self::Logistic => {
                let half = T::literal(0.5);
                fill(z, score, |z| -(half * z).tanh_sech2().0);
                2.0 * (lanes::sum_ln_abs(score, one_plus_tanh) - count * LN_2) - lanes::sum(z, size)
            }
        }
    }

    /// x with P(z ≤ x) = u: −∞ at 0, ∞ at 1, NaN outside [0, 1].
    #[must_use]
    pub fn quantile(self, u: f64) -> f64 {
        // The densities are even, and 1 − u is exact for u ≥ ½.
        if u > 0.5 {
            return -self.quantile(1.0 - u);
        }
        // Near ½ by functions that vanish there, so that nothing cancels.
        match self {
            Self::Normal => normal_quantile(u),
            Self::HyperbolicSecant if u < 0.25 => libm::log(libm::tan(0.5 * PI * u)),
            Self::HyperbolicSecant => libm::asinh(libm::tan(PI * (u - 0.5))),
            Self::Logistic if u < 0.25 => libm::log(u) - libm::log1p(-u),
            Self::Logistic => libm::log1p((2.0 * u - 1.0) / (1.0 - u)),
        }
    }

    /// The name that files may rely on: `normal`, `hyperbolic-secant`, `logistic`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::HyperbolicSecant => "hyperbolic-secant",
            Self::Logistic => "logistic",
        }
    }
}

#[inline(always)]
fn fill<T: Scalar>(z: &[T], score: &mut [T], f: impl Fn(T) -> T) {
    for (&z, score) in z.iter().zip(score) {
        *score = f(z);
    }
}

/// −x with Φ(−x) = u ≤ ½, to a few ε|x| (for u ≥ 10⁻³²⁰, where the tail is representable).
fn normal_quantile(u: f64) -> f64 {
    // Φ(−x) ≤ exp(−x²/2)/2: the start is on the right. The tail and its logarithm being convex and
    // concave there, Newton's steps stay on the right.
    let mut x = libm::sqrt(-2.0 * libm::log(2.0 * u));
    for _ in 0..MOST_STEPS {
        let density = libm::exp(-0.5 * x * x - HALF_LN_TWO_PI);
        let step = if u > 0.25 {
            (0.5 - u - 0.5 * libm::erf(x * FRAC_1_SQRT_2)) / density
        } else {
            let tail = 0.5 * libm::erfc(x * FRAC_1_SQRT_2);
            tail * libm::log(tail / u) / density
        };
        // NaN ends it too: at u = 0, where x = ∞.
        if step.is_nan() || step.abs() <= f64::EPSILON * x {
            break;
        }
        x += step;
    }
    -x
}
