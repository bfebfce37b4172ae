//! The roulette stratified over rows: every row's marginal law is right, the work is the expected
//! work, and the noise it leaves in the mean over a batch is small.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use detfree_core::{
    Dense, DenseBackend, Draw, FirstTerm, Key, LogDet, Matrix, Op, Operator, Probe,
    RouletteSchedule, Series, Terms, TraceEstimator,
};
use fixture::{Host, contraction, exact_log_det, rows, sign_vectors, workspace};

/// Every (probability, draw) of u and rotation up to which terms the rows get: the numbers of terms
/// change only where some S(k) crosses a quantile.
fn enumerate(schedule: &RouletteSchedule, batch: usize) -> Vec<(f64, Terms)> {
    let mut cuts = vec![0.0, 1.0];
    for k in 1..160 {
        let position = schedule.survival(k) * batch as f64;
        cuts.push(position - position.floor());
    }
    cuts.sort_by(f64::total_cmp);
    let mut draws = Vec::new();
    for piece in cuts.windows(2).filter(|piece| piece[1] > piece[0]) {
        for rotation in 0..batch {
            let uniform = 0.5 * (piece[0] + piece[1]);
            let probability = (piece[1] - piece[0]) / batch as f64;
            draws.push((probability, Terms::Stratified { uniform, rotation }));
        }
    }
    draws
}

/// Per row: E over draws and signs of the value, less log det.
fn biases(draws: &[(f64, Terms)], schedule: RouletteSchedule, batch: usize) -> Vec<f64> {
    let dim = 2;
    let b = Host::new();
    let w = contraction(dim, 0.4, 5);
    let mut op = Matrix::new(&b, w.clone(), batch).unwrap();
    let mut space = workspace(batch, dim);
    let series = Series {
        schedule,
        first: FirstTerm::Probed,
    };
    let mut means = vec![-exact_log_det(&w); batch];
    for &(probability, terms) in draws {
        for signs in sign_vectors(dim) {
            for r in 0..batch {
                space.probe_mut().row_mut(r).copy_from_slice(&signs);
            }
            let mut out = rows(&vec![0.0; batch]);
            series
                .value(&b, &mut op, terms, &mut space, &mut out)
                .unwrap();
            for (mean, x) in means.iter_mut().zip(out.as_slice()) {
                *mean += probability / 4.0 * x;
            }
        }
    }
    means
}

#[test]
fn every_row_is_unbiased() {
    for batch in [1, 2, 3, 5] {
        for schedule in [
            RouletteSchedule::geometric_unchecked(2, 0.5).unwrap(),
            RouletteSchedule::geometric_unchecked(0, 0.6).unwrap(),
            RouletteSchedule::poisson_unchecked(1, 2.0).unwrap(),
        ] {
            for bias in biases(&enumerate(&schedule, batch), schedule, batch) {
                assert!(
                    bias.abs() < 512.0 * f64::EPSILON,
                    "{bias:e} in a batch of {batch}"
                );
            }
        }
    }
}

/// Per row, the same for the gradient's sum: with v fixed, E[s_r] = (I + Wᵀ)⁻¹ v.
#[test]
fn every_row_of_the_gradient_is_unbiased() {
    let (dim, batch) = (2, 3);
    let b = Host::new();
    let w = contraction(dim, 0.4, 5);
    let schedule = RouletteSchedule::geometric_unchecked(1, 0.6).unwrap();
    let probe = [0.7, -1.3];
    let mut expected = fixture::batch(1, dim, &probe);
    let solved = b.solve(
        &mut fixture::identity_plus(&w),
        Op::Transposed,
        &mut expected,
    );
    assert!(solved.unwrap());

    let draws = enumerate(&schedule, batch);
    let worst = |series: Series| {
        let mut op = Matrix::new(&b, w.clone(), batch).unwrap();
        let mut space = workspace(batch, dim);
        let mut means = vec![0.0; batch * dim];
        for &(probability, terms) in &draws {
            for r in 0..batch {
                space.probe_mut().row_mut(r).copy_from_slice(&probe);
            }
            series.sum(&b, &mut op, terms, &mut space).unwrap();
            for (mean, s) in means.iter_mut().zip(space.sum().as_slice()) {
                *mean += probability * s;
            }
        }
        let expected = expected.as_slice().repeat(batch);
        fixture::largest_difference(&means, &expected)
    };
    let right = Series {
        schedule,
        first: FirstTerm::Probed,
    };
    assert!(worst(right) < 512.0 * f64::EPSILON);
    // Weights of another law than the one that was drawn from.
    let wrong = Series {
        schedule: RouletteSchedule::geometric_unchecked(1, 0.5).unwrap(),
        first: FirstTerm::Probed,
    };
    let mismatch = worst(wrong);
    assert!(mismatch > 1e-5, "{mismatch:e}");
}

/// Without the rotation, row 0 always has the longest series: its marginal is not uniform.
#[test]
fn a_fixed_rotation_is_caught() {
    let schedule = RouletteSchedule::geometric_unchecked(0, 0.5).unwrap();
    let mut draws = enumerate(&schedule, 3);
    for (_, terms) in &mut draws {
        if let Terms::Stratified { rotation, .. } = terms {
            *rotation = 0;
        }
    }
    let worst = biases(&draws, schedule, 3)
        .into_iter()
        .fold(0.0, |worst: f64, bias| worst.max(bias.abs()));
    assert!(worst > 1e-3, "{worst:e}");
}

