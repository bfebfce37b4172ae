//! The length of a step, as the data type can take it.

use crate::Scalar;

/// The numbers that a step multiplies by, each of them exact in the data type: what is tracked is
/// then the change of the step that is taken, W⁺ = s W + a (R (T − I) W), and not of one whose length
/// was rounded elsewhere. In `f32` that would be a drift, the same way in every step.
pub(super) struct Step {
    /// s = 1 + μ, rounded.
    pub(super) scale: f64,
    /// s − 1
    pub(super) mu: f64,
    /// a = μ/R, rounded.
    pub(super) share: f64,
}

impl Step {
    /// `None` where μ ≤ −1 or not finite.
    pub(super) fn new<T: Scalar>(mu: f64, rows: usize) -> Option<Self> {
        let exact = |x: f64| T::from_f64(x).to_f64();
        let scale = exact(1.0 + mu);
        (scale > 0.0 && scale < f64::INFINITY).then(|| Self {
            scale,
            mu: scale - 1.0,
            share: exact((scale - 1.0) / rows as f64),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number that the data type has to round is one that the step and its tracking round apart.
    #[test]
    fn the_numbers_of_a_step_are_those_of_its_data_type() {
        for (mu, rows) in [(0.02, 10), (0.1, 3), (1e-5, 7), (-0.3, 100), (2.0, 1)] {
            let Some(step) = Step::new::<f32>(mu, rows) else {
                panic!("{mu} is a step");
            };
            for x in [step.scale, step.mu, step.share] {
                assert_eq!(f64::from(x as f32), x, "{mu} over {rows} rows");
            }
            assert_eq!(step.scale, 1.0 + step.mu);
            assert!((step.share * rows as f64 - mu).abs() < 2.0 * f64::from(f32::EPSILON));
        }
    }
}
