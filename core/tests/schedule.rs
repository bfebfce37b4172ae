//! Laws of the number of terms: sampler against survival, certification against exact variances.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use detfree_core::{Key, Quantity, RouletteSchedule, ScheduleError};

fn schedules() -> Vec<RouletteSchedule> {
    let mut all = vec![
        RouletteSchedule::truncated(1).unwrap(),
        RouletteSchedule::truncated(7).unwrap(),
        RouletteSchedule::poisson_unchecked(1, 0.5).unwrap(),
        RouletteSchedule::poisson_unchecked(3, 20.0).unwrap(),
    ];
    for exact in [0, 1, 2, 10] {
        for continuation in [1e-3, 0.1, 0.5, 0.85, 0.98] {
            all.push(RouletteSchedule::geometric_unchecked(exact, continuation).unwrap());
        }
    }
    for contraction in [0.01, 0.5, 0.9, 0.98] {
        all.push(RouletteSchedule::certified(contraction, Quantity::Value).unwrap());
        all.push(RouletteSchedule::certified(contraction, Quantity::Gradient).unwrap());
    }
    all
}

/// Whether N(u) ≥ k exactly where S(k) > u: at every S(k), a rounding to either side, and at
/// thousands of uniform draws.
fn agree(survival: impl Fn(u32) -> f64, sampler: impl Fn(f64) -> u32) -> bool {
    let near = (1..200).flat_map(|k| {
        let s = survival(k);
        [
            s * (1.0 - 4.0 * f64::EPSILON),
            s,
            s * (1.0 + 4.0 * f64::EPSILON),
        ]
    });
    let draws = (0..2_000).map(|i| Key::new(i).uniform(0, 0));
    near.chain(draws)
        .filter(|u| (1e-15..1.0).contains(u))
        .all(|u| {
            let n = sampler(u);
            n >= 1 && (n == 1 || survival(n) > u) && survival(n + 1) <= u
        })
}

#[test]
fn sampler_follows_survival() {
    for schedule in schedules() {
        assert_eq!(schedule.survival(0), 1.0);
        assert_eq!(schedule.survival(1), 1.0);
        assert!(
            agree(|k| schedule.survival(k), |u| schedule.terms(u)),
            "{schedule:?}"
        );
    }
}

/// End-to-end z-tests are blind to these; the direct comparison is not.
#[test]
fn a_sampler_of_another_law_is_caught() {
    let law = RouletteSchedule::geometric_unchecked(2, 0.5).unwrap();
    let other = RouletteSchedule::geometric_unchecked(2, 0.4).unwrap();
    assert!(!agree(|k| law.survival(k), |u| other.terms(u)));
    assert!(!agree(|k| law.survival(k), |u| law.terms(u) + 1));
    assert!(!agree(|k| law.survival(k + 1), |u| law.terms(u)));
}

#[test]
fn expected_terms_are_the_sum_of_survival() {
    for schedule in schedules() {
        let sum: f64 = (1..20_000).map(|k| schedule.survival(k)).sum();
        let expected = schedule.expected_terms();
        assert!((sum - expected).abs() < 1e-9 * expected, "{schedule:?}");
    }
    // The paper's n = 2, q = ½ evaluates four terms on average.
    let paper = RouletteSchedule::geometric_unchecked(2, 0.5).unwrap();
    assert!((paper.expected_terms() - 4.0).abs() < 1e-12);
}

/// Small Poisson tails keep their relative accuracy: against P(N ≥ 30) for mean 2, summed here
/// from the far end with terms from logarithms.
#[test]
fn poisson_tails_are_relative() {
    let schedule = RouletteSchedule::poisson_unchecked(1, 2.0).unwrap();
    let log_factorial = |n: u32| (2..=n).map(|i| f64::from(i).ln()).sum::<f64>();
    let tail: f64 = (30..80)
        .rev()
        .map(|i| (f64::from(i) * 2.0_f64.ln() - 2.0 - log_factorial(i)).exp())
        .sum();
    let survival = schedule.survival(31);
    assert!(
        (survival / tail - 1.0).abs() < 1e-12,
        "{survival:e} {tail:e}"
    );
}

/// T_k/Lᵏ for k in 0..`terms`, T_k = Σ_{j≥k} L^j/j (value) or L^j (gradient): scaled, so that
/// nothing underflows.
fn scaled_tails(contraction: f64, quantity: Quantity, terms: u32) -> Vec<f64> {
    let term = |k: u32| match quantity {
        Quantity::Value => 1.0 / f64::from(k.max(1)),
        Quantity::Gradient => 1.0,
    };
    let mut tail = term(terms) / (1.0 - contraction);
    let mut tails: Vec<f64> = (0..terms)
        .rev()
        .map(|k| {
            tail = term(k) + contraction * tail;
            tail
        })
        .collect();
    tails.reverse();
    tails
}

/// Var(X|v)/‖v‖⁴ for J = −L·I, the worst of all J with ‖J‖ ≤ L: Σ_{k≥2} (1/S(k) − 1/S(k−1)) T_k²,
/// by its first `terms` terms.
fn worst_variance(
    schedule: &RouletteSchedule,
    contraction: f64,
    quantity: Quantity,
    terms: u32,
) -> f64 {
    let tails = scaled_tails(contraction, quantity, terms);
    let over = |tail: f64, k: u32, s: f64| {
        (2.0 * (tail.ln() + f64::from(k) * contraction.ln()) - s.ln()).exp()
    };
    (2..terms)
        .map(|k| {
            let tail = tails[k as usize];
            over(tail, k, schedule.survival(k)) - over(tail, k, schedule.survival(k - 1))
        })
        .sum()
}

