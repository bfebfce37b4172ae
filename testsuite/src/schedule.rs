//! The law that a sampler of numbers of terms has, against the one it is weighted by.

use detfree_core::Key;

use crate::Outcome;
use crate::failure::ensure;

/// Passes where N(u) = max{k ≥ 1 : S(k) > u} at every S(k), at a few ε on either side of it, and at
/// 2,000 uniform numbers: the sampler has the law of `survival`.
///
/// End-to-end z-tests are blind to a mismatch: continuing with 0.4 where S assumes 0.5 passes
/// thousands of samples.
///
/// ```
/// use detfree_core::RouletteSchedule;
/// use detfree_testsuite::sampler_follows;
/// let law = RouletteSchedule::geometric_unchecked(2, 0.5).unwrap();
/// assert!(sampler_follows(|k| law.survival(k), |u| law.terms(u)).is_ok());
/// assert!(sampler_follows(|k| law.survival(k), |u| law.terms(u) + 1).is_err());
/// ```
///
/// # Errors
/// The first number where they differ.
pub fn sampler_follows(survival: impl Fn(u32) -> f64, sampler: impl Fn(f64) -> u32) -> Outcome {
    let rounding = 4.0 * f64::EPSILON;
    let near =
        (1..200).flat_map(|k| [1.0 - rounding, 1.0, 1.0 + rounding].map(|f| f * survival(k)));
    let drawn = (0..2_000).map(|i| Key::new(i).uniform(0, 0));
    for u in near.chain(drawn).filter(|u| (1e-15..1.0).contains(u)) {
        let n = sampler(u);
        let follows = n >= 1 && (n == 1 || survival(n) > u) && survival(n + 1) <= u;
        ensure(follows, || {
            format!(
                "the sampler gives {n} terms for u = {u}, where S({n}) = {} and S({}) = {}",
                survival(n),
                n + 1,
                survival(n + 1)
            )
        })?;
    }
    Ok(())
}
