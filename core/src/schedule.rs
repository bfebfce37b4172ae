//! How many terms of a series are evaluated, and with what probability.

use core::fmt;

/// What a series is run for: its variance decides which schedules are safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// log det(I+J), whose tails fall like Lᵏ/k.
    Value,
    /// Its gradient (alone or with the value), whose tails fall like Lᵏ.
    Gradient,
}

impl Quantity {
    /// The recommended probability of going on: all moments are finite. In the worst case, J = −L I, roulette
    /// adds L⁷ of the second moment to a gradient, and 6% to a value at L = 0.98.
    fn continuation(self, contraction: f64) -> f64 {
        match self {
            Self::Value => libm::pow(contraction, 1.3).max(SEEN),
            Self::Gradient => contraction,
        }
    }
}

/// The law of the number of terms N of a Russian-roulette series, by its survival function
/// S(k) = P(N ≥ k).
///
/// | law | S(k) | E\[N\] |
/// |---|---|---|
/// | geometric: n exact terms, continuation q | 1 for k ≤ n+1, q^{k−n−1} beyond | n + 1/(1−q) |
/// | Poisson: n exact terms, mean λ | 1 for k ≤ n, P(Poisson(λ) ≥ k−n) beyond | n + λ |
/// | truncated at n | 1 for k ≤ n, 0 beyond | n |
///
/// The geometric convention is the one of Residual Flows (Chen et al. 2019, section 3): its
/// n = 2, q = ½ evaluates four terms on average. A truncated series is *biased*.
///
/// **Certified.** With contraction L (a bound on ‖J‖ of every row) a geometric tail has a finite
/// variance for all such J iff q > L² for the gradient, q ≥ L² for the value. The default takes
/// q = L for gradients (every moment finite) and q = max(L^1.3, 0.3) for the value, which lies above the
/// minimiser of variance × cost, and above L^{4/3}, where the fourth moment that an honest standard
/// error needs becomes finite; below 0.3 the terms would be too rare for 32 samples to tell their variance.
/// Poisson tails have infinite variance for every J with a positive spectral radius.
///
/// ```
/// use detfree_core::{Quantity, RouletteSchedule};
/// let schedule = RouletteSchedule::certified(0.9, Quantity::Gradient)?;
/// assert_eq!(schedule.survival(3), 1.0);
/// assert!((schedule.expected_terms() - 12.0).abs() < 1e-9);
/// // The paper's ½ has an infinite variance at L = 0.9.
/// assert!(RouletteSchedule::geometric(2, 0.5, 0.9, Quantity::Gradient).is_err());
/// # Ok::<(), detfree_core::ScheduleError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RouletteSchedule {
    law: Law,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Law {
    Geometric { exact: u32, continuation: f64 },
    Poisson { exact: u32, mean: f64 },
    Truncated { terms: u32 },
}

/// The least probability of going on with a value: terms that are rarer may be in none of 32 samples, whose
/// standard error then does not know of them. In the worst case, J = −L I, ±2 standard errors of 32
/// samples cover 90% and more (`intervals_cover_rare_terms`); without it 81% at L = 0.1 and 18% at 0.02.
const SEEN: f64 = 0.3;

/// The exact terms before a certified tail, as in the paper.
const EXACT_TERMS: u32 = 2;

/// No quantile is asked beyond 2⁻⁵³ of a batch's share, so no law here comes near this many terms.
const MAX_TERMS: u32 = 1 << 30;

impl RouletteSchedule {
    /// Two exact terms, then the recommended geometric tail for ‖J‖ ≤ `contraction`.
    ///
    /// # Errors
    /// [`ScheduleError::Contraction`] unless 0 < `contraction` < 1.
    pub fn certified(contraction: f64, quantity: Quantity) -> Result<Self, ScheduleError> {
        Self::recommended(EXACT_TERMS, contraction, quantity)
    }

