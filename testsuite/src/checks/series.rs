//! The series on a backend: unbiased, by enumeration; with the variance of its formula; and exact
//! with exact probes.

use detfree_core::{
    Allocate, Backend, BilinearGradient, DenseBackend, Draw, Key, LogDet, Matrix, Probe, Quantity,
    RouletteSchedule, Scalar, ScheduleError, Series, Shape, Terms, TraceEstimator, Workspace,
};

use crate::failure::{Computed, ensure, near};
use crate::jacobians::Jacobians;
use crate::operands::{batch, dirty, read, read_rows, row_results, store};
use crate::{Failure, Outcome, Plain, Sums, unbiased, unbiased_rows};

const DIM: usize = 3;

impl From<ScheduleError> for Failure {
    fn from(error: ScheduleError) -> Self {
        Self::new(format!("the check's own schedule: {error}"))
    }
}

fn laws() -> Result<[RouletteSchedule; 4], Failure> {
    Ok([
        RouletteSchedule::geometric_unchecked(2, 0.5)?,
        RouletteSchedule::geometric_unchecked(0, 0.7)?,
        RouletteSchedule::geometric_unchecked(5, 0.3)?,
        RouletteSchedule::poisson_unchecked(1, 3.0)?,
    ])
}

fn series(schedule: RouletteSchedule) -> Series {
    Series {
        schedule,
        exact_first: false,
    }
}

/// Four buffers of NaN.
fn workspace<B: Allocate>(b: &B, shape: Shape) -> Computed<B, Workspace<B>> {
    let buffer = || dirty(b, shape);
    Workspace::new(b, [buffer()?, buffer()?, buffer()?, buffer()?])
}

/// The value of every row for these probes and terms, and the gradient into `gradient`.
fn run<B: Allocate, O: BilinearGradient<B>>(
    b: &B,
    op: &mut O,
    series: &Series,
    terms: Terms,
    probes: &Plain,
    gradient: &mut O::Gradient,
) -> Computed<B, Vec<f64>> {
    let mut workspace = workspace(b, probes.shape())?;
    store(b, probes, workspace.probe_mut())?;
    let mut out = row_results(b, &vec![0.0; probes.shape().rows])?;
    series.value_and_sum(b, op, terms, &mut workspace, &mut out)?;
    // `probe` is lent mutably, and the contraction needs it beside the sum.
    let probe = batch(b, probes)?;
    op.accumulate(b, workspace.sum(), &probe, gradient)?;
    read_rows(b, &out)
}

fn host_sums<B: Allocate>(
    b: &B,
    series: &Series,
    jacobian: &Plain,
    n: u32,
    probes: &Plain,
) -> Computed<B, Sums> {
    let mut op = Jacobians {
        weight: jacobian.clone(),
        factors: vec![1.0; probes.shape().rows],
    };
    let mut gradient = Plain::filled(jacobian.shape(), 0.0);
    let values = run(b, &mut op, series, Terms::Same(n), probes, &mut gradient)?;
    Ok(Sums { values, gradient })
}

fn matrix_sums<B: DenseBackend + Allocate>(
    b: &B,
    series: &Series,
    jacobian: &Plain,
    n: u32,
    probes: &Plain,
) -> Computed<B, Sums> {
    let mut op = Matrix::new(b, batch(b, jacobian)?, probes.shape().rows)?;
    let mut gradient = batch(b, &Plain::filled(jacobian.shape(), 0.0))?;
    let values = run(b, &mut op, series, Terms::Same(n), probes, &mut gradient)?;
    let gradient = read(b, &gradient)?;
    Ok(Sums { values, gradient })
}

fn small<T: Scalar>(seed: u64) -> Plain {
    Plain::contraction(DIM, 0.4, seed).rounded::<T>()
}

/// With an operator on the host: the passes that every backend has.
pub(crate) fn enumerated<B: Backend + Allocate>(b: &B) -> Outcome {
    let w = small::<B::Scalar>(1);
    for law in laws()? {
        unbiased(&law, &w, B::Scalar::EPSILON, |n, probes| {
            Ok(host_sums(b, &series(law), &w, n, probes)?)
        })?;
    }
    Ok(())
}

