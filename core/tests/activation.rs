//! Activations: derivatives against differences, inverses, constants.

use detfree_core::{Activation, Key, Scalar};

const ALL: [Activation; 11] = [
    Activation::Identity,
    Activation::LeakySoftplus { alpha: 0.3 },
    Activation::LeakySoftplus { alpha: 0.01 },
    Activation::TanhLinear {
        alpha: 1.0,
        beta: 0.1,
    },
    Activation::TanhLinear {
        alpha: 0.7,
        beta: 2.0,
    },
    Activation::Tanh,
    Activation::Elu,
    Activation::Sine,
    Activation::LipSwish { beta: 0.2 },
    Activation::LipSwish { beta: 1.0 },
    Activation::LipSwish { beta: 3.0 },
];

fn bijections() -> impl Iterator<Item = Activation> {
    ALL.into_iter().filter(|sigma| sigma.is_bijection())
}

/// (σ, σ', σ'') at each x.
fn jets<T: Scalar>(sigma: Activation, x: &[T]) -> [Vec<T>; 3] {
    let nan = T::from_f64(f64::NAN);
    let [mut z, mut d1, mut d2] = [(); 3].map(|()| vec![nan; x.len()]);
    sigma.jets(x, &mut z, &mut d1, &mut d2);
    [z, d1, d2]
}

/// Even over [−30, 30], which holds 0 and a number of points no multiple of 8.
fn grid() -> Vec<f64> {
    (-6000..=6000).map(|i| f64::from(i) / 200.0).collect()
}

#[test]
fn derivatives_agree_with_central_differences() {
    let x = grid();
    let h = f64::EPSILON.cbrt();
    for sigma in ALL {
        let shifted = |h: f64| jets(sigma, &x.iter().map(|x| x + h).collect::<Vec<_>>());
        let ([_, d1, d2], high, low) = (jets(sigma, &x), shifted(h), shifted(-h));
        for (j, &x) in x.iter().enumerate() {
            // ELU's second derivative jumps at 0; its first has a kink there.
            if sigma == Activation::Elu && x == 0.0 {
                continue;
            }
            for (order, derivative) in [(0, d1[j]), (1, d2[j])] {
                let (above, below) = (high[order][j], low[order][j]);
                // h²/6 of the next derivatives but one, at most 60 in size (LipSwish, β = 3), and
                // the rounding of x ± h and of the values: a few ε(|x| + 1) over 2h.
                let tolerance = 10.0 * h * h + 2.0 * f64::EPSILON * (x.abs() + 1.0) / h;
                let difference = (above - below) / (2.0 * h);
                assert!(
                    (difference - derivative).abs() <= tolerance,
                    "{sigma:?} at {x}, order {}: {derivative}, differences {difference}",
                    order + 1
                );
            }
        }
    }
}

#[test]
fn single_precision_agrees_with_double() {
    let x: Vec<f32> = grid().iter().map(|&x| x as f32).collect();
    let wide: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
    for sigma in ALL {
        for (got, want) in jets(sigma, &x).iter().zip(jets(sigma, &wide)) {
            for ((got, want), x) in got.iter().zip(want).zip(&wide) {
                // The parameters, the products with them and a function within 4 ulp of values up
                // to |x| + 3.
                let tolerance = 4.0 * f64::from(f32::EPSILON) * (x.abs() + 3.0);
                assert!(
                    (f64::from(*got) - want).abs() <= tolerance,
                    "{sigma:?} at {x}"
                );
            }
        }
    }
}

#[test]
fn slopes_stay_below_the_lipschitz_constant_and_reach_it() {
    let x: Vec<f64> = (-400_000..=400_000)
        .map(|i| f64::from(i) / 10_000.0)
        .collect();
    for sigma in ALL {
        let [_, d1, _] = jets(sigma, &x);
        let largest = d1.iter().fold(0.0_f64, |largest, d| largest.max(d.abs()));
        let constant = sigma.lipschitz();
        assert!(
            largest <= constant && largest >= 0.9998 * constant,
            "{sigma:?}: {largest}"
        );
    }
}

