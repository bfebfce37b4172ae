//! Activations with first and second derivatives, their logarithms and inverses.

mod bijective;

use core::fmt;

use crate::Scalar;
use crate::elementary::{if_else, lanes};
use bijective::{LeakySoftplus, TanhLinear};

/// `LipSwish` divides the swish by this: the largest slope of x·sigmoid(x) is 1.09984.
const LIP_SWISH: f64 = 1.1;

/// A function σ: ℝ → ℝ applied to every entry, with σ' and σ''.
///
/// | | σ(x) | Lipschitz constant | bijection of ℝ |
/// |---|---|---|---|
/// | `Identity` | x | 1 | yes |
/// | `LeakySoftplus` | αx + (1−α) log(1+eˣ) | 1 | yes |
/// | `TanhLinear` | tanh(αx) + βx | α + β | yes |
/// | `Tanh` | tanh x | 1 | no |
/// | `Elu` | x for x > 0, else eˣ − 1 | 1 | no |
/// | `Sine` | sin x | 1 | no |
/// | `LipSwish` | x·sigmoid(βx)/1.1 | 1 | no |
///
/// Results are the same bits on every host. Slices of different lengths are used up to the
/// shortest; the rest of the outputs is left alone.
///
/// ```
/// use detfree_core::Activation;
/// let sigma = Activation::LeakySoftplus { alpha: 0.5 };
/// assert!(sigma.check().is_ok() && sigma.is_bijection() && sigma.lipschitz() == 1.0);
/// let x = [-2.0, 0.0, 3.0];
/// let (mut z, mut d1, mut d2) = ([0.0; 3], [0.0; 3], [0.0; 3]);
/// sigma.jets(&x, &mut z, &mut d1, &mut d2);
/// assert_eq!(d1[1], 0.75); // α + (1−α)/2
/// let mut score = [0.0; 3];
/// let log_derivative = sigma.bijection(&x, &mut z, &mut d1, &mut score);
/// assert!((log_derivative - d1.iter().product::<f64>().ln()).abs() < 1e-15);
/// assert!((sigma.inverse(z[2]) - x[2]).abs() < 1e-15);
/// assert_eq!((sigma.name(), &*sigma.to_string()), ("leaky-softplus", "leaky-softplus:0.5"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// σ(x) = x
    Identity,
    /// σ(x) = αx + (1−α) log(1+eˣ), `s_L` of Gresele et al. 2020, eq. 34.
    LeakySoftplus {
        /// The slope towards −∞, in (0, 1).
        alpha: f64,
    },
    /// σ(x) = tanh(αx) + βx, `s_T` of Gresele et al. 2020, eq. 35.
    TanhLinear {
        /// The slope of the hyperbolic tangent at 0, positive.
        alpha: f64,
        /// The slope towards ±∞, positive.
        beta: f64,
    },
    /// σ(x) = tanh x
    Tanh,
    /// σ(x) = x for x > 0 and eˣ − 1 otherwise; σ''(0) is the left one, 1.
    Elu,
    /// σ(x) = sin x; to full accuracy for |x| ≤ 10⁵, and within [−1, 1] beyond.
    Sine,
    /// σ(x) = x·sigmoid(βx)/1.1 (Chen et al. 2019, "Residual Flows").
    LipSwish {
        /// The sharpness, positive.
        beta: f64,
    },
}