/// With the backend's own products.
pub(crate) fn enumerated_on_a_matrix<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    let w = small::<B::Scalar>(2);
    for law in laws()? {
        unbiased(&law, &w, B::Scalar::EPSILON, |n, probes| {
            Ok(matrix_sums(b, &series(law), &w, n, probes)?)
        })?;
    }
    Ok(())
}

/// Another Jacobian in every row: a range off by one, or wrong at the turn of the cyclic interval,
/// biases a row.
pub(crate) fn enumerated_per_row<B: Backend + Allocate>(b: &B) -> Outcome {
    for factors in [vec![1.0], vec![1.0, -0.6, 0.3]] {
        let op = Jacobians {
            weight: Plain::contraction(2, 0.4, 5).rounded::<B::Scalar>(),
            factors,
        };
        let rows = op.factors.len();
        let log_dets: Vec<f64> = (0..rows).map(|r| op.exact(r).0).collect();
        for law in [
            RouletteSchedule::geometric_unchecked(1, 0.5)?,
            RouletteSchedule::poisson_unchecked(1, 2.0)?,
        ] {
            let rounding = B::Scalar::EPSILON;
            unbiased_rows(&law, 0.4, 2, &log_dets, rounding, |terms, probes| {
                let value = || -> Computed<B, Vec<f64>> {
                    let mut workspace = workspace(b, probes.shape())?;
                    store(b, probes, workspace.probe_mut())?;
                    let mut out = row_results(b, &vec![0.0; rows])?;
                    series(law).value(b, &mut op.clone(), terms, &mut workspace, &mut out)?;
                    read_rows(b, &out)
                };
                Ok(value()?)
            })?;
        }
    }
    Ok(())
}

/// A row of a stratified batch has the value that it has where every row runs its number of terms:
/// for every rotation, in a batch of as many Jacobians.
pub(crate) fn rows_run_their_own_terms<B: Backend + Allocate>(b: &B) -> Outcome {
    let op = Jacobians {
        weight: Plain::contraction(DIM, 0.4, 6).rounded::<B::Scalar>(),
        factors: vec![1.0, -0.6, 0.3, 0.8, -1.0],
    };
    let rows = op.factors.len();
    let law = RouletteSchedule::geometric_unchecked(1, 0.7)?;
    let probes = Plain::random::<B::Scalar>(Shape::new(rows, DIM), 9);
    let values = |terms| {
        let mut gradient = Plain::filled(op.weight.shape(), 0.0);
        run(
            b,
            &mut op.clone(),
            &series(law),
            terms,
            &probes,
            &mut gradient,
        )
    };
    for rotation in 0..rows {
        let uniform = Key::new(7).uniform(rotation as u64, 0);
        let terms = Terms::Stratified { uniform, rotation };
        let got = values(terms)?;
        for (r, got) in got.into_iter().enumerate() {
            let alone = Terms::Same(terms.of_row(&law, r, rows));
            let case = format!("row {r} of {terms:?}");
            // The same operations on the same numbers.
            near(
                case,
                &[got],
                &[values(alone)?[r]],
                16.0 * B::Scalar::EPSILON,
            )?;
        }
    }
    Ok(())
}

