//! Level 1: the mean is right and its error bar is honest.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use detfree_core::{
    Closures, Dense, Error, Key, LogDet, Matrix, Moments, Probe, RouletteSchedule, Shape,
    TraceEstimator, Workspace, log_det, log_det_to_tolerance,
};
use fixture::{Batch, Host, batch, contraction, exact_log_det, rows};

const ROWS: usize = 8;

fn operator(w: &Batch) -> Matrix<Batch> {
    Matrix::new(&Host::new(), w.clone(), ROWS).unwrap()
}

/// ±2 standard errors from 32 samples must cover at least 90%. Over 600 seeds a true coverage of
/// 90% gives 515 or fewer with probability 2%; nominal is about 94.6%.
#[test]
fn intervals_cover() {
    let w = contraction(6, 0.8, 3);
    let exact = exact_log_det(&w);
    let covered = (0..600)
        .filter(|&seed| {
            let estimate =
                log_det(&Host::new(), &mut operator(&w), 0.8, 32, Key::new(seed)).unwrap();
            assert_eq!(estimate.samples, 32);
            (estimate.mean - exact).abs() < 2.0 * estimate.standard_error
        })
        .count();
    assert!(covered > 540, "{covered} of 600");
}

/// The same where roulette makes all of the error, J = −L I with signs for probes, at contractions whose
/// further terms would be rare: their certified continuation is kept from falling with them.
#[test]
fn intervals_cover_rare_terms() {
    for contraction in [0.02, 0.1, 0.2] {
        let w = batch(1, 1, &[-contraction]);
        let exact = libm::log1p(-contraction);
        let covered = (0..600)
            .filter(|&seed| {
                let mut op = Matrix::new(&Host::new(), w.clone(), 1).unwrap();
                let estimate =
                    log_det(&Host::new(), &mut op, contraction, 32, Key::new(seed)).unwrap();
                (estimate.mean - exact).abs() < 2.0 * estimate.standard_error
            })
            .count();
        assert!(covered > 540, "{contraction}: {covered} of 600");
    }
}

/// 20,000 batches of 8 rows: a bias of 4 standard errors, at most 0.01, would be caught for
/// every probe law.
#[test]
fn probe_laws_are_unbiased() {
    let dim = 8;
    let w = contraction(dim, 0.8, 4);
    let exact = exact_log_det(&w);
    let b = Host::new();
    for (probe, passes) in [
        (Probe::Rademacher, 1),
        (Probe::Rademacher, 3),
        (Probe::Gaussian, 2),
        (Probe::Orthogonal, 4),
        (Probe::Basis, 1),
    ] {
        let estimator = LogDet {
            schedule: RouletteSchedule::geometric_unchecked(2, 0.8).unwrap(),
            trace: TraceEstimator::new(probe, passes),
        };
        let mut workspace = Workspace::allocate(&b, Shape::new(ROWS, dim)).unwrap();
        let (mut out, mut host) = (rows(&[0.0; ROWS]), [0.0; ROWS]);
        let estimate = estimator
            .estimate(
                &b,
                &mut operator(&w),
                20_000,
                Key::new(8),
                &mut workspace,
                &mut out,
                &mut host,
            )
            .unwrap();
        let z = (estimate.mean - exact) / estimate.standard_error;
        assert!(z.abs() < 4.0, "{probe:?}: z = {z}");
        assert!(estimate.standard_error < 2.5e-3, "{estimate:?}");
    }
}

