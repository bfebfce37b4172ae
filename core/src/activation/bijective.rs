//! The two activations of relative-gradient flows, and their inverses.

use core::f64::consts::LN_2;

use crate::Scalar;
use crate::elementary::if_else;

/// More steps than bisection needs to come from any bracket to neighbouring numbers.
const MOST_STEPS: usize = 2200;

/// σ(x) = αx + (1−α) log(1+eˣ)
#[derive(Clone, Copy)]
pub(super) struct LeakySoftplus<T> {
    alpha: T,
    rest: T,
}

impl<T: Scalar> LeakySoftplus<T> {
    pub(super) fn new(alpha: T) -> Self {
        Self {
            alpha,
            rest: T::one() - alpha,
        }
    }

    /// [σ, σ', σ''](x)
    #[inline(always)]
    pub(super) fn jet(self, x: T) -> [T; 3] {
        let (softplus, p, q) = x.softplus_sigmoid();
        [
            self.alpha * x + self.rest * softplus,
            self.alpha + self.rest * p,
            self.rest * (p * q),
        ]
    }
}

impl LeakySoftplus<f64> {
    /// σ⁻¹(z)
    pub(super) fn inverse(self, z: f64) -> f64 {
        // max(x, 0) ≤ log(1+eˣ) ≤ max(x, 0) + ln 2, and σ is convex: from the right, Newton's steps
        // stay on the right.
        let piecewise_linear = |z: f64| if_else(z > 0.0, z, z / self.alpha);
        let low = piecewise_linear(z - self.rest * LN_2);
        let high = piecewise_linear(z);
        solve(z, [low, high], high, |x| self.jet(x))
    }
}

/// σ(x) = tanh(αx) + βx
#[derive(Clone, Copy)]
pub(super) struct TanhLinear<T> {
    alpha: T,
    beta: T,
}

impl<T: Scalar> TanhLinear<T> {
    pub(super) fn new(alpha: T, beta: T) -> Self {
        Self { alpha, beta }
    }

    /// [σ, σ', σ''](x)
    #[inline(always)]
    pub(super) fn jet(self, x: T) -> [T; 3] {
        let (tanh, sech2) = (self.alpha * x).tanh_sech2();
        let slope = self.alpha * sech2;
        [
            tanh + self.beta * x,
            slope + self.beta,
            -(self.alpha + self.alpha) * (slope * tanh),
        ]
    }
}

impl TanhLinear<f64> {
    /// σ⁻¹(z)
    pub(super) fn inverse(self, z: f64) -> f64 {
        // For x > 0 both tanh(αx) ≤ 1 and tanh(αx) ≤ αx, and σ is concave: from the left, Newton's
        // steps stay on the left. σ is odd.
        let size = z.abs();
        let steep = size / (self.alpha + self.beta);
        let flat = (size - 1.0) / self.beta;
        let low = if_else(steep > flat, steep, flat);
        let x = solve(size, [low, size / self.beta], low, |x| self.jet(x));
        x.copysign(z)
    }
}

/// x in the bracket with σ(x) = z for an increasing σ: Newton's steps, and a bisection where one
/// leaves the bracket or is not half as long as the step before.
fn solve(z: f64, [mut low, mut high]: [f64; 2], start: f64, jet: impl Fn(f64) -> [f64; 3]) -> f64 {
    let mut x = start;
    // NaN, ±∞ and what overflows are their own inverses.
    if !(low.is_finite() && high.is_finite()) {
        return x;
    }
    let mut last = f64::INFINITY;
    for _ in 0..MOST_STEPS {
        let [value, slope, _] = jet(x);
        let residual = value - z;
        if residual > 0.0 {
            high = x;
        } else {
            low = x;
        }
        let newton = x - residual / slope;
        let step = (newton - x).abs();
        let (size, rounding) = (x.abs(), z.abs() / slope);
        if step <= 2.0 * f64::EPSILON * if_else(size > rounding, size, rounding) {
            return newton;
        }
        let next = if low <= newton && newton <= high && 2.0 * step <= last {
            newton
        } else {
            low + 0.5 * (high - low)
        };
        if next == x {
            break;
        }
        last = (next - x).abs();
        x = next;
    }
    x
}