/// Var(X | v) = Σ_{k≥2} (1/S(k) − 1/S(k−1)) T_k², T_k the tails of the unweighted signed terms.
pub(crate) fn variance<B: Backend + Allocate>(b: &B) -> Outcome {
    let (norm, terms) = (0.8, 240);
    // The worst of all J of this norm: every term has the same sign.
    let w = Plain::new(DIM, DIM, |_, _| -norm / DIM as f64).rounded::<B::Scalar>();
    let probes = Plain::new(1, DIM, |_, _| 1.0);
    let mut power = probes.clone();
    let mut signed = vec![0.0];
    for k in 1..=terms {
        power = power.times(&w);
        let form = power.times(&probes.t()).at(0, 0);
        signed.push(if k % 2 == 1 { 1.0 } else { -1.0 } * form / f64::from(k));
    }
    for quantity in [Quantity::Value, Quantity::Gradient] {
        let law = RouletteSchedule::certified(norm, quantity)?;
        let exact: f64 = (2..terms)
            .map(|k| {
                let tail: f64 = signed[k as usize..].iter().rev().sum();
                (1.0 / law.survival(k) - 1.0 / law.survival(k - 1)) * tail * tail
            })
            .sum();
        let (mut mean, mut square) = (0.0, 0.0);
        for n in 1..terms {
            let probability = law.survival(n) - law.survival(n + 1);
            let x = host_sums(b, &series(law), &w, n, &probes)?.values[0];
            mean += probability * x;
            square += probability * x * x;
        }
        // Differences of sums of order 1, a hundred terms of them.
        let tolerance = 256.0 * B::Scalar::EPSILON;
        let case = format!("Var[X | v] with {law:?}");
        near(case, &[square - mean * mean], &[exact], tolerance)?;
        // The check would be empty where the tolerance hid the variance.
        ensure(exact > 2.0 * tolerance, || {
            format!("the variance is only {exact:e}")
        })?;
    }
    Ok(())
}

/// Exact probes and many terms: no randomness is left, and every row has its own log det. The
/// gradient is Σ_r c_r ∂ log det(I + J_r) with weights that are neither equal nor all positive.
pub(crate) fn exact_probes<B: Backend + Allocate>(b: &B) -> Outcome {
    let (mut op, c) = rows_of_their_own::<B::Scalar>();
    let (log_dets, exact) = exact_results(&op, &c);
    let mut gradient = Plain::filled(op.weight.shape(), 0.0);
    let values = exact_run(b, &mut op, &c, &mut gradient)?;
    let tolerance = exact_tolerance::<B::Scalar>(17);
    near("log det of every row", &values, &log_dets, tolerance)?;
    near("gradient", gradient.as_slice(), exact.as_slice(), tolerance)
}

/// Another Jacobian and another weight in every row.
fn rows_of_their_own<T: Scalar>() -> (Jacobians, [f64; 5]) {
    let op = Jacobians {
        weight: Plain::contraction(17, 0.5, 7).rounded::<T>(),
        factors: vec![1.0, -0.5, 0.75, 0.25, -1.0],
    };
    (op, [0.5, -1.25, 2.0, 0.125, 1.0])
}

/// log det(I + J_r), and Σ_r c_r of their gradients.
fn exact_results(op: &Jacobians, c: &[f64]) -> (Vec<f64>, Plain) {
    let (log_dets, gradients): (Vec<f64>, Vec<Plain>) = (0..c.len()).map(|r| op.exact(r)).unzip();
    let zero = Plain::filled(op.weight.shape(), 0.0);
    let weighted = gradients.iter().zip(c);
    (log_dets, weighted.fold(zero, |sum, (g, &c)| sum.plus(c, g)))
}

fn exact_estimator() -> Result<LogDet, Failure> {
    Ok(LogDet {
        schedule: RouletteSchedule::truncated(60)?,
        trace: TraceEstimator::new(Probe::Basis, 1),
    })
}

/// D passes of a geometric series of products of D numbers each, a few ε off each.
fn exact_tolerance<T: Scalar>(dim: usize) -> f64 {
    16.0 * dim as f64 * T::EPSILON
}