/// Orthogonal probes are never worth less than independent ones, whatever J couples: here coordinates whose
/// numbers differ by 4 of 16, which the first four rows of the Walsh–Hadamard matrix in their natural order do
/// not tell apart at all. 12/15 of the variance of four independent ones, 16·0.1²/4; the rows drawn decide over
/// it, so that over 20,000 draws it is known to 1.3%.
#[test]
fn orthogonal_probes_are_worth_more_than_independent_ones() {
    let dim = 16;
    let mut numbers = [0.0; 256];
    for i in 0..dim {
        numbers[i * dim + (i + 4) % dim] = 0.1;
    }
    let b = Host::new();
    let mut op = operator(&batch(dim, dim, &numbers));
    let mut workspace = Workspace::allocate(&b, Shape::new(ROWS, dim)).unwrap();
    let (mut out, mut moments) = (rows(&[0.0; ROWS]), Moments::default());
    for seed in 0..20_000 {
        let draw = detfree_core::Draw::new(Key::new(seed));
        TraceEstimator::new(Probe::Orthogonal, 4)
            .trace(&b, &mut op, &draw, &mut workspace, &mut out)
            .unwrap();
        out.as_slice().iter().for_each(|&trace| moments.push(trace));
    }
    let ratio = moments.variance() / (16.0 * 0.01 / 4.0 * 12.0 / 15.0);
    assert!((ratio - 1.0).abs() < 0.052, "{ratio}");
}

/// Orthogonal probes in 2^k dimensions, as many as dimensions, give the trace without error.
#[test]
fn orthogonal_and_basis_traces_are_exact() {
    let dim = 8;
    let w = contraction(dim, 0.8, 4);
    let trace: f64 = (0..dim).map(|i| w.row(i)[i]).sum();
    let b = Host::new();
    for (probe, passes) in [(Probe::Orthogonal, 8), (Probe::Basis, 1)] {
        let mut workspace = Workspace::allocate(&b, Shape::new(ROWS, dim)).unwrap();
        let mut out = rows(&[f64::NAN; ROWS]);
        let work = TraceEstimator::new(probe, passes)
            .trace(
                &b,
                &mut operator(&w),
                &detfree_core::Draw::new(Key::new(2)),
                &mut workspace,
                &mut out,
            )
            .unwrap();
        assert_eq!(work.products, (ROWS * dim) as u64);
        for &x in out.as_slice() {
            assert!((x - trace).abs() < 64.0 * f64::EPSILON, "{probe:?}");
        }
    }
}

#[test]
fn tolerance_is_met_with_fresh_probes() {
    let w = contraction(6, 0.8, 3);
    let (tolerance, seeds) = (0.02, 60);
    let mut met = 0;
    for seed in 0..seeds {
        let estimate = log_det_to_tolerance(
            &Host::new(),
            &mut operator(&w),
            0.8,
            tolerance,
            1_000_000,
            Key::new(seed),
        )
        .unwrap();
        met += usize::from(estimate.standard_error < tolerance);
        // The pilot's products are counted, its samples are not in the mean.
        let again = log_det(
            &Host::new(),
            &mut operator(&w),
            0.8,
            estimate.samples,
            Key::new(seed).fold_in(1),
        )
        .unwrap();
        assert_eq!(again.mean, estimate.mean);
        assert!(again.products < estimate.products);
    }
    // Nine of ten are promised; 45 or fewer of 60 would then have probability 0.1%.
    assert!(met > 45, "{met} of {seeds}");
    // A budget that is too small is kept, and the error bar says so.
    let capped =
        log_det_to_tolerance(&Host::new(), &mut operator(&w), 0.8, 1e-9, 50, Key::new(1)).unwrap();
    assert_eq!(capped.samples, 50);
    assert!(capped.standard_error > 1e-9);
    // No tolerance is no excuse for less, nor is any budget for an error bar from a few samples.
    for (tolerance, most, samples) in [
        (-0.5, 50, 50),
        (0.0, 50, 50),
        (f64::NAN, 50, 50),
        (0.5, 3, 32),
    ] {
        let estimate = log_det_to_tolerance(
            &Host::new(),
            &mut operator(&w),
            0.8,
            tolerance,
            most,
            Key::new(1),
        );
        assert_eq!(estimate.unwrap().samples, samples, "{tolerance}");
    }
}