/// One N, drawn for the batch but weighted as if every row had drawn its own quantile's stratum.
#[test]
fn one_short_series_for_all_is_caught() {
    let schedule = RouletteSchedule::geometric_unchecked(0, 0.5).unwrap();
    let mut draws = enumerate(&schedule, 3);
    for (_, terms) in &mut draws {
        *terms = Terms::Same(terms.of_row(&schedule, 0, 3).min(2));
    }
    let worst = biases(&draws, schedule, 3)[0].abs();
    assert!(worst > 1e-3, "{worst:e}");
}

/// The numbers of products per row that really ran, and the ranges of rows they ran in, seen by an operator
/// that counts.
struct Counting {
    inner: Matrix<Dense<Vec<f64>>>,
    products: Vec<u32>,
    ranges: Vec<core::ops::Range<usize>>,
}

impl Operator<Host> for Counting {
    fn shape(&self, b: &Host) -> detfree_core::Shape {
        self.inner.shape(b)
    }

    fn jvp(
        &mut self,
        b: &Host,
        rows: core::ops::Range<usize>,
        v: &Dense<Vec<f64>>,
        out: &mut Dense<Vec<f64>>,
    ) -> Result<(), core::convert::Infallible> {
        self.inner.jvp(b, rows, v, out)
    }

    fn vjp(
        &mut self,
        b: &Host,
        rows: core::ops::Range<usize>,
        w: &Dense<Vec<f64>>,
        out: &mut Dense<Vec<f64>>,
    ) -> Result<(), core::convert::Infallible> {
        for r in rows.clone() {
            self.products[r] += 1;
        }
        self.ranges.push(rows.clone());
        self.inner.vjp(b, rows, w, out)
    }
}

/// Rows run exactly as many terms as `of_row` says, for every rotation; terms that all of them have, together.
#[test]
fn rows_run_the_terms_of_their_quantile() {
    let b = Host::new();
    for batch in [1, 2, 7, 64] {
        for (seed, rotation) in (0..batch).enumerate() {
            let schedule = RouletteSchedule::geometric_unchecked(1, 0.8).unwrap();
            let uniform = Key::new(seed as u64).uniform(0, 0);
            let terms = Terms::Stratified { uniform, rotation };
            let mut op = Counting {
                inner: Matrix::new(&b, contraction(3, 0.5, 1), batch).unwrap(),
                products: vec![0; batch],
                ranges: Vec::new(),
            };
            let mut space = workspace(batch, 3);
            space.probe_mut().as_mut_slice().fill(1.0);
            let series = Series {
                schedule,
                first: FirstTerm::Probed,
            };
            let work = series.sum(&b, &mut op, terms, &mut space).unwrap();
            let expected: Vec<u32> = (0..batch)
                .map(|r| terms.of_row(&schedule, r, batch))
                .collect();
            assert_eq!(op.products, expected);
            let shared = *expected.iter().min().unwrap() as usize;
            assert!(shared > 0 && op.ranges[..shared].iter().all(|rows| *rows == (0..batch)));
            assert_eq!(work.products, expected.iter().map(|&n| u64::from(n)).sum());
            // ⌊R·S(k)⌋ or ⌈R·S(k)⌉ rows are alive at term k.
            for k in 1..12 {
                let alive = expected.iter().filter(|&&n| n >= k).count() as f64;
                let share = batch as f64 * schedule.survival(k);
                assert!((alive - share).abs() < 1.0, "{alive} of {share} at {k}");
            }
        }
    }
}

/// J = −0.9 I makes every probe's value the same, so that only the roulette makes noise. The
/// variance of a batch's mean is below 1/8 of what one shared N gives (both from 4,000 batches;
/// a ratio estimated with 4% error).
#[test]
fn roulette_noise_of_a_batch_mean_is_small() {
    let (batch, dim) = (64, 1);
    let b = Host::new();
    let estimator = LogDet {
        schedule: RouletteSchedule::geometric_unchecked(2, 0.85).unwrap(),
        trace: TraceEstimator::new(Probe::Rademacher, 1),
    };
    let w = fixture::batch(dim, dim, &[-0.9]);
    let mut op = Matrix::new(&b, w, batch).unwrap();
    let mut space = workspace(batch, dim);
    let mut out = rows(&vec![0.0; batch]);
    let exact = 0.1_f64.ln();
    let (mut stratified, mut shared) = (0.0, 0.0);
    for i in 0..4_000 {
        let draw = Draw::new(Key::new(i));
        estimator
            .value(&b, &mut op, &draw, &mut space, &mut out)
            .unwrap();
        let mean = out.as_slice().iter().sum::<f64>() / batch as f64;
        stratified += (mean - exact).powi(2);

        let n = estimator.schedule.terms(Key::new(i).uniform(7, 7));
        out.as_mut_slice().fill(0.0);
        let series = Series {
            schedule: estimator.schedule,
            first: FirstTerm::Probed,
        };
        series
            .value(&b, &mut op, Terms::Same(n), &mut space, &mut out)
            .unwrap();
        shared += (out.as_slice()[0] - exact).powi(2);
    }
    assert!(stratified < shared / 8.0, "{stratified} against {shared}");
}
