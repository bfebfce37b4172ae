//! Base densities: normalisation, moments, scores, quantiles.

use core::f64::consts::{LN_2, PI};

use detfree_core::{BaseDensity, Scalar};

const ALL: [BaseDensity; 3] = [
    BaseDensity::Normal,
    BaseDensity::HyperbolicSecant,
    BaseDensity::Logistic,
];

fn log_density<T: Scalar>(base: BaseDensity, z: T) -> (f64, T) {
    let mut score = [T::from_f64(f64::NAN)];
    let log = base.log_density_and_score(&[z], &mut score);
    (log, score[0])
}

#[test]
fn densities_integrate_to_one_with_the_stated_variance() {
    // The trapezoid rule errs by exp(−2πa/h) for a function analytic |Im z| < a, a = π/2 at least.
    let h = 1.0 / 16.0;
    for (base, variance) in ALL.into_iter().zip([1.0, PI * PI / 4.0, PI * PI / 3.0]) {
        let (mut mass, mut second) = (0.0, 0.0);
        for i in -1200..=1200 {
            let z = f64::from(i) * h;
            let p = log_density(base, z).0.exp() * h;
            mass += p;
            second += p * z * z;
        }
        // 2401 terms, each a few ε of itself: and an error of ε|log p| in the exponent.
        let tolerance = 64.0 * f64::EPSILON;
        assert!((mass - 1.0).abs() <= tolerance, "{base:?}: {mass}");
        assert!(
            (second - variance).abs() <= 4.0 * tolerance,
            "{base:?}: {second}"
        );
    }
}

#[test]
fn scores_are_the_derivatives() {
    let h = f64::EPSILON.cbrt();
    for base in ALL {
        for i in -400..=400 {
            let z = f64::from(i) / 20.0;
            let (above, below) = (log_density(base, z + h).0, log_density(base, z - h).0);
            let difference = (above - below) / (2.0 * h);
            // h²/6 of the third derivative, at most 1; and the rounding of values up to 200.
            let tolerance = h * h + f64::EPSILON * (above.abs() + z.abs() + 2.0) / h;
            let (_, score) = log_density(base, z);
            assert!((difference - score).abs() <= tolerance, "{base:?} at {z}");
            // By symmetry the score is odd and the density even, to the bit.
            assert_eq!(log_density(base, -z), (log_density(base, z).0, -score));
        }
    }
}

#[test]
fn tails_do_not_overflow() {
    for z in [1e3, 1e5, 1e15] {
        let close = |got: f64, want: f64| (got - want).abs() <= 2.0 * f64::EPSILON * want.abs();
        assert!(close(
            log_density(BaseDensity::HyperbolicSecant, z).0,
            LN_2 - z - PI.ln()
        ));
        assert!(close(log_density(BaseDensity::Logistic, z).0, -z));
        assert!(close(
            log_density(BaseDensity::Normal, z).0,
            -0.5 * z * z - 0.5 * (2.0 * PI).ln()
        ));
    }
    for base in ALL {
        assert!(log_density(base, f64::NAN).0.is_nan());
        assert_eq!(log_density(base, f64::INFINITY).0, f64::NEG_INFINITY);
    }
}

#[test]
fn sums_run_over_the_shorter_slice() {
    let z: Vec<f64> = (0..301).map(|i| f64::from(i) / 40.0 - 3.3).collect();
    let single: Vec<f32> = z.iter().map(|&z| z as f32).collect();
    for base in ALL {
        for length in [0, 1, 7, 8, 9, 64, 65, 301] {
            let want: f64 = z[..length].iter().map(|&z| log_density(base, z).0).sum();
            let mut score = vec![f64::NAN; length];
            let got = base.log_density_and_score(&z, &mut score);
            // Terms of at most 7, in another order.
            let rounding = 8.0 * length as f64;
            assert!(
                (got - want).abs() <= rounding * f64::EPSILON,
                "{base:?}, {length}"
            );
            assert!(
                z.iter()
                    .zip(&score)
                    .all(|(&z, &score)| score == log_density(base, z).1)
            );

            let mut low = vec![f32::NAN; 301];
            let got = base.log_density_and_score(&single[..length], &mut low);
            assert!((got - want).abs() <= rounding * f64::from(f32::EPSILON));
            for (low, &score) in low.iter().zip(&score) {
                assert!((f64::from(*low) - score).abs() <= 8.0 * f64::from(f32::EPSILON));
            }
            assert!(low[length..].iter().all(|low| low.is_nan()));
        }
    }
}