/// The same with tr J in closed form, and its term dropped from the series.
pub(crate) fn exact_first_trace<B: Backend + Allocate>(b: &B) -> Outcome {
    let (mut op, c) = rows_of_their_own::<B::Scalar>();
    let (log_dets, exact) = exact_results(&op, &c);
    let estimator = exact_estimator()?.with_exact_first();
    let mut gradient = Plain::filled(op.weight.shape(), 0.0);
    let mut workspace = workspace(b, Shape::new(c.len(), op.weight.shape().dim))?;
    let mut out = row_results(b, &vec![f64::NAN; c.len()])?;
    let (weights, draw) = (row_results(b, &c)?, Draw::new(Key::new(0)));
    estimator.value_and_gradient(
        b,
        &mut op,
        &draw,
        Some(&weights),
        &mut workspace,
        &mut out,
        &mut gradient,
    )?;
    let tolerance = exact_tolerance::<B::Scalar>(17);
    near(
        "log det of every row",
        &read_rows(b, &out)?,
        &log_dets,
        tolerance,
    )?;
    near("gradient", gradient.as_slice(), exact.as_slice(), tolerance)
}

/// The same with the backend's own products, and one J.
pub(crate) fn exact_probes_on_a_matrix<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    let w = Plain::contraction(33, 0.5, 8).rounded::<B::Scalar>();
    let c = [0.5, -1.25, 2.0];
    let mut gradient = batch(b, &Plain::filled(w.shape(), 0.0))?;
    let mut op = Matrix::new(b, batch(b, &w)?, c.len())?;
    let values = exact_run(b, &mut op, &c, &mut gradient)?;
    let (_, log_det, inverse) = Plain::identity(33).plus(1.0, &w).invert();
    let tolerance = exact_tolerance::<B::Scalar>(33);
    near("log det of every row", &values, &[log_det; 3], tolerance)?;
    let exact = inverse.t().scaled(c.iter().sum());
    near(
        "gradient",
        read(b, &gradient)?.as_slice(),
        exact.as_slice(),
        tolerance,
    )
}

fn exact_run<B: Allocate, O: BilinearGradient<B>>(
    b: &B,
    op: &mut O,
    c: &[f64],
    gradient: &mut O::Gradient,
) -> Result<Vec<f64>, Failure> {
    let estimator = exact_estimator()?;
    let shape = op.shape(b);
    let mut workspace = workspace(b, shape)?;
    let mut out = row_results(b, &vec![f64::NAN; shape.rows])?;
    let weights = row_results(b, c)?;
    let draw = Draw::new(Key::new(0));
    estimator.value_and_gradient(
        b,
        op,
        &draw,
        Some(&weights),
        &mut workspace,
        &mut out,
        gradient,
    )?;
    Ok(read_rows(b, &out)?)
}

/// Samples of the certified schedule with each probe law, 400 batches of 16 rows: |z| < 4.5 is
/// exceeded by luck once in 10⁵, and with a standard error of at most 0.02 a bias of 0.09 is caught.
pub(crate) fn certified_samples<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    let (dim, rows) = (16, 16);
    let w = Plain::contraction(dim, 0.8, 4).rounded::<B::Scalar>();
    let (_, exact, _) = Plain::identity(dim).plus(1.0, &w).invert();
    for (probe, passes) in [
        (Probe::Rademacher, 2),
        (Probe::Gaussian, 2),
        (Probe::Orthogonal, 4),
    ] {
        let estimator = LogDet {
            schedule: RouletteSchedule::certified(0.8, Quantity::Gradient)?,
            trace: TraceEstimator::new(probe, passes),
        };
        let mut op = Matrix::new(b, batch(b, &w)?, rows)?;
        let mut workspace = workspace(b, Shape::new(rows, dim))?;
        let mut out = row_results(b, &vec![f64::NAN; rows])?;
        let mut host = vec![0.0; rows];
        let (samples, key) = (400, Key::new(8));
        let estimate = estimator.estimate(
            b,
            &mut op,
            samples,
            key,
            &mut workspace,
            &mut out,
            &mut host,
        )?;
        let z = (estimate.mean - exact) / estimate.standard_error;
        ensure(z.abs() < 4.5, || {
            format!(
                "{probe:?}: {} is {z:.1} standard errors off {exact}",
                estimate.mean
            )
        })?;
        ensure(estimate.standard_error < 0.02, || {
            format!("{probe:?}: a standard error of {}", estimate.standard_error)
        })?;
    }
    Ok(())
}
