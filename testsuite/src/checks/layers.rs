//! The fused layers of flows, against the calls that they stand for on the reference backend.

use detfree_core::reference::Heap;
use detfree_core::{Activation, Affine, Allocate, FlowBackend, Scalar, Shape, unfused};

use crate::failure::{Computed, near, near_each};
use crate::operands::{batch, dirty, read, read_rows, row_results};
use crate::{Outcome, Plain};

/// Dimensions below and above those that backends treat apart; rows below, around and between the multiples
/// of vectors, and more than fit in a block of short rows.
const SHAPES: [Shape; 12] = [
    Shape::new(1, 1),
    Shape::new(17, 1),
    Shape::new(300, 1),
    Shape::new(3, 2),
    Shape::new(16, 2),
    Shape::new(50, 2),
    Shape::new(290, 2),
    Shape::new(33, 3),
    Shape::new(5, 4),
    Shape::new(300, 4),
    Shape::new(35, 5),
    Shape::new(40, 17),
];

const ACTIVATIONS: [Activation; 3] = [
    Activation::Identity,
    Activation::LeakySoftplus { alpha: 0.3 },
    Activation::TanhLinear {
        alpha: 1.0,
        beta: 0.1,
    },
];

/// Elementary functions good to a few ulp, of sums of dim products of up to 4.
fn tolerance<T: Scalar>(shape: Shape) -> f64 {
    64.0 * T::EPSILON * shape.dim as f64
}

type Buffers = Vec<(&'static str, Plain)>;

/// Numbers in [−size, size].
fn random<B: Allocate>(b: &B, shape: Shape, seed: u64, size: f64) -> Computed<B, B::Batch> {
    batch(b, &Plain::random::<B::Scalar>(shape, seed).scaled(size))
}

fn layer<B: Allocate>(b: &B, dim: usize) -> Computed<B, Affine<B::Batch>> {
    Ok(Affine {
        weight: random(b, Shape::new(dim, dim), 1, 1.0)?,
        bias: random(b, Shape::new(1, dim), 2, 1.0)?,
    })
}

/// (the batches, the sums): with the sums, or without any.
fn run_forward<B: FlowBackend + Allocate>(
    b: &B,
    activation: Activation,
    shape: Shape,
    with_log: bool,
    fused: bool,
) -> Computed<B, (Buffers, Vec<f64>)> {
    let (layer, x) = (layer(b, shape.dim)?, random(b, shape, 3, 4.0)?);
    let [mut y, mut z, mut d1, mut score] = [
        dirty(b, shape)?,
        dirty(b, shape)?,
        dirty(b, shape)?,
        dirty(b, shape)?,
    ];
    let start = Plain::random::<f64>(Shape::new(1, shape.rows), 4);
    let mut log = row_results(b, start.as_slice())?;
    let sums = with_log.then_some(&mut log);
    let (y1, z1, d, s) = (&mut y, &mut z, &mut d1, &mut score);
    if fused {
        b.forward_layer(activation, &layer, &x, y1, z1, d, s, sums)?;
    } else {
        unfused::forward_layer(b, activation, &layer, &x, y1, z1, d, s, sums)?;
    }
    let batches = vec![
        ("y", read(b, &y)?),
        ("z", read(b, &z)?),
        ("d1", read(b, &d1)?),
        ("score", read(b, &score)?),
    ];
    Ok((batches, read_rows(b, &log)?))
}

pub(crate) fn forward<B: FlowBackend + Allocate>(b: &B) -> Outcome {
    let reference = Heap::<B::Scalar>::new();
    for shape in SHAPES {
        for activation in ACTIVATIONS {
            for with_log in [true, false] {
                let (got, got_log) = run_forward(b, activation, shape, with_log, true)?;
                let (want, want_log) = run_forward(&reference, activation, shape, with_log, false)?;
                let case = format!("forward_layer {activation:?} {shape:?}, log: {with_log}");
                let tolerance = tolerance::<B::Scalar>(shape);
                near_each(&case, &got, &want, tolerance)?;
                near(format!("{case}: log"), &got_log, &want_log, tolerance)?;
            }
        }
    }
    Ok(())
}

fn run_backward<B: FlowBackend + Allocate>(
    b: &B,
    shape: Shape,
    fused: bool,
) -> Computed<B, Buffers> {
    let layer = layer(b, shape.dim)?;
    let (delta, y) = (random(b, shape, 3, 1.0)?, random(b, shape, 4, 1.0)?);
    let (d1, score) = (random(b, shape, 5, 1.0)?, random(b, shape, 6, 1.0)?);
    let mut below = dirty(b, shape)?;
    let mut gram = dirty(b, Shape::new(shape.dim, shape.dim))?;
    let mut bias = dirty(b, Shape::new(1, shape.dim))?;
    let (out, g, t) = (&mut below, &mut gram, &mut bias);
    if fused {
        b.backward_layer(&layer, &delta, &y, &d1, &score, out, g, t)?;
    } else {
        unfused::backward_layer(b, &layer, &delta, &y, &d1, &score, out, g, t)?;
    }
    Ok(vec![
        ("below", read(b, &below)?),
        ("gram", read(b, &gram)?),
        ("bias", read(b, &bias)?),
    ])
}

pub(crate) fn backward<B: FlowBackend + Allocate>(b: &B) -> Outcome {
    let reference = Heap::<B::Scalar>::new();
    for shape in SHAPES {
        let got = run_backward(b, shape, true)?;
        let want = run_backward(&reference, shape, false)?;
        let case = format!("backward_layer {shape:?}");
        near_each(case, &got, &want, tolerance::<B::Scalar>(shape))?;
    }
    Ok(())
}

fn run_direction<B: FlowBackend + Allocate>(
    b: &B,
    shape: Shape,
    fused: bool,
) -> Computed<B, Buffers> {
    let (gram, weight) = (random(b, shape, 1, 1.0)?, random(b, shape, 2, 1.0)?);
    let mut out = dirty(b, shape)?;
    if fused {
        b.weight_direction(&gram, &weight, &mut out)?;
    } else {
        unfused::weight_direction(b, &gram, &weight, &mut out)?;
    }
    Ok(vec![("out", read(b, &out)?)])
}

pub(crate) fn direction<B: FlowBackend + Allocate>(b: &B) -> Outcome {
    let reference = Heap::<B::Scalar>::new();
    for dim in [1, 2, 3, 4, 5, 17] {
        let shape = Shape::new(dim, dim);
        let got = run_direction(b, shape, true)?;
        let want = run_direction(&reference, shape, false)?;
        let case = format!("weight_direction {shape:?}");
        near_each(case, &got, &want, tolerance::<B::Scalar>(shape))?;
    }
    Ok(())
}