impl Activation {
    /// Whether the parameters are in their ranges.
    ///
    /// # Errors
    /// What is wrong, and what is expected.
    pub fn check(self) -> Result<(), &'static str> {
        let positive = |x: f64| x > 0.0 && x < f64::INFINITY;
        match self {
            Self::LeakySoftplus { alpha } if !(alpha > 0.0 && alpha < 1.0) => {
                Err("the slope alpha of a leaky softplus lies strictly between 0 and 1")
            }
            Self::TanhLinear { alpha, beta } if !(positive(alpha) && positive(beta)) => {
                Err("the slopes alpha and beta of tanh plus linear are positive and finite")
            }
            Self::LipSwish { beta } if !positive(beta) => {
                Err("the sharpness beta of LipSwish is positive and finite")
            }
            _ => Ok(()),
        }
    }

    /// An upper bound of |σ'|: the smallest one, but for `LipSwish`, where that is 0.99986.
    #[must_use]
    pub const fn lipschitz(self) -> f64 {
        match self {
            Self::TanhLinear { alpha, beta } => alpha + beta,
            _ => 1.0,
        }
    }

    /// Whether σ' > 0 and the range is ℝ, so that a layer of a flow may use it: a positive slope
    /// alone (tanh, ELU) would give densities that are not normalised.
    #[must_use]
    pub const fn is_bijection(self) -> bool {
        matches!(
            self,
            Self::Identity | Self::LeakySoftplus { .. } | Self::TanhLinear { .. }
        )
    }

    /// The name of the kind, without its parameters: `leaky-softplus`. Files may rely on it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::LeakySoftplus { .. } => "leaky-softplus",
            Self::TanhLinear { .. } => "tanh-linear",
            Self::Tanh => "tanh",
            Self::Elu => "elu",
            Self::Sine => "sine",
            Self::LipSwish { .. } => "lip-swish",
        }
    }

    /// z = σ(x), d1 = σ'(x), d2 = σ''(x), entry by entry.
    // Inlined, as all passes here, so that a caller's instruction set is used.
    #[inline(always)]
    pub fn jets<T: Scalar>(self, x: &[T], z: &mut [T], d1: &mut [T], d2: &mut [T]) {
        self.each(x, z, d1, d2, |_, second| second);
    }

    /// z = σ(y), d1 = σ'(y), score = σ''(y)/σ'(y), entry by entry.
    ///
    /// `score` is ∂ log σ'/∂y (Gresele et al. 2020, eq. 19): infinite or NaN where σ' = 0.
    #[inline(always)]
    pub fn scores<T: Scalar>(self, y: &[T], z: &mut [T], d1: &mut [T], score: &mut [T]) {
        self.each(y, z, d1, score, |first, second| second / first);
    }

    /// log_r ← log_r + Σⱼ log|σ'(y_rj)| from the slopes of whole rows that [`Self::scores`] gives:
    /// the logarithm of a product in double precision, in a fixed order; −∞ where a slope is 0.
    ///
    /// `d1` holds as many rows as `log` has numbers.
    #[inline(always)]
    pub fn add_log_slopes<T: Scalar>(d1: &[T], log: &mut [f64]) {
        let dim = d1.len() / log.len().max(1);
        lanes::add_rows_ln_abs(d1, dim, log, T::to_f64);
    }

    /// One row of a flow: [`Self::scores`], and the sum of [`Self::add_log_slopes`].
    #[inline(always)]
    pub fn bijection<T: Scalar>(self, y: &[T], z: &mut [T], d1: &mut [T], score: &mut [T]) -> f64 {
        let length = y.len().min(z.len()).min(d1.len()).min(score.len());
        self.scores(y, z, d1, score);
        lanes::sum_ln_abs(d1.get(..length).unwrap_or_default(), T::to_f64)
    }

    /// x with σ(x) = z: |x̂ − x| ≤ 4ε max(|x|, |z|/σ'(x)), by safeguarded Newton steps in double
    /// precision. NaN for an activation that is no [bijection](Self::is_bijection).
    #[must_use]
    pub fn inverse<T: Scalar>(self, z: T) -> T {
        // Inverts the function that `jets` computes: its parameters are rounded to T too.
        let rounded = |parameter: f64| T::from_f64(parameter).to_f64();
        match self {
            Self::Identity => z,
            Self::LeakySoftplus { alpha } => {
                T::from_f64(LeakySoftplus::new(rounded(alpha)).inverse(z.to_f64()))
            }
            Self::TanhLinear { alpha, beta } => {
                T::from_f64(TanhLinear::new(rounded(alpha), rounded(beta)).inverse(z.to_f64()))
            }
            Self::Tanh | Self::Elu | Self::Sine | Self::LipSwish { .. } => T::from_f64(f64::NAN),
        }
    }

    /// z = σ(x), d1 = σ'(x), third = finish(σ'(x), σ''(x)): one loop for each activation.
    #[inline(always)]
    fn each<T: Scalar>(
        self,
        x: &[T],
        z: &mut [T],
        d1: &mut [T],
        third: &mut [T],
        finish: impl Fn(T, T) -> T,
    ) {
        let (zero, one) = (T::zero(), T::one());
        match self {
            Self::Identity => fill(x, z, d1, third, finish, |x| [x, one, zero]),
            Self::LeakySoftplus { alpha } => {
                let sigma = LeakySoftplus::new(T::from_f64(alpha));
                fill(x, z, d1, third, finish, |x| sigma.jet(x));
            }
            Self::TanhLinear { alpha, beta } => {
                let sigma = TanhLinear::new(T::from_f64(alpha), T::from_f64(beta));
                fill(x, z, d1, third, finish, |x| sigma.jet(x));
            }
            Self::Tanh => fill(x, z, d1, third, finish, |x| {
                let (tanh, sech2) = x.tanh_sech2();
                [tanh, sech2, -(tanh + tanh) * sech2]
            }),
            Self::Elu => fill(x, z, d1, third, finish, |x| {
                let positive = x > zero;
                let (exp_m1, exp) = if_else(positive, zero, x).exp_m1_exp();
                [
                    if_else(positive, x, exp_m1),
                    exp,
                    if_else(positive, zero, exp),
                ]
            }),
            Self::Sine => fill(x, z, d1, third, finish, |x| {
                let (sin, cos) = x.sin_cos();
                [sin, cos, -sin]
            }),
            Self::LipSwish { beta } => {
                let (beta, scale) = (T::from_f64(beta), T::from_f64(1.0 / LIP_SWISH));
                let two = one + one;
                fill(x, z, d1, third, finish, |x| {
                    let t = beta * x;
                    let (_, p, q) = t.softplus_sigmoid();
                    let slope = p * q;
                    [
                        x * p * scale,
                        (p + t * slope) * scale,
                        beta * slope * (two + t * (q - p)) * scale,
                    ]
                });
            }
        }
    }
}

/// The name, and the parameters behind a colon: `tanh-linear:1,0.1`.
impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Self::LeakySoftplus { alpha } => write!(f, "{name}:{alpha}"),
            Self::TanhLinear { alpha, beta } => write!(f, "{name}:{alpha},{beta}"),
            Self::LipSwish { beta } => write!(f, "{name}:{beta}"),
            Self::Identity | Self::Tanh | Self::Elu | Self::Sine => f.write_str(name),
        }
    }
}

/// (z, d1, third) = (σ, σ', finish(σ', σ'')) of every x.
#[inline(always)]
fn fill<T: Scalar>(
    x: &[T],
    z: &mut [T],
    d1: &mut [T],
    third: &mut [T],
    finish: impl Fn(T, T) -> T,
    jet: impl Fn(T) -> [T; 3],
) {
    for (((&x, z), d1), third) in x.iter().zip(z).zip(d1).zip(third) {
        let [value, first, second] = jet(x);
        *z = value;
        *d1 = first;
        *third = finish(first, second);
    }
}
