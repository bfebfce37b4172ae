//! The calls that the fused passes of a [`DenseBackend`] and a [`FlowBackend`] stand for: their specification, and
//! what a backend makes where it has no pass of its own.

use core::ops::Range;

use crate::{Activation, Affine, DenseBackend, FlowBackend, Link, Op, Store};

/// [`DenseBackend::chain`] as products and [`DenseBackend::scale_shift`].
///
/// # Errors
/// The device's.
pub fn chain<'a, B: DenseBackend + ?Sized>(
    b: &B,
    rows: Range<usize>,
    x: &'a B::Batch,
    links: impl IntoIterator<Item = Link<'a, B::Batch>>,
) -> Result<(), B::Error>
where
    B::Batch: 'a,
{
    let mut x = x;
    for Link {
        weight,
        op,
        scale,
        out,
    } in links
    {
        b.apply(rows.clone(), weight, op, x, Store::Set, out)?;
        if let Some(scale) = scale {
            b.scale_shift(rows.clone(), scale, None, out)?;
        }
        x = out;
    }
    Ok(())
}

/// [`FlowBackend::forward_layer`] as a product and a bijection.
///
/// # Errors
/// The device's.
#[expect(
    clippy::too_many_arguments,
    reason = "those of the fused pass, and the backend"
)]
pub fn forward_layer<B: FlowBackend + ?Sized>(
    b: &B,
    activation: Activation,
    layer: &Affine<B::Batch>,
    x: &B::Batch,
    y: &mut B::Batch,
    z: &mut B::Batch,
    d1: &mut B::Batch,
    score: &mut B::Batch,
    log: Option<&mut B::Rows>,
) -> Result<(), B::Error> {
    let rows = 0..b.shape(x).rows;
    b.apply(rows, &layer.weight, Op::Plain, x, Store::Set, y)?;
    b.bijection(activation, &layer.bias, y, z, d1, score, log)
}

/// [`FlowBackend::backward_layer`] as two products, sums of rows and passes.
///
/// # Errors
/// The device's.
#[expect(
    clippy::too_many_arguments,
    reason = "those of the fused pass, and the backend"
)]
pub fn backward_layer<B: FlowBackend + ?Sized>(
    b: &B,
    layer: &Affine<B::Batch>,
    delta: &B::Batch,
    y: &B::Batch,
    d1: &B::Batch,
    score: &B::Batch,
    below: &mut B::Batch,
    gram: &mut B::Batch,
    bias: &mut B::Batch,
) -> Result<(), B::Error> {
    let (rows, op) = (0..b.shape(delta).rows, Op::Transposed);
    b.apply(rows.clone(), &layer.weight, op, delta, Store::Set, below)?;
    b.scale_shift(rows, d1, Some(score), below)?;
    relative_sums(b, layer, delta, y, gram, bias)
}

/// [`FlowBackend::weight_direction`] as a product and a sum.
///
/// # Errors
/// The device's.
pub fn weight_direction<B: DenseBackend + ?Sized>(
    b: &B,
    gram: &B::Batch,
    weight: &B::Batch,
    out: &mut B::Batch,
) -> Result<(), B::Error> {
    let rows = 0..b.shape(gram).rows;
    // Row i of X Y is Yᵀ (row i of X).
    let op = Op::Transposed;
    b.apply(rows.clone(), weight, op, gram, Store::Set, out)?;
    b.axpy(rows, 1.0, weight, out)
}

/// gram = (1/R) Σ_r δ_r y_rᵀ = T − I and bias = b + t + (T − I) b.
pub(crate) fn relative_sums<B: DenseBackend + ?Sized>(
    b: &B,
    layer: &Affine<B::Batch>,
    delta: &B::Batch,
    y: &B::Batch,
    gram: &mut B::Batch,
    bias: &mut B::Batch,
) -> Result<(), B::Error> {
    let rows = b.shape(delta).rows;
    let mean = 1.0 / rows as f64;
    b.outer(0..rows, mean, delta, y, Store::Set, gram)?;
    b.copy(&layer.bias, bias)?;
    b.sum_rows(0..rows, mean, delta, Store::Add, bias)?;
    b.apply(0..1, gram, Op::Plain, &layer.bias, Store::Add, bias)
}