/// As many terms as survive with a probability that `f64` can hold, at most 2,000.
fn representable(schedule: &RouletteSchedule) -> u32 {
    (3..2_000)
        .take_while(|&k| schedule.survival(k) > 1e-300)
        .last()
        .unwrap()
}

/// Certified: the sum has converged. Refused: it grows without bound.
#[test]
fn certified_means_finite_variance() {
    for contraction in [0.3, 0.5, 0.7, 0.9, 0.98] {
        for quantity in [Quantity::Value, Quantity::Gradient] {
            let schedule = RouletteSchedule::certified(contraction, quantity).unwrap();
            let terms = representable(&schedule);
            let (half, whole) = (
                worst_variance(&schedule, contraction, quantity, terms / 2),
                worst_variance(&schedule, contraction, quantity, terms),
            );
            assert!(
                (whole / half - 1.0).abs() < 1e-6,
                "{contraction} {quantity:?}"
            );
        }
    }
    for (contraction, continuation) in [(0.8, 0.5), (0.9, 0.8), (0.98, 0.9)] {
        let refused = RouletteSchedule::geometric(2, continuation, contraction, Quantity::Gradient);
        assert_eq!(
            refused,
            Err(ScheduleError::Uncertified {
                quantity: Quantity::Gradient,
                contraction,
                continuation
            })
        );
        let schedule = RouletteSchedule::geometric_unchecked(2, continuation).unwrap();
        let (half, whole) = (
            worst_variance(&schedule, contraction, Quantity::Gradient, 200),
            worst_variance(&schedule, contraction, Quantity::Gradient, 400),
        );
        assert!(whole > 10.0 * half, "{contraction}: {half:e} {whole:e}");
    }
    // However small the contraction, some continuation is above its square; a value's terms stay so frequent
    // that samples tell their variance.
    for (quantity, continuation) in [
        (Quantity::Value, 0.3),
        (Quantity::Gradient, f64::MIN_POSITIVE),
    ] {
        let tiny = RouletteSchedule::certified(f64::MIN_POSITIVE, quantity).unwrap();
        assert_eq!(tiny.survival(3), 1.0);
        assert_eq!(tiny.survival(4), continuation);
    }
    // At q = L² the value's variance is still finite and the gradient's is not.
    assert!(RouletteSchedule::geometric(2, 0.25, 0.5, Quantity::Value).is_ok());
    assert!(RouletteSchedule::geometric(2, 0.25, 0.5, Quantity::Gradient).is_err());
}

/// Worst-case second moment × cost of a value estimate with two exact terms, as a function of q.
fn cost(q: f64, contraction: f64) -> f64 {
    let tails = scaled_tails(contraction, Quantity::Value, 4_000);
    let first = tails[1] * contraction;
    let ratio = contraction * contraction / q;
    // q^{-(k-3)} T_k² = (L²/q)^k q³ (T_k/Lᵏ)², summed from its small end.
    let sum: f64 = (4..4_000_u32)
        .rev()
        .map(|k| ratio.powf(f64::from(k)) * q.powi(3) * tails[k as usize].powi(2))
        .sum();
    (first * first + (1.0 - q) * sum) * (1.0 + 2.0 + 1.0 / (1.0 - q))
}

/// The value's q = L^1.3 is never below the cheapest q*, so no minimisation is needed at run time.
/// The minimisers found here are the published .258, .508, .816, .9605.
#[test]
fn the_floor_lies_above_the_cheapest_continuation() {
    for (contraction, published) in [
        (0.1, None),
        (0.3, None),
        (0.5, Some(0.258)),
        (0.7, Some(0.508)),
        (0.9, Some(0.816)),
        (0.98, Some(0.9605)),
    ] {
        let square: f64 = contraction * contraction;
        let (mut low, mut high) = (square * (1.0 + 1e-4), 1.0 - 1e-4);
        for _ in 0..60 {
            let (a, b) = (low + 0.382 * (high - low), low + 0.618 * (high - low));
            if cost(a, contraction) < cost(b, contraction) {
                high = b;
            } else {
                low = a;
            }
        }
        assert!(low < contraction.powf(1.3), "{contraction}: {low}");
        if let Some(published) = published {
            assert!((low - published).abs() < 1.5e-3, "{contraction}: {low}");
        }
    }
}

#[test]
fn bad_parameters_are_refused() {
    for contraction in [0.0, 1.0, -0.5, 1.5, f64::NAN, f64::INFINITY] {
        let refused = RouletteSchedule::certified(contraction, Quantity::Value).unwrap_err();
        assert!(refused.to_string().contains("contraction factor"));
    }
    for continuation in [0.0, 1.0, -0.1, f64::NAN] {
        assert!(RouletteSchedule::geometric_unchecked(2, continuation).is_err());
    }
    assert!(RouletteSchedule::poisson_unchecked(0, 1.0).is_err());
    assert!(RouletteSchedule::poisson_unchecked(1, f64::NAN).is_err());
    assert!(RouletteSchedule::poisson_unchecked(1, 1e9).is_err());
    assert!(RouletteSchedule::truncated(0).is_err());
    // Huge but legal numbers end.
    let long = RouletteSchedule::geometric_unchecked(u32::MAX, 1.0 - 1e-9).unwrap();
    assert!(long.terms(1e-16) >= 1 << 30);
}
