//! Unbiasedness, proved by enumeration: every sign vector, every number of terms, with their exact
//! probabilities; the expectation must equal LU. Wrong estimators must fail the same check.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use detfree_core::{
    BilinearGradient, Draw, FirstTerm, Key, LogDet, Matrix, Probe, RouletteSchedule, Series, Terms,
    TraceEstimator,
};
use fixture::{
    Batch, Host, batch, contraction, exact_gradient, exact_log_det, largest_difference, rows,
    sign_vectors, workspace,
};

const DIM: usize = 3;

/// Rounding of some hundred terms of size one, and of LU.
const TOLERANCE: f64 = 256.0 * f64::EPSILON;

/// Value and gradient of one probe and number of terms.
type Sums = (f64, Vec<f64>);

/// The library's own: one row, `terms` terms, `probe`.
fn series(series: Series, w: &Batch, terms: u32, probe: &[f64]) -> Sums {
    let b = Host::new();
    let mut op = Matrix::new(&b, w.clone(), 1).unwrap();
    let mut space = workspace(1, DIM);
    let mut value = rows(&[0.0]);
    space.probe_mut().as_mut_slice().copy_from_slice(probe);
    let terms = Terms::Same(terms);
    let work = series
        .value_and_sum(&b, &mut op, terms, &mut space, &mut value)
        .unwrap();
    let Terms::Same(count) = terms else {
        unreachable!()
    };
    assert_eq!(work.products, u64::from(count));
    let (sum, probe) = (space.sum().clone(), space.probe_mut().clone());
    let mut gradient = batch(DIM, DIM, &[0.0; DIM * DIM]);
    op.accumulate(&b, &sum, &probe, &mut gradient).unwrap();
    (value.as_slice()[0], gradient.as_slice().to_vec())
}

/// E over the law and all signs. The tail beyond 150 terms weighs less than 1e-20.
fn expectation(law: &RouletteSchedule, estimator: impl Fn(u32, &[f64]) -> Sums) -> Sums {
    let mut mean = (0.0, vec![0.0; DIM * DIM]);
    for n in 1..150 {
        let probability = law.survival(n) - law.survival(n + 1);
        if probability == 0.0 {
            continue;
        }
        for probe in sign_vectors(DIM) {
            let weight = probability / f64::from(1_u32 << DIM);
            let (value, gradient) = estimator(n, &probe);
            mean.0 += weight * value;
            for (mean, x) in mean.1.iter_mut().zip(gradient) {
                *mean += weight * x;
            }
        }
    }
    mean
}

/// The distance of the expectation from LU: of the value, and the largest of the gradient.
fn bias(w: &Batch, law: &RouletteSchedule, estimator: impl Fn(u32, &[f64]) -> Sums) -> (f64, f64) {
    let (value, gradient) = expectation(law, estimator);
    (
        (value - exact_log_det(w)).abs(),
        largest_difference(&gradient, &exact_gradient(w)),
    )
}

fn laws() -> [RouletteSchedule; 4] {
    [
        RouletteSchedule::geometric_unchecked(2, 0.5).unwrap(),
        RouletteSchedule::geometric_unchecked(0, 0.7).unwrap(),
        RouletteSchedule::geometric_unchecked(5, 0.3).unwrap(),
        RouletteSchedule::poisson_unchecked(1, 3.0).unwrap(),
    ]
}

#[test]
fn value_and_gradient_are_unbiased() {
    let w = contraction(DIM, 0.4, 1);
    for schedule in laws() {
        let right = Series {
            schedule,
            first: FirstTerm::Probed,
        };
        let (value, gradient) = bias(&w, &schedule, |n, v| series(right, &w, n, v));
        assert!(
            value < TOLERANCE && gradient < TOLERANCE,
            "{schedule:?}: {value:e} {gradient:e}"
        );
    }
}

#[test]
fn exact_first_trace_is_unbiased() {
    let w = contraction(DIM, 0.4, 2);
    let trace: f64 = (0..DIM).map(|i| w.row(i)[i]).sum();
    let controls = [0.0, -0.3, 1.0];
    for (schedule, control) in laws()
        .into_iter()
        .flat_map(|law| controls.map(|c| (law, c)))
    {
        let rest = Series {
            schedule,
            first: FirstTerm::Known { control },
        };
        let with_trace = |share: f64| {
            bias(&w, &schedule, |n, v| {
                let (value, mut gradient) = series(rest, &w, n, v);
                for i in 0..DIM {
                    gradient[i * DIM + i] += 1.0;
                }
                (value + share * trace, gradient)
            })
        };
        let (value, gradient) = with_trace(1.0 - control);
        assert!(value < TOLERANCE && gradient < TOLERANCE, "{schedule:?}");
        // The whole trace on top of a control that holds some of it.
        assert!(control == 0.0 || with_trace(1.0).0 > 1e-6);
    }
}