    /// The same tail for a series whose first and largest term is known in closed form
    /// ([`ExactFirst`](crate::ExactFirst)). The first term that is not, k = 2 of the value and k = 1 of the
    /// gradient, is always taken, and the roulette begins behind it: what is left is small, and is
    /// paid for less.
    ///
    /// # Errors
    /// As [`Self::certified`].
    pub fn certified_beyond_trace(
        contraction: f64,
        quantity: Quantity,
    ) -> Result<Self, ScheduleError> {
        let exact = match quantity {
            Quantity::Value => 1,
            Quantity::Gradient => 0,
        };
        Self::recommended(exact, contraction, quantity)
    }

    fn recommended(
        exact: u32,
        contraction: f64,
        quantity: Quantity,
    ) -> Result<Self, ScheduleError> {
        check_contraction(contraction)?;
        Self::geometric(
            exact,
            quantity.continuation(contraction),
            contraction,
            quantity,
        )
    }

    /// `exact` terms, then a geometric tail, refused where its variance could be infinite.
    ///
    /// # Errors
    /// [`ScheduleError::Uncertified`] where `continuation` ≤ `contraction`² (for the value: <);
    /// [`ScheduleError::Contraction`] and [`ScheduleError::Continuation`] outside (0, 1).
    pub fn geometric(
        exact: u32,
        continuation: f64,
        contraction: f64,
        quantity: Quantity,
    ) -> Result<Self, ScheduleError> {
        check_contraction(contraction)?;
        let schedule = Self::geometric_unchecked(exact, continuation)?;
        let square = contraction * contraction;
        let certified = match quantity {
            Quantity::Value => continuation >= square,
            Quantity::Gradient => continuation > square,
        };
        if certified {
            Ok(schedule)
        } else {
            Err(ScheduleError::Uncertified {
                quantity,
                contraction,
                continuation,
            })
        }
    }

    /// `exact` terms, then a geometric tail whose variance nobody has certified: to reproduce
    /// published settings, such as (2, 0.5).
    ///
    /// # Errors
    /// [`ScheduleError::Continuation`] unless 0 < `continuation` < 1.
    pub fn geometric_unchecked(exact: u32, continuation: f64) -> Result<Self, ScheduleError> {
        if continuation > 0.0 && continuation < 1.0 {
            let exact = exact.min(MAX_TERMS);
            Ok(Self {
                law: Law::Geometric {
                    exact,
                    continuation,
                },
            })
        } else {
            Err(ScheduleError::Continuation { continuation })
        }
    }

    /// `exact` ≥ 1 terms, then a Poisson number of more: infinite variance for every J with a
    /// positive spectral radius, kept to reproduce published settings.
    ///
    /// # Errors
    /// [`ScheduleError::Mean`] unless 0 < `mean` ≤ 100; [`ScheduleError::NoTerms`] for `exact` = 0.
    pub fn poisson_unchecked(exact: u32, mean: f64) -> Result<Self, ScheduleError> {
        if exact == 0 {
            Err(ScheduleError::NoTerms)
        } else if mean > 0.0 && mean <= 100.0 {
            let exact = exact.min(MAX_TERMS);
            Ok(Self {
                law: Law::Poisson { exact, mean },
            })
        } else {
            Err(ScheduleError::Mean { mean })
        }
    }

    /// Always `terms` terms: the *biased* estimator of i-ResNets (Behrmann et al. 2019).
    ///
    /// # Errors
    /// [`ScheduleError::NoTerms`] for `terms` = 0.
    pub const fn truncated(terms: u32) -> Result<Self, ScheduleError> {
        if terms == 0 {
            Err(ScheduleError::NoTerms)
        } else {
            Ok(Self {
                law: Law::Truncated { terms },
            })
        }
    }

    /// S(k) = P(N ≥ k); S(0) = S(1) = 1.
    #[must_use]
    // Inlined where the law is known: the others are then not linked.
    #[inline(always)]
    pub fn survival(&self, k: u32) -> f64 {
        match self.law {
            Law::Geometric {
                exact,
                continuation,
            } => power(continuation, k.saturating_sub(exact + 1)),
            Law::Poisson { exact, mean } => poisson_tail(mean, k.saturating_sub(exact)),
            Law::Truncated { terms } => f64::from(u8::from(k <= terms)),
        }
    }

