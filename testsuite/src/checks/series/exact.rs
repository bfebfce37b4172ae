//! Exact probes and many terms: no randomness is left, and every row has its own log det.

use detfree_core::{
    Allocate, Backend, BilinearGradient, DenseBackend, Draw, FirstTrace, Key, LogDet, Matrix,
    Probe, RouletteSchedule, Scalar, Shape, TraceEstimator, Work, Workspace,
};

use super::workspace;
use crate::failure::{Computed, near};
use crate::jacobians::Jacobians;
use crate::operands::{batch, read, read_rows, row_results};
use crate::{Failure, Outcome, Plain};

fn estimator() -> Result<LogDet, Failure> {
    Ok(LogDet {
        schedule: RouletteSchedule::truncated(60)?,
        trace: TraceEstimator::new(Probe::Basis, 1),
    })
}

/// The values of `op`'s rows, and into `gradient` Σ_r c_r ∂ log det(I + J_r).
pub(in super::super) fn run<B: Allocate, O: BilinearGradient<B>>(
    b: &B,
    op: &mut O,
    c: Option<&[f64]>,
    gradient: &mut O::Gradient,
) -> Result<Vec<f64>, Failure> {
    let estimator = estimator()?;
    with_buffers(b, op.shape(b), c, |c, workspace, out| {
        let draw = Draw::new(Key::new(0));
        estimator.value_and_gradient(b, op, &draw, c, workspace, out, gradient)
    })
}

/// The same with tr J in closed form, and of the value a share in the place of its term: with exact
/// probes a control variate is zero, whatever its weight.
pub(in super::super) fn run_with_exact_first<B: Allocate, O: FirstTrace<B>>(
    b: &B,
    op: &mut O,
    c: Option<&[f64]>,
    gradient: &mut O::Gradient,
) -> Result<Vec<f64>, Failure> {
    let estimator = estimator()?.with_exact_first().with_control(-0.3);
    with_buffers(b, op.shape(b), c, |c, workspace, out| {
        let draw = Draw::new(Key::new(0));
        estimator.value_and_gradient(b, op, &draw, c, workspace, out, gradient)
    })
}

fn with_buffers<B: Allocate>(
    b: &B,
    shape: Shape,
    c: Option<&[f64]>,
    compute: impl FnOnce(Option<&B::Rows>, &mut Workspace<B>, &mut B::Rows) -> Computed<B, Work>,
) -> Result<Vec<f64>, Failure> {
    let mut workspace = workspace(b, shape)?;
    let mut out = row_results(b, &vec![f64::NAN; shape.rows])?;
    let c = c.map(|c| row_results(b, c)).transpose()?;
    compute(c.as_ref(), &mut workspace, &mut out)?;
    Ok(read_rows(b, &out)?)
}

/// D passes of a geometric series of products of D numbers each, a few ε off each.
fn tolerance<T: Scalar>(dim: usize) -> f64 {
    16.0 * dim as f64 * T::EPSILON
}

/// Another Jacobian and another weight in every row: neither equal nor all positive.
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

fn check<B: Allocate>(
    run: impl FnOnce(&mut Jacobians, Option<&[f64]>, &mut Plain) -> Result<Vec<f64>, Failure>,
) -> Outcome {
    let (mut op, c) = rows_of_their_own::<B::Scalar>();
    let (log_dets, exact) = exact_results(&op, &c);
    let mut gradient = Plain::filled(op.weight.shape(), 0.0);
    let values = run(&mut op, Some(&c), &mut gradient)?;
    let tolerance = tolerance::<B::Scalar>(17);
    near("log det of every row", &values, &log_dets, tolerance)?;
    near("gradient", &gradient, &exact, tolerance)
}

pub(crate) fn exact_probes<B: Backend + Allocate>(b: &B) -> Outcome {
    check::<B>(|op, c, gradient| run(b, op, c, gradient))
}

pub(crate) fn exact_first_trace<B: Backend + Allocate>(b: &B) -> Outcome {
    check::<B>(|op, c, gradient| run_with_exact_first(b, op, c, gradient))
}

/// With the backend's own products, and one J.
pub(crate) fn exact_probes_on_a_matrix<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    let w = Plain::contraction(33, 0.5, 8).rounded::<B::Scalar>();
    let c = [0.5, -1.25, 2.0];
    let mut gradient = batch(b, &Plain::filled(w.shape(), 0.0))?;
    let mut op = Matrix::new(b, batch(b, &w)?, c.len())?;
    let values = run(b, &mut op, Some(&c), &mut gradient)?;
    let (_, log_det, inverse) = Plain::identity(33).plus(1.0, &w).invert();
    let tolerance = tolerance::<B::Scalar>(33);
    near("log det of every row", &values, &[log_det; 3], tolerance)?;
    let exact = inverse.t().scaled(c.iter().sum());
    near("gradient", &read(b, &gradient)?, &exact, tolerance)
}