/// Errors people have published, and near misses: each fails the check by far.
#[test]
fn wrong_estimators_are_caught() {
    let w = contraction(DIM, 0.4, 1);
    let law = RouletteSchedule::geometric_unchecked(2, 0.5).unwrap();
    let with = |schedule| Series {
        schedule,
        first: FirstTerm::Probed,
    };
    let right = with(law);
    let far = 1e-6;

    // No 1/S(k): every series is a truncated one.
    let (value, gradient) = bias(&w, &law, |n, v| {
        series(with(RouletteSchedule::truncated(n).unwrap()), &w, n, v)
    });
    assert!(value > far && gradient > far);

    // S off by one against the sampler.
    let late = RouletteSchedule::geometric_unchecked(3, 0.5).unwrap();
    let (value, gradient) = bias(&w, &law, |n, v| series(with(late), &w, n, v));
    assert!(value > far && gradient > far);

    // The sampler continues with 0.4 where S assumes 0.5.
    let shorter = RouletteSchedule::geometric_unchecked(2, 0.4).unwrap();
    let (value, gradient) = bias(&w, &shorter, |n, v| series(right, &w, n, v));
    assert!(value > far && gradient > far);

    // The gradient's sum starts at k = 1, the value's at k = 2.
    let headless = Series {
        schedule: law,
        first: FirstTerm::Known { control: 0.0 },
    };
    let (value, gradient) = bias(&w, &law, |n, v| series(headless, &w, n, v));
    assert!(value > far && gradient > far);

    // Signs of odd and even terms swapped: J in place of −J.
    let negative = batch(
        DIM,
        DIM,
        &w.as_slice().iter().map(|x| -x).collect::<Vec<_>>(),
    );
    let (value, _) = bias(&w, &law, |n, v| series(right, &negative, n, v));
    assert!(value > far);

    // Probes with E[v vᵀ] = 2 I.
    let (value, gradient) = bias(&w, &law, |n, v| {
        let v: Vec<f64> = v.iter().map(|x| x * 2.0_f64.sqrt()).collect();
        series(right, &w, n, &v)
    });
    assert!(value > far && gradient > far);

    // The value read off the bilinear form: its expectation is tr(J(I+J)⁻¹).
    let (value, _) = bias(&w, &law, |n, v| {
        let (_, gradient) = series(right, &w, n, v);
        let form = gradient.iter().zip(w.as_slice()).map(|(g, w)| g * w).sum();
        (form, gradient)
    });
    assert!(value > far);
}

/// With row weights the gradient is Σ_r c_r (I+W)^{-T}: basis probes and a truncation below rounding
/// make it exact. Weights that are left out fail the comparison.
#[test]
fn row_weights_reach_the_gradient() {
    let b = Host::new();
    let w = contraction(DIM, 0.4, 6);
    let weights = [0.7, -1.3, 0.0, 2.1];
    let exact = LogDet {
        schedule: RouletteSchedule::truncated(120).unwrap(),
        trace: TraceEstimator::new(Probe::Basis, 1),
    };
    let run = |weights: Option<&Batch>| {
        let mut op = Matrix::new(&b, w.clone(), 4).unwrap();
        let mut gradient = batch(DIM, DIM, &[0.0; DIM * DIM]);
        let draw = Draw::new(Key::new(1));
        exact
            .gradient(
                &b,
                &mut op,
                &draw,
                weights,
                &mut workspace(4, DIM),
                &mut gradient,
            )
            .unwrap();
        gradient.as_slice().to_vec()
    };
    let total: f64 = weights.iter().sum();
    let expected: Vec<f64> = exact_gradient(&w).iter().map(|g| total * g).collect();
    let weighted = largest_difference(&run(Some(&rows(&weights))), &expected);
    assert!(weighted < TOLERANCE, "{weighted:e}");
    assert!(largest_difference(&run(None), &expected) > 0.1);
}

/// A truncated series is biased, by its tail.
#[test]
fn truncation_has_the_bias_of_its_tail() {
    let w = contraction(DIM, 0.4, 3);
    let schedule = RouletteSchedule::truncated(4).unwrap();
    let right = Series {
        schedule,
        first: FirstTerm::Probed,
    };
    let (value, _) = bias(&w, &schedule, |n, v| series(right, &w, n, v));
    // |Σ_{k≥5} tr Jᵏ/k| ≤ Σ ‖J‖_Fᵏ/k
    let tail: f64 = (5..60).map(|k| 0.4_f64.powi(k) / f64::from(k)).sum();
    assert!(value > 1e-7 && value < tail, "{value:e} against {tail:e}");
}