    /// E\[N\], the expected number of products per row.
    #[must_use]
    pub fn expected_terms(&self) -> f64 {
        match self.law {
            Law::Geometric {
                exact,
                continuation,
            } => f64::from(exact) + 1.0 / (1.0 - continuation),
            Law::Poisson { exact, mean } => f64::from(exact) + mean,
            Law::Truncated { terms } => f64::from(terms),
        }
    }

    /// N = max{k : S(k) > u} for u in the open interval (0, 1): with u uniform, N has this law.
    #[must_use]
    pub fn terms(&self, u: f64) -> u32 {
        let mut terms = match self.law {
            Law::Geometric {
                exact,
                continuation,
            } => {
                let tail = libm::ceil(libm::log(u) / libm::log(continuation));
                exact.saturating_add((tail as u32).clamp(1, MAX_TERMS))
            }
            Law::Poisson { exact, .. } => exact,
            Law::Truncated { terms } => return terms,
        };
        // The logarithms are right to a rounding; survival itself has the last word.
        while terms < MAX_TERMS && self.survival(terms + 1) > u {
            terms += 1;
        }
        while terms > 1 && self.survival(terms) <= u {
            terms -= 1;
        }
        terms
    }
}

fn check_contraction(contraction: f64) -> Result<(), ScheduleError> {
    if contraction > 0.0 && contraction < 1.0 {
        Ok(())
    } else {
        Err(ScheduleError::Contraction { contraction })
    }
}

/// xⁿ by repeated squaring: the same bits on every host.
fn power(mut x: f64, mut n: u32) -> f64 {
    let mut result = 1.0;
    while n > 0 {
        if n & 1 == 1 {
            result *= x;
        }
        x *= x;
        n >>= 1;
    }
    result
}

/// P(Poisson(λ) ≥ j), summed from term j upwards so that small tails keep their relative accuracy.
fn poisson_tail(mean: f64, j: u32) -> f64 {
    if j == 0 {
        return 1.0;
    }
    let mut term = libm::exp(-mean);
    for i in 1..=j {
        term *= mean / f64::from(i);
    }
    let mut sum = 0.0;
    let mut i = j;
    while sum + term > sum {
        sum += term;
        i += 1;
        term *= mean / f64::from(i);
    }
    sum.min(1.0)
}

/// Why a schedule was refused.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The contraction factor is not in (0, 1).
    Contraction {
        /// What was given.
        contraction: f64,
    },
    /// The continuation probability is not in (0, 1).
    Continuation {
        /// What was given.
        continuation: f64,
    },
    /// The estimator's variance could be infinite.
    Uncertified {
        /// What the series is run for.
        quantity: Quantity,
        /// The bound on ‖J‖.
        contraction: f64,
        /// The probability of going on, too small for it.
        continuation: f64,
    },
    /// The Poisson mean is not in (0, 100].
    Mean {
        /// What was given.
        mean: f64,
    },
    /// A series must have a first term.
    NoTerms,
}

impl fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Contraction { contraction } => write!(
                f,
                "the contraction factor is {contraction}, but the series needs a bound on the norm \
                 of J above 0 and below 1: normalise the weights, or state a tighter bound"
            ),
            Self::Continuation { continuation } => write!(
                f,
                "the continuation probability is {continuation} and must lie between 0 and 1"
            ),
            Self::Uncertified {
                quantity,
                contraction,
                continuation,
            } => {
                let (of, least) = match quantity {
                    Quantity::Value => ("value", "not be below"),
                    Quantity::Gradient => ("gradient", "exceed"),
                };
                write!(
                    f,
                    "continuation probability {continuation} does not bound the variance of a {of} for \
                     contraction {contraction}: it must {least} {}, and {:.4} is recommended",
                    contraction * contraction,
                    quantity.continuation(contraction)
                )
            }
            Self::Mean { mean } => write!(
                f,
                "the Poisson mean is {mean} and must lie above 0 and not above 100"
            ),
            Self::NoTerms => f.write_str("the schedule has no terms: give at least one"),
        }
    }
}

impl core::error::Error for ScheduleError {}
