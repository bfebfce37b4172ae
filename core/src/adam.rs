//! The coefficients of one Adam step, with the bias corrections folded in.

use crate::Scalar;

/// One step of Adam (Kingma and Ba 2015, algorithm 1 in the form of its section 2), for *ascent*:
///
/// w ← w + rate · m / (√v + ε), where `rate` = μ √(1−β₂ᵗ)/(1−β₁ᵗ) and `epsilon` = ε √(1−β₂ᵗ).
///
/// ```
/// let first = detfree_core::Adam::new(1e-3, 1);
/// // At the first step m = (1-β₁)g and v = (1-β₂)g², so a step is μ·sign(g) but for ε.
/// assert!((first.rate * (1.0 - first.beta1) / (1.0 - first.beta2).sqrt() - 1e-3).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// The learning rate with both bias corrections.
    pub rate: f64,
    /// ε scaled by the second moment's bias correction.
    pub epsilon: f64,
}

impl Adam {
    /// Step number `t` (from 1: the *step*, never the epoch) with learning rate `mu`, β₁ = 0.9,
    /// β₂ = 0.999, ε = 1e-8.
    #[must_use]
    pub fn new(mu: f64, t: u64) -> Self {
        let (beta1, beta2) = (0.9, 0.999);
        let correction = libm::sqrt(1.0 - libm::pow(beta2, t as f64));
        Self {
            beta1,
            beta2,
            rate: mu * correction / (1.0 - libm::pow(beta1, t as f64)),
            epsilon: 1e-8 * correction,
        }
    }

    /// Takes the step on the host, in one pass: the specification of
    /// [`FlowBackend::adam`](crate::FlowBackend::adam).
    #[inline(always)]
    pub fn ascend<T: Scalar>(
        &self,
        direction: &[T],
        first_moment: &mut [T],
        second_moment: &mut [T],
        parameters: &mut [T],
    ) {
        self.each(first_moment, second_moment, parameters, direction, |_, g| g);
    }

    /// Takes the step along w + `correction` on the host, in one pass: a relative direction, whose
    /// first part is the weight itself.
    #[inline(always)]
    pub fn ascend_relative<T: Scalar>(
        &self,
        correction: &[T],
        first_moment: &mut [T],
        second_moment: &mut [T],
        weight: &mut [T],
    ) {
        self.each(first_moment, second_moment, weight, correction, |w, x| {
            w + x
        });
    }

    #[inline(always)]
    fn each<T: Scalar>(
        &self,
        first_moment: &mut [T],
        second_moment: &mut [T],
        parameters: &mut [T],
        given: &[T],
        direction: impl Fn(T, T) -> T,
    ) {
        let [beta1, beta2, rate, epsilon] =
            [self.beta1, self.beta2, self.rate, self.epsilon].map(T::from_f64);
        let [rest1, rest2] = [1.0 - self.beta1, 1.0 - self.beta2].map(T::from_f64);
        let moments = first_moment.iter_mut().zip(second_moment);
        for ((w, &given), (m, v)) in parameters.iter_mut().zip(given).zip(moments) {
            let g = direction(*w, given);
            *m = beta1 * *m + rest1 * g;
            *v = beta2 * *v + rest2 * g * g;
            *w += rate * *m / (v.sqrt() + epsilon);
        }
    }
}