#[test]
fn elu_takes_the_left_second_derivative_at_zero() {
    assert_eq!(
        jets(Activation::Elu, &[0.0, -0.0]),
        [[0.0; 2], [1.0; 2], [1.0; 2]]
    );
}

#[test]
fn bijection_is_the_jet_with_its_score_and_log_slope() {
    for sigma in ALL {
        for x in grid().chunks(61) {
            let [z, d1, d2] = jets(sigma, x);
            let [mut got_z, mut got_d1, mut score] = [(); 3].map(|()| vec![f64::NAN; x.len()]);
            let log = sigma.bijection(x, &mut got_z, &mut got_d1, &mut score);
            assert_eq!((&got_z, &got_d1), (&z, &d1), "{sigma:?}");
            let logs = || d1.iter().map(|d| libm::log(d.abs()));
            // A factor errs by ε/2, and a partial sum of the reference by ε/2 of its size.
            let size: f64 = logs().map(f64::abs).sum();
            let tolerance = f64::EPSILON * 61.0 * (1.0 + size);
            let want: f64 = logs().sum();
            assert!((log - want).abs() <= tolerance, "{sigma:?}: {log}, {want}");
            for ((score, d1), d2) in score.iter().zip(d1).zip(d2) {
                assert_eq!(*score, d2 / d1, "{sigma:?}");
            }
        }
    }
}

#[test]
fn the_shortest_slice_counts() {
    let sigma = Activation::TanhLinear {
        alpha: 1.0,
        beta: 0.1,
    };
    let (x, untouched) = ([0.5_f64; 20], [7.0; 20]);
    let [z, d1, d2] = jets(sigma, &x[..1]);
    for lengths in [[20, 20, 11], [20, 11, 20], [11, 20, 20], [0, 20, 20]] {
        let n = *lengths.iter().min().unwrap();
        let mut out = [untouched; 3];
        {
            let [a, b, c] = &mut out;
            let [i, j, k] = lengths;
            let log = sigma.bijection(&x, &mut a[..i], &mut b[..j], &mut c[..k]);
            assert!((log - n as f64 * d1[0].ln()).abs() < 1e-13);
            sigma.jets(&x, &mut a[..i], &mut b[..j], &mut c[..k]);
        }
        for (out, want) in out.iter().zip([z[0], d1[0], d2[0]]) {
            assert!(out[..n].iter().all(|&value| value == want));
            assert!(out[n..].iter().all(|&value| value == 7.0));
        }
    }
}

#[test]
fn no_value_hides_that_training_diverged() {
    for sigma in bijections() {
        let mut x = [0.5; 21];
        x[13] = f64::NAN;
        let [mut z, mut d1, mut score] = [[0.0; 21]; 3];
        let log = sigma.bijection(&x, &mut z, &mut d1, &mut score);
        // The identity's slope is 1 whatever x is.
        assert!(z[13].is_nan() && (log.is_nan() || sigma == Activation::Identity));
    }
}

/// Numbers of either sign from 10⁻⁶ to 10⁶.
fn magnitudes() -> impl Iterator<Item = f64> {
    let key = Key::new(11);
    (0..20_000).map(move |i| {
        let size = libm::pow(10.0, 12.0 * key.uniform(0, i) - 6.0);
        f64::from(key.sign(1, i)) * size
    })
}

/// The unit of the bound on an inverse: ε max(|x|, |z|/σ'(x)).
fn unit<T: Scalar>(sigma: Activation, x: T, z: T) -> f64 {
    let [_, d1, _] = jets(sigma, &[x]);
    T::EPSILON * x.to_f64().abs().max(z.to_f64().abs() / d1[0].to_f64())
}

fn assert_round_trip<T: Scalar>() {
    for sigma in bijections() {
        for x in magnitudes().chain([0.0]).map(T::from_f64) {
            let [z, ..] = jets(sigma, &[x]);
            let error = (sigma.inverse(z[0]).to_f64() - x.to_f64()).abs();
            // The inverse's 4 units, and the rounding of z = σ(x): 2 more.
            assert!(
                error <= 6.0 * unit(sigma, x, z[0]),
                "{sigma:?} at {x:?}: {error}"
            );
        }
    }
}

#[test]
fn inverses_return_to_the_argument() {
    assert_round_trip::<f32>();
    assert_round_trip::<f64>();
}