#[test]
fn quantiles_invert_the_distribution() {
    let cumulative = |base: BaseDensity, z: f64| match base {
        BaseDensity::Normal => 0.5 * libm::erfc(-z / core::f64::consts::SQRT_2),
        BaseDensity::HyperbolicSecant => 2.0 / PI * libm::atan(libm::exp(z)),
        BaseDensity::Logistic => libm::exp(z) / (1.0 + libm::exp(z)),
    };
    for base in ALL {
        for exponent in 1..1000 {
            let u = libm::exp2(-f64::from(exponent));
            for u in [u, 1.3 * u].into_iter().filter(|&u| u < 0.5) {
                let z = base.quantile(u);
                let (log, _) = log_density(base, z);
                // An error of ε|z| in z is one of ε|z|p(z) in u; libm's are a few ε of u.
                let tolerance = f64::EPSILON * (4.0 * z.abs() * log.exp() + 4.0 * u);
                let error = (cumulative(base, z) - u).abs();
                assert!(error <= tolerance, "{base:?} at {u}: {z}, {error}");
            }
        }
        // The slope of the quantile is one over the density, its constant included.
        for i in 1..1000 {
            let u = f64::from(i) / 1000.0;
            let h = 1e-4 * u.min(1.0 - u);
            let slope = (base.quantile(u + h) - base.quantile(u - h)) / (2.0 * h);
            let density = log_density(base, base.quantile(u)).0.exp();
            // h²/6 of a third derivative like 2/u² of the first.
            assert!((slope * density - 1.0).abs() <= 1e-8, "{base:?} at {u}");
        }
        // Nothing cancels near the median.
        let p = log_density(base, 0.0).0.exp();
        for offset in [1e-3, 1e-9, 1e-14].map(|offset| (0.5 + offset) - 0.5) {
            let z = base.quantile(0.5 + offset);
            let relative = z * p / offset - 1.0;
            assert!(
                relative.abs() <= 16.0 * offset * offset + 8.0 * f64::EPSILON,
                "{base:?}: {relative}"
            );
            assert_eq!(base.quantile(0.5 - offset), -z);
        }
        assert_eq!(base.quantile(0.5), 0.0);
        assert_eq!(base.quantile(0.0), f64::NEG_INFINITY);
        assert_eq!(base.quantile(1.0), f64::INFINITY);
        assert!(
            [-0.1, 1.1, f64::NAN]
                .iter()
                .all(|&u| base.quantile(u).is_nan())
        );
    }
}

#[test]
fn names_are_stable() {
    assert_eq!(
        ALL.map(BaseDensity::name).join(" "),
        "normal hyperbolic-secant logistic"
    );
}

/// FNV-1a of the bits of scores and log-densities.
fn checksum<T: Scalar>() -> u64 {
    let z: Vec<T> = (-311..=311)
        .map(|i| T::from_f64(f64::from(i) / 8.0))
        .collect();
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for base in ALL {
        let mut score = z.clone();
        let log = base.log_density_and_score(&z, &mut score);
        for value in score.iter().map(|score| score.to_f64()).chain([log]) {
            for byte in value.to_bits().to_le_bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
            }
        }
    }
    hash
}

/// A test of stability, not of accuracy: every host, optimisation level and vector width must give
/// these values.
#[test]
fn bits_are_the_same_everywhere() {
    assert_eq!(checksum::<f32>(), 0x4697_9950_C172_B69D);
    assert_eq!(checksum::<f64>(), 0xFC08_0726_357B_674A);
}