#[test]
fn bad_input_is_refused() {
    let b = Host::new();
    let mut op = operator(&contraction(4, 0.5, 1));
    for contraction in [1.0, 0.0, f64::NAN] {
        let refused = log_det(&b, &mut op, contraction, 32, Key::new(0));
        assert!(matches!(refused, Err(Error::Schedule(_))));
    }
    let none = Matrix::new(&b, batch(4, 4, &[0.1; 16]), 0).unwrap();
    let refused = log_det(&b, &mut { none }, 0.5, 32, Key::new(0));
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    let oblong = Matrix::new(&b, batch(2, 3, &[0.0; 6]), 4);
    assert!(matches!(oblong, Err(Error::Shape { .. })));
    // A workspace of another shape, and an output that is too short.
    let estimator = LogDet {
        schedule: RouletteSchedule::truncated(3).unwrap(),
        trace: TraceEstimator::new(Probe::Rademacher, 1),
    };
    let draw = detfree_core::Draw::new(Key::new(0));
    let mut small = Workspace::allocate(&b, Shape::new(ROWS, 3)).unwrap();
    let mut right = Workspace::allocate(&b, Shape::new(ROWS, 4)).unwrap();
    let mut out = rows(&[0.0; ROWS]);
    let refused = estimator.value(&b, &mut op, &draw, &mut small, &mut out);
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("the workspace has 8 rows of 3")
    );
    let mut short = rows(&[0.0; ROWS - 1]);
    assert!(
        estimator
            .value(&b, &mut op, &draw, &mut right, &mut short)
            .is_err()
    );
}

/// Two closures make an operator; its jvp and vjp are adjoint, and a swap would show.
#[test]
fn closures_and_matrices_agree() {
    let b = Host::new();
    let w = contraction(5, 0.5, 9);
    let product = |transposed: bool| {
        let w = w.clone();
        move |range: core::ops::Range<usize>, x: &Batch, out: &mut Batch| {
            for r in range {
                for i in 0..5 {
                    out.row_mut(r)[i] = (0..5)
                        .map(|j| x.row(r)[j] * if transposed { w.row(j)[i] } else { w.row(i)[j] })
                        .sum();
                }
            }
            Ok::<(), core::convert::Infallible>(())
        }
    };
    let mut closures = Closures::new(Shape::new(ROWS, 5), product(false), product(true));
    let estimates = [
        log_det(&b, &mut closures, 0.5, 40, Key::new(3)).unwrap(),
        log_det(&b, &mut operator(&w), 0.5, 40, Key::new(3)).unwrap(),
    ];
    assert!((estimates[0].mean - estimates[1].mean).abs() < 64.0 * f64::EPSILON);

    use detfree_core::{Backend, Fill, Operator};
    let mut op = operator(&w);
    let fill = |seed| {
        let mut x: Batch = Dense::on_heap(Shape::new(ROWS, 5));
        let key = Key::new(seed);
        let what = Fill::Gaussian {
            key,
            first_row: 0,
            scale: 1.0,
        };
        b.fill(what, &mut x).unwrap();
        x
    };
    let (v, u) = (fill(1), fill(2));
    let (mut jv, mut jtu) = (v.clone(), u.clone());
    op.jvp(&b, 0..ROWS, &v, &mut jv).unwrap();
    op.vjp(&b, 0..ROWS, &u, &mut jtu).unwrap();
    let (mut left, mut right, mut swapped) =
        (rows(&[0.0; ROWS]), rows(&[0.0; ROWS]), rows(&[0.0; ROWS]));
    b.dot_rows(0..ROWS, 1.0, &u, &jv, &mut left).unwrap();
    b.dot_rows(0..ROWS, 1.0, &jtu, &v, &mut right).unwrap();
    op.vjp(&b, 0..ROWS, &v, &mut jv).unwrap();
    b.dot_rows(0..ROWS, 1.0, &u, &jv, &mut swapped).unwrap();
    let distance = |a: &Batch, b: &Batch| fixture::largest_difference(a.as_slice(), b.as_slice());
    assert!(distance(&left, &right) < 64.0 * f64::EPSILON);
    assert!(distance(&left, &swapped) > 1e-3);
}
