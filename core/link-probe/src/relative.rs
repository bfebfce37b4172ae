//! A guarded relative-gradient step with tracking, against elimination.

use detfree_core::{
    Affine, Backend, DenseBackend, DenseRelative, Fill, Key, Op, RelativeGradient, Scalar, Side,
    Store,
};

use crate::{Batch, Host, batch, normal, rows};

#[unsafe(no_mangle)]
extern "C" fn detfree_step_f32(side: u32, rows: usize, dim: usize, mu: f64, seed: u64) -> f64 {
    step::<f32>(side, rows, dim, mu, seed).unwrap_or(f64::NAN)
}

#[unsafe(no_mangle)]
extern "C" fn detfree_step_f64(side: u32, rows: usize, dim: usize, mu: f64, seed: u64) -> f64 {
    step::<f64>(side, rows, dim, mu, seed).unwrap_or(f64::NAN)
}

/// The larger error of a guarded step: of the tracked change of log|det W| against elimination, and
/// of the tracked inverse against W W⁻¹ = I.
fn step<T: Scalar>(side: u32, count: usize, dim: usize, mu: f64, seed: u64) -> Option<f64> {
    let b = Host::<T>::new();
    let key = Key::new(seed);
    let side = match side {
        0 => Side::Plain,
        _ => Side::Transposed,
    };
    let mut identity = batch(dim, dim)?;
    b.fill(Fill::Identity, &mut identity).ok()?;
    let mut layer = Affine {
        weight: normal::<T>(dim, dim, key.fold_in(0), 0.1)?,
        bias: normal(1, dim, key.fold_in(1), 1.0)?,
    };
    b.axpy(0..dim, 1.0, &identity, &mut layer.weight).ok()?;
    let mut inverse = inverse(&layer.weight)?;
    let before = log_abs_det(&layer.weight)?;

    let mut tangent = tangent::<T>(count, dim)?;
    let delta = normal(count, dim, key.fold_in(2), 1.0)?;
    let anchor = normal(count, dim, key.fold_in(3), 1.0)?;
    tangent.linearise(&b, side, &layer, &delta, &anchor).ok()?;
    let mut direction = layer.clone();
    tangent.direction(&b, &layer, &mut direction).ok()?;
    let guarded = tangent.guard(&b, mu).ok()??;
    tangent
        .step(&b, guarded.mu, &mut layer, Some(&mut inverse))
        .ok()?;

    let change = log_abs_det(&layer.weight)? - before;
    // Row i of the product is W (row i of W⁻ᵀ): the columns of the inverse are wanted as rows.
    let mut columns = batch(dim, dim)?;
    b.transpose(&inverse, &mut columns).ok()?;
    b.apply(
        0..dim,
        &layer.weight,
        Op::Plain,
        &columns,
        Store::Set,
        &mut inverse,
    )
    .ok()?;
    b.axpy(0..dim, -1.0, &identity, &mut inverse).ok()?;
    let error = (change - guarded.log_det_change).abs();
    let entries = inverse.as_slice().iter();
    Some(entries.fold(error, |error, x| error.max(x.to_f64().abs())))
}

fn tangent<T: Scalar>(count: usize, dim: usize) -> Option<DenseRelative<Host<T>>> {
    let per_row = || batch(count, dim);
    let square = || batch(count.min(dim), count.min(dim));
    DenseRelative::new(
        &Host::new(),
        [per_row()?, per_row()?, per_row()?],
        [square()?, square()?],
        batch(count, 1)?,
        [batch(1, dim)?, batch(1, dim)?],
        [rows(dim)?, rows(count.min(dim))?],
    )
    .ok()
}

fn inverse<T: Scalar>(weight: &Batch<T>) -> Option<Batch<T>> {
    let b = Host::<T>::new();
    let dim = weight.shape().dim;
    let mut transposed = batch(dim, dim)?;
    b.fill(Fill::Identity, &mut transposed).ok()?;
    // Row r becomes W⁻ᵀ e_r, which is row r of the inverse.
    b.solve(&mut weight.clone(), Op::Transposed, &mut transposed)
        .ok()?
        .then_some(transposed)
}

fn log_abs_det<T: Scalar>(weight: &Batch<T>) -> Option<f64> {
    let (_, log) = Host::<T>::new().log_abs_det(&mut weight.clone()).ok()?;
    Some(log)
}
