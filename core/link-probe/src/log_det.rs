//! A stochastic log-determinant, its gradient and a trace, against elimination.

use detfree_core::{
    Backend, DenseBackend, Draw, Estimate, Fill, Key, LogDet, Matrix, Op, Operator, Probe,
    Quantity, RouletteSchedule, Scalar, Shape, TraceEstimator, Workspace,
};

use crate::{Batch, Host, ROWS, batch, rows};

/// A bound on ‖J‖.
const CONTRACTION: f64 = 0.6;

#[unsafe(no_mangle)]
extern "C" fn detfree_log_det_f32(law: u32, probe: u32, rows: usize, dim: usize, seed: u64) -> f64 {
    log_det::<f32>(law, probe, rows, dim, seed).unwrap_or(f64::NAN)
}

#[unsafe(no_mangle)]
extern "C" fn detfree_log_det_f64(law: u32, probe: u32, rows: usize, dim: usize, seed: u64) -> f64 {
    log_det::<f64>(law, probe, rows, dim, seed).unwrap_or(f64::NAN)
}

/// How many standard errors an estimate of log det(I + J) is from elimination's; NaN where the
/// arguments are refused.
fn log_det<T: Scalar>(law: u32, probe: u32, count: usize, dim: usize, seed: u64) -> Option<f64> {
    let b = Host::<T>::new();
    let key = Key::new(seed);
    let weight = contraction::<T>(dim, key)?;
    let exact = exact_log_det(&weight)?;

    let mut op = Matrix::new(&b, weight, count).ok()?;
    let mut workspace = workspace::<T>(op.shape(&b))?;
    let (mut out, mut host) = (rows(count)?, [0.0; ROWS]);
    let estimate: Estimate = estimator(law, probe)?
        .estimate_to_tolerance(
            &b,
            &mut op,
            0.01,
            500,
            key.fold_in(1),
            &mut workspace,
            &mut out,
            host.get_mut(..count)?,
        )
        .ok()?;
    Some((estimate.mean - exact) / estimate.standard_error)
}

#[unsafe(no_mangle)]
extern "C" fn detfree_gradient_f32(rows: usize, dim: usize, seed: u64) -> f64 {
    gradient::<f32>(rows, dim, seed).unwrap_or(f64::NAN)
}

#[unsafe(no_mangle)]
extern "C" fn detfree_gradient_f64(rows: usize, dim: usize, seed: u64) -> f64 {
    gradient::<f64>(rows, dim, seed).unwrap_or(f64::NAN)
}

/// The largest error of ∂ log det(I + W)/∂W = (I + W)⁻ᵀ with exact probes and sixty terms, and of
/// the exact trace beside it.
fn gradient<T: Scalar>(count: usize, dim: usize, seed: u64) -> Option<f64> {
    let b = Host::<T>::new();
    let weight = contraction::<T>(dim, Key::new(seed))?;
    let mut shifted = weight.clone();
    add_identity(&mut shifted)?;
    let mut exact = batch::<T>(dim, dim)?;
    b.fill(Fill::Identity, &mut exact).ok()?;
    // Row r becomes (I + W)⁻¹ e_r: the transpose of the inverse.
    if !b.solve(&mut shifted, Op::Plain, &mut exact).ok()? {
        return None;
    }

    let mut op = Matrix::new(&b, weight.clone(), count).ok()?;
    let mut workspace = workspace::<T>(op.shape(&b))?;
    let (mut out, mut weights) = (rows(count)?, rows(count)?);
    b.fill_rows(1.0 / count as f64, &mut weights).ok()?;
    let mut gradient = batch::<T>(dim, dim)?;
    let estimator = LogDet {
        schedule: RouletteSchedule::truncated(60).ok()?,
        trace: TraceEstimator::new(Probe::Basis, 1),
    };
    let draw = Draw::new(Key::new(seed)).at_row(3);
    estimator
        .value_and_gradient(
            &b,
            &mut op,
            &draw,
            Some(&weights),
            &mut workspace,
            &mut out,
            &mut gradient,
        )
        .ok()?;
    let value = out.row(0).first()? - exact_log_det(&weight)?;

    b.axpy(0..dim, -1.0, &exact, &mut gradient).ok()?;
    let largest = gradient
        .as_slice()
        .iter()
        .fold(0.0, |largest: f64, x| largest.max(x.to_f64().abs()));

    estimator
        .trace
        .trace(&b, &mut op, &draw, &mut workspace, &mut out)
        .ok()?;
    let diagonal = (0..dim).filter_map(|i| weight.row(i).get(i));
    let exact: f64 = diagonal.map(|x| x.to_f64()).sum();
    let trace = out.row(0).first()? - exact;
    Some(largest.max(value.abs()).max(trace.abs()))
}

/// Random signs over the dimension: the Frobenius norm is the contraction.
fn contraction<T: Scalar>(dim: usize, key: Key) -> Option<Batch<T>> {
    let mut weight = batch(dim, dim)?;
    let signs = Fill::Rademacher {
        key,
        first_row: 0,
        scale: CONTRACTION / dim as f64,
    };
    Host::<T>::new().fill(signs, &mut weight).ok()?;
    Some(weight)
}

fn add_identity<T: Scalar>(x: &mut Batch<T>) -> Option<()> {
    let b = Host::<T>::new();
    let dim = x.shape().dim;
    let mut identity = batch(dim, dim)?;
    b.fill(Fill::Identity, &mut identity).ok()?;
    b.axpy(0..dim, 1.0, &identity, x).ok()
}

/// log|det(I + W)|
fn exact_log_det<T: Scalar>(weight: &Batch<T>) -> Option<f64> {
    let mut shifted = weight.clone();
    add_identity(&mut shifted)?;
    let (sign, log) = Host::<T>::new().log_abs_det(&mut shifted).ok()?;
    (sign > 0.0).then_some(log)
}

fn workspace<T: Scalar>(shape: Shape) -> Option<Workspace<Host<T>>> {
    let batch = || batch(shape.rows, shape.dim);
    Workspace::new(&Host::new(), [batch()?, batch()?, batch()?, batch()?]).ok()
}

fn estimator(law: u32, probe: u32) -> Option<LogDet> {
    let schedule = match law {
        0 => RouletteSchedule::certified(CONTRACTION, Quantity::Value),
        1 => RouletteSchedule::geometric(4, 0.7, CONTRACTION, Quantity::Gradient),
        2 => RouletteSchedule::poisson_unchecked(6, 3.0),
        _ => RouletteSchedule::truncated(law),
    };
    let probe = match probe {
        0 => Probe::Rademacher,
        1 => Probe::Gaussian,
        _ => Probe::Orthogonal,
    };
    Some(LogDet {
        schedule: schedule.ok()?,
        trace: TraceEstimator::new(probe, 2),
    })
}