#[test]
fn single_precision_inverses_are_within_four_units() {
    for sigma in bijections() {
        let single = |parameter: f64| f64::from(parameter as f32);
        let exact = match sigma {
            Activation::LeakySoftplus { alpha } => Activation::LeakySoftplus {
                alpha: single(alpha),
            },
            Activation::TanhLinear { alpha, beta } => Activation::TanhLinear {
                alpha: single(alpha),
                beta: single(beta),
            },
            other => other,
        };
        for z in magnitudes().map(|z| z as f32) {
            let x = exact.inverse(f64::from(z));
            let error = (f64::from(sigma.inverse(z)) - x).abs();
            assert!(
                error <= 4.0 * unit(sigma, x as f32, z),
                "{sigma:?} at {z}: {error}"
            );
        }
    }
}

#[test]
fn inverses_at_the_edges() {
    for sigma in bijections() {
        for z in [f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(sigma.inverse(z), z, "{sigma:?}");
        }
        assert!(sigma.inverse(f64::NAN).is_nan());
    }
    for sigma in ALL.into_iter().filter(|sigma| !sigma.is_bijection()) {
        assert!(sigma.inverse(0.5_f64).is_nan());
    }
    // Slopes so flat that Newton's steps alone would take hundreds: the bracket ends it.
    for alpha in [1e-12, 1e-100] {
        let sigma = Activation::LeakySoftplus { alpha };
        for z in [-1.0_f64, 0.0, 1e-30, 1.0] {
            let x = sigma.inverse(z);
            let [back, ..] = jets(sigma, &[x]);
            let [_, slope, _] = jets(sigma, &[x]);
            let allowed = 8.0 * f64::EPSILON * z.abs().max(slope[0] * x.abs());
            assert!(
                (back[0] - z).abs() <= allowed,
                "{alpha} at {z}: {x}, {}",
                back[0]
            );
        }
    }
}

#[test]
fn parameters_are_checked() {
    let nan = f64::NAN;
    for alpha in [0.0, 1.0, -0.1, nan, f64::INFINITY] {
        assert!(Activation::LeakySoftplus { alpha }.check().is_err());
    }
    for bad in [0.0, -1.0, nan, f64::INFINITY] {
        assert!(
            Activation::TanhLinear {
                alpha: bad,
                beta: 0.1
            }
            .check()
            .is_err()
        );
        assert!(
            Activation::TanhLinear {
                alpha: 1.0,
                beta: bad
            }
            .check()
            .is_err()
        );
        assert!(Activation::LipSwish { beta: bad }.check().is_err());
    }
    assert!(ALL.iter().all(|sigma| sigma.check().is_ok()));
}

#[test]
fn names_are_stable_and_distinct() {
    let mut names = ALL.map(Activation::name).to_vec();
    names.dedup();
    let expected = "identity leaky-softplus tanh-linear tanh elu sine lip-swish";
    assert_eq!(names.join(" "), expected);
}

/// FNV-1a of the bits of jets, log-slopes and inverses.
fn checksum<T: Scalar>() -> u64 {
    let x: Vec<T> = (-311..=311)
        .map(|i| T::from_f64(f64::from(i) / 8.0))
        .collect();
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    let mut add = |value: f64| {
        for byte in value.to_bits().to_le_bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
    };
    for sigma in ALL {
        let [mut z, mut d1, mut d2] = jets(sigma, &x);
        for value in z.iter().chain(&d1).chain(&d2) {
            add(value.to_f64());
        }
        add(sigma.bijection(&x, &mut z, &mut d1, &mut d2));
        if sigma.is_bijection() {
            for &x in &x {
                add(sigma.inverse(x).to_f64());
            }
        }
    }
    hash
}

/// A test of stability: the values say nothing about accuracy, but every host, optimisation level
/// and vector width must give them. A change of a polynomial or of an order of operations changes
/// them, on purpose or not: saved models then score differently in their last bits.
#[test]
fn bits_are_the_same_everywhere() {
    assert_eq!(checksum::<f32>(), 0xB651_8E4D_A6B8_6C89);
    assert_eq!(checksum::<f64>(), 0x0EDB_6FD4_8C31_D016);
}
