//! Elementary functions with the same bits on every host.
//!
//! Only IEEE additions, multiplications, divisions, square roots, comparisons and bit operations, in a
//! fixed order and without contraction into fused multiply-adds: the result does not depend on the host,
//! its `libm` or its vector width. No branch and no table depends on the argument, so that a loop
//! over a slice becomes vector code, SSE2 included (hence logical shifts and float comparisons
//! only, and no conversion between floats and integers).
//!
//! The two types bring argument reductions and polynomials (`single.rs`, `double.rs`: minimax fits by
//! Remez exchange); the functions are written once, here. Bounds of the error in units of the last
//! place against `libm`, enforced by `tests.rs` over the whole range (abs(x) ≤ 10⁵ for sine, cosine):
//!
//! | exp | exp − 1, x ≤ 0 | ln | softplus | sigmoid | tanh | sech² | sin, cos |
//! |---|---|---|---|---|---|---|---|
//! | 1.5 | 1.5 | 2 | 2 | 2.5 | 3.5 | 4 | 2 |

mod double;
pub(crate) mod lanes;
mod single;
#[cfg(test)]
mod tests;

use core::ops::Neg;

use num_traits::NumAssign;

/// Sealed companion of [`crate::Scalar`]: its elementary functions.
pub trait Elementary: NumAssign + Neg<Output = Self> + PartialOrd + Copy {
    /// ln 2 = high + low, where k·high is exact for the exponent k of any number.
    const LN_2: (Self, Self);

    /// The nearest representable number.
    fn literal(x: f64) -> Self;

    /// |x|
    fn abs(self) -> Self;

    /// |x| with the sign of `sign`.
    fn copysign(self, sign: Self) -> Self;

    /// √x, correctly rounded: one hardware instruction where there is one.
    fn sqrt(self) -> Self;

    /// eˣ, in parts that neither over- nor underflow.
    fn exp_parts(self) -> Power<Self>;

    /// (k, f) with x = 2ᵏ(1 + f) and √½ ≤ 1 + f < √2, for 0 < x < ∞.
    fn ln_parts(self) -> (Self, Self);

    /// (2 atanh(s)/s − 2)/s² as a polynomial in z = s², for |s| ≤ 1/3.
    fn atanh_tail(z: Self) -> Self;

    /// (sin x, cos x). Beyond |x| = 10⁵ the absolute error grows like ε|x|; the values stay in [−1, 1].
    fn sin_cos(self) -> (Self, Self);

    /// eˣ, saturating at 0 and ∞.
    #[inline(always)]
    fn exp(self) -> Self {
        self.exp_parts().value()
    }

    /// ln x: −∞ at 0 and NaN below.
    #[inline(always)]
    fn ln(self) -> Self {
        self.ln_scaled(Self::zero())
    }

    /// ln(2ᵏx) for an integer k of any size.
    #[inline(always)]
    fn ln_scaled(self, k: Self) -> Self {
        let (exponent, f) = self.ln_parts();
        let (high, low) = Self::LN_2;
        let k = exponent + k;
        let value = k * high + (k * low + ln_1p_reduced(f));
        let at_most_zero = Self::literal(if_else(self < Self::zero(), f64::NAN, f64::NEG_INFINITY));
        let finite = if_else(self > Self::zero(), value, at_most_zero);
        // ∞ and NaN are their own logarithms.
        if_else(self < Self::literal(f64::INFINITY), finite, self)
    }

    /// (eˣ − 1, eˣ) for x ≤ 0.
    #[inline(always)]
    fn exp_m1_exp(self) -> (Self, Self) {
        let power = self.exp_parts();
        (power.minus_one(), power.value())
    }

    /// (log(1 + eˣ), p, 1 − p) where p = 1/(1 + e⁻ˣ) is the derivative; each to full relative accuracy.
    #[inline(always)]
    fn softplus_sigmoid(self) -> (Self, Self, Self) {
        let (zero, one) = (Self::zero(), Self::one());
        let e = (-self.abs()).exp();
        let larger = one / (one + e);
        let smaller = e * larger;
        let positive = self > zero;
        let softplus = if_else(positive, self, zero) + ln_1p_reduced(e);
        (
            softplus,
            if_else(positive, larger, smaller),
            if_else(positive, smaller, larger),
        )
    }

    /// (tanh x, 1 − tanh² x), each to full relative accuracy.
    #[inline(always)]
    fn tanh_sech2(self) -> (Self, Self) {
        let a = self.abs();
        let power = (-(a + a)).exp_parts();
        let e = power.value();
        let w = Self::one() / (Self::one() + e);
        let tanh = -power.minus_one() * w;
        let two_w = w + w;
        (tanh.copysign(self), e * two_w * two_w)
    }
}

/// A power of e: `scale.0 · scale.1 · (1 + more)`, two powers of two with |more| ≤ √2 − 1.
#[derive(Clone, Copy)]
pub struct Power<T> {
    scale: (T, T),
    more: T,
}

impl<T: Elementary> Power<T> {
    /// eˣ
    #[inline(always)]
    fn value(self) -> T {
        (T::one() + self.more) * self.scale.0 * self.scale.1
    }

    /// eˣ − 1, for x ≤ 0.
    #[inline(always)]
    fn minus_one(self) -> T {
        let scale = self.scale.0 * self.scale.1;
        scale * self.more + (scale - T::one())
    }
}

/// A selection of two computed values, which vectorises.
#[inline(always)]
pub(crate) fn if_else<T>(condition: bool, yes: T, no: T) -> T {
    if condition { yes } else { no }
}

/// log(1 + f) for √½ ≤ 1 + f ≤ 2: with s = f/(2 + f), it is 2 atanh(s) = f − s(f − s²R(s²)).
#[inline(always)]
fn ln_1p_reduced<T: Elementary>(f: T) -> T {
    let s = f / (f + T::literal(2.0));
    let z = s * s;
    f - s * (f - z * T::atanh_tail(z))
}

/// c₀ + c₁x + c₂x² + …: the even and the odd terms by Horner's rule, two chains that overlap.
macro_rules! polynomial {
    ($x:expr; $first:expr, $($rest:expr),+) => {{
        let square = $x * $x;
        super::every_other!(square; $first, $($rest),+)
            + $x * super::every_other!(square; $($rest),+)
    }};
}
use polynomial;

/// c₀ + s(c₂ + s(c₄ + …))
macro_rules! every_other {
    ($s:expr; $last:expr) => { $last };
    ($s:expr; $last:expr, $skipped:expr) => { $last };
    ($s:expr; $first:expr, $skipped:expr, $($rest:expr),+) => {
        $first + $s * super::every_other!($s; $($rest),+)
    };
}
use every_other;
