//! The logit of columns with a known range, as part of a model of images.

use detfree_core::Scalar;

/// x̂_j = logit(p_j), p_j = λ + (1 − 2λ) x_j/levels, with
/// log|det ∂x̂/∂x| = Σ_j log((1 − 2λ)/levels) − log p_j − log(1 − p_j)
///
/// (Dinh et al. 2017, section 4.1; Papamakarios et al. 2017, section 4.2, with levels = 256 and
/// λ = 1e-6 for MNIST).
///
/// ```
/// use detfree_flows::Squash;
/// let squash = Squash { lambda: 1e-6, levels: 256.0 };
/// let mut row = [128.0, 255.9];
/// squash.apply(&mut row);
/// assert_eq!(row[0], 0.0);
/// squash.invert(&mut row);
/// assert!((row[1] - 255.9).abs() < 1e-9);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Squash {
    /// λ, in (0, ½): keeps p away from 0 and 1.
    pub lambda: f64,
    /// The width of the range [0, levels).
    pub levels: f64,
}

impl Squash {
    /// Whether λ and the range are possible ones.
    #[must_use]
    pub fn is_sound(self) -> bool {
        self.lambda > 0.0 && self.lambda < 0.5 && self.levels > 0.0 && self.levels.is_finite()
    }

    /// x ← x̂: NaN outside the range where p is in (0, 1).
    pub fn apply<T: Scalar>(self, row: &mut [T]) {
        let [lambda, slope, levels] = [
            self.lambda,
            (1.0 - 2.0 * self.lambda) / self.levels,
            self.levels,
        ]
        .map(T::from_f64);
        for x in row {
            // 1 − p from the other end of the range, where it is small: nothing cancels.
            let (p, q) = (lambda + slope * *x, lambda + slope * (levels - *x));
            *x = p.ln() - q.ln();
        }
    }

    /// x ← the number whose image is x.
    pub fn invert(self, row: &mut [f64]) {
        for x in row {
            let p = 1.0 / (1.0 + libm::exp(-*x));
            *x = (p - self.lambda) / (1.0 - 2.0 * self.lambda) * self.levels;
        }
    }

    /// log|det ∂x̂/∂x| at a row x: −∞ outside the range.
    #[must_use]
    pub fn log_jacobian(self, row: &[f64]) -> f64 {
        let slope = (1.0 - 2.0 * self.lambda) / self.levels;
        let terms = row.iter().map(|x| {
            let (p, q) = (
                self.lambda + slope * x,
                self.lambda + slope * (self.levels - x),
            );
            if p > 0.0 && q > 0.0 {
                libm::log(slope) - libm::log(p) - libm::log(q)
            } else {
                f64::NEG_INFINITY
            }
        });
        terms.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQUASH: Squash = Squash {
        lambda: 1e-6,
        levels: 256.0,
    };

    /// Against the formula in double precision; in `f32` an ε of p is an ε of x̂.
    #[test]
    fn both_precisions_follow_the_formula() {
        for x in [0.0_f64, 0.01, 0.7, 3.0, 128.0, 200.3, 255.0, 255.99, 256.0] {
            let p = 1e-6 + (1.0 - 2e-6) * x / 256.0;
            let want = (p / (1.0 - p)).ln();
            let (mut double, mut single) = ([x], [x as f32]);
            SQUASH.apply(&mut double);
            SQUASH.apply(&mut single);
            // 1 − p of the formula cancels up to 1e6 ε.
            assert!(
                (double[0] - want).abs() < 4e-10,
                "{x}: {} {want}",
                double[0]
            );
            // A rounding of x near 256 is ε·256 of 256 − x = 0.01 at the worst.
            assert!(
                (f64::from(single[0]) - want).abs() < 4e-3,
                "{x}: {} {want}",
                single[0]
            );
        }
    }

    #[test]
    fn the_jacobian_is_that_of_differences() {
        let mut sum = 0.0_f64;
        let row = [0.4_f64, 17.0, 255.2];
        for x in row {
            let h = 1e-5;
            let mut ends: [f64; 2] = [x - h, x + h];
            SQUASH.apply(&mut ends);
            sum += ((ends[1] - ends[0]) / (2.0 * h)).ln();
        }
        assert!((SQUASH.log_jacobian(&row) - sum).abs() < 1e-8);
        assert_eq!(SQUASH.log_jacobian(&[300.0, 300.0]), f64::NEG_INFINITY);
    }
}
