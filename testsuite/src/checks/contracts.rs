//! Operands that break a primitive's contract: an error or unspecified numbers, and never a panic.
//!
//! Ranges are short or empty where they lie far outside: a plain loop over them ends.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use detfree_core::{
    Activation, Adam, Affine, Allocate, Backend, BaseDensity, DenseBackend, Fill, FlowBackend, Key,
    Link, Op, Scalar, Shape, Store,
};

use crate::{Failure, Outcome};

/// Every combination of three of them is tried, and few fit.
const SHAPES: [Shape; 6] = [
    Shape::new(0, 0),
    Shape::new(1, 3),
    Shape::new(4, 1),
    Shape::new(4, 4),
    Shape::new(20, 20),
    Shape::new(7, 40),
];

/// Inside some batches, across the end of others, beyond all of them, and the wrong way round.
#[expect(clippy::reversed_empty_ranges, reason = "a broken contract")]
const RANGES: [Range<usize>; 5] = [0..2, 3..9, 0..1000, 2..1, usize::MAX - 1..usize::MAX];

const NORMALS: Fill = Fill::Gaussian {
    key: Key::new(1),
    first_row: 0,
    scale: 1.0,
};

const ACTIVATION: Activation = Activation::LeakySoftplus { alpha: 0.3 };

/// (rows, x, y, out)
type Pass<B> = fn(
    &B,
    Range<usize>,
    &<B as Backend>::Batch,
    &<B as Backend>::Batch,
    &mut <B as Backend>::Batch,
) -> Result<(), <B as Backend>::Error>;

fn normals<B: Allocate>(b: &B, shape: Shape) -> Result<B::Batch, B::Error> {
    let mut x = b.batch(shape)?;
    b.fill(NORMALS, &mut x)?;
    Ok(x)
}

/// A batch of the same shape, to be written.
fn another<B: Allocate>(b: &B, x: &B::Batch) -> Result<B::Batch, B::Error> {
    normals(b, b.shape(x))
}

/// Passes where the call returns, whatever it returns.
fn returns<T>(call: impl FnOnce() -> T, case: impl FnOnce() -> String) -> Outcome {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(_) => Ok(()),
        Err(_) => Err(Failure::new(format!(
            "{} panics: operands that break the contract must give an error or unspecified numbers",
            case()
        ))),
    }
}

/// Every pass with every combination of shapes and each of the ranges.
fn all_return<B: Allocate>(b: &B, ranges: &[Range<usize>], passes: &[(&str, Pass<B>)]) -> Outcome {
    for shapes in combinations() {
        // A batch that the backend does not allocate cannot be passed to it.
        let [Ok(x), Ok(y), Ok(mut out)] = shapes.map(|shape| normals(b, shape)) else {
            continue;
        };
        for (name, pass) in passes {
            for rows in ranges {
                let call = || -> Result<(), B::Error> {
                    b.fill(NORMALS, &mut out)?;
                    pass(b, rows.clone(), &x, &y, &mut out)
                };
                returns(call, || format!("{name} of rows {rows:?} of {shapes:?}"))?;
            }
        }
    }
    Ok(())
}

fn combinations() -> impl Iterator<Item = [Shape; 3]> {
    SHAPES
        .into_iter()
        .flat_map(|x| SHAPES.map(|y| [x, y]))
        .flat_map(|[x, y]| SHAPES.map(|out| [x, y, out]))
}

pub(crate) fn primitives<B: Allocate>(b: &B) -> Outcome {
    all_return(
        b,
        &RANGES,
        &[
            ("axpy", |b, rows, x, _, out| b.axpy(rows, 1.0, x, out)),
            ("dot_rows", |b, rows, x, y, _| {
                b.dot_rows(rows, 1.0, x, y, &mut b.rows(3)?)
            }),
            ("flush_tiny", |b, rows, _, _, out| b.flush_tiny(rows, out)),
        ],
    )?;
    all_return(
        b,
        &RANGES[..1],
        &[
            ("fill", |b, _, _, _, out| b.fill(Fill::Basis(9), out)),
            ("copy", |b, _, x, _, out| b.copy(x, out)),
            ("scale_rows", |b, _, _, _, out| {
                b.scale_rows(&b.rows(3)?, out)
            }),
        ],
    )?;
    transfers(b)
}

/// Slices on the host that are empty, too short and too long.
fn transfers<B: Allocate>(b: &B) -> Outcome {
    for shape in SHAPES {
        let size = shape.rows * shape.dim;
        for length in [0, size.saturating_sub(1), size + 1] {
            let call = || -> Result<(), B::Error> {
                let mut host = vec![B::Scalar::from_f64(0.5); length];
                let mut x = normals(b, shape)?;
                b.upload(&host, &mut x)?;
                b.download(&x, &mut host)
            };
            returns(call, || {
                format!("a transfer of {length} numbers, {shape:?}")
            })?;
        }
        for length in [0, shape.rows.saturating_sub(1), shape.rows + 1] {
            let call = || -> Result<(), B::Error> {
                let mut host = vec![0.5; length];
                let mut rows = b.rows(shape.rows)?;
                b.upload_rows(&host, &mut rows)?;
                b.download_rows(&rows, &mut host)
            };
            let rows = shape.rows;
            returns(call, || {
                format!("a transfer of {length} row results for {rows} rows")
            })?;
        }
    }
    Ok(())
}

pub(crate) fn products<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    all_return(
        b,
        &RANGES,
        &[
            ("apply", |b, rows, x, y, out| {
                b.apply(rows, x, Op::Plain, y, Store::Set, out)
            }),
            ("apply, transposed", |b, rows, x, y, out| {
                b.apply(rows, x, Op::Transposed, y, Store::Add, out)
            }),
            ("chain", |b, rows, x, y, out| {
                let between = &mut another(b, y)?;
                let link = |op, scale, out| Link {
                    weight: x,
                    op,
                    scale,
                    out,
                };
                let [first, last] = [Op::Plain, Op::Transposed];
                b.chain(
                    rows,
                    y,
                    [link(first, Some(y), between), link(last, None, out)],
                )
            }),
            ("outer", |b, rows, x, y, out| {
                b.outer(rows, 1.0, x, y, Store::Set, out)
            }),
            ("sum_rows", |b, rows, x, _, out| {
                b.sum_rows(rows, 1.0, x, Store::Set, out)
            }),
            ("hadamard", |b, rows, x, y, out| {
                b.hadamard(rows, x, y, Store::Add, out)
            }),
            ("scale_shift", |b, rows, x, y, out| {
                b.scale_shift(rows, x, Some(y), out)
            }),
        ],
    )?;
    all_return(
        b,
        &RANGES[..1],
        &[
            ("outer_onto", |b, rows, x, y, out| {
                b.outer_onto(rows, 1.0, x, y, x, out)
            }),
            ("apply_to_both", |b, _, x, y, out| {
                b.apply_to_both(x, Op::Plain, [y, x], [out, &mut another(b, y)?])
            }),
            ("add_bias", |b, _, x, _, out| b.add_bias(x, out)),
            ("transpose", |b, _, x, _, out| b.transpose(x, out)),
            ("bias_activate", |b, _, x, y, out| {
                let (mut h, mut z) = (another(b, x)?, another(b, y)?);
                b.bias_activate(ACTIVATION, x, &mut h, &mut z, &mut another(b, y)?, out)
            }),
            ("log_abs_det", |b, _, _, _, out| {
                b.log_abs_det(out).map(|_| ())
            }),
            ("solve", |b, _, x, _, out| {
                b.solve(&mut another(b, x)?, Op::Plain, out).map(|_| ())
            }),
            ("solve, transposed", |b, _, x, _, out| {
                b.solve(&mut another(b, x)?, Op::Transposed, out)
                    .map(|_| ())
            }),
            ("is_positive_definite", |b, _, _, _, out| {
                b.is_positive_definite(out).map(|_| ())
            }),
        ],
    )
}

pub(crate) fn flow_passes<B: FlowBackend + Allocate>(b: &B) -> Outcome {
    all_return(
        b,
        &RANGES[..1],
        &[
            ("bijection", |b, _, x, y, out| {
                let (mut z, mut d1, mut log) = (another(b, x)?, another(b, y)?, b.rows(3)?);
                let y = &mut another(b, y)?;
                b.bijection(ACTIVATION, x, y, &mut z, &mut d1, out, Some(&mut log))
            }),
            ("forward_layer", |b, _, x, y, out| {
                let layer = Affine {
                    weight: another(b, x)?,
                    bias: another(b, y)?,
                };
                let (z, d1, log) = (&mut another(b, x)?, &mut another(b, y)?, &mut b.rows(3)?);
                let at = &mut another(b, out)?;
                b.forward_layer(ACTIVATION, &layer, y, at, z, d1, out, Some(log))
            }),
            ("backward_layer", |b, _, x, y, out| {
                let layer = Affine {
                    weight: another(b, x)?,
                    bias: another(b, y)?,
                };
                let (gram, bias) = (&mut another(b, x)?, &mut another(b, y)?);
                b.backward_layer(&layer, x, y, x, y, out, gram, bias)
            }),
            ("weight_direction", |b, _, x, y, out| {
                b.weight_direction(x, y, out)
            }),
            ("inverse_bijection", |b, _, x, _, out| {
                b.inverse_bijection(ACTIVATION, x, out)
            }),
            ("base_density", |b, _, x, _, out| {
                b.base_density(BaseDensity::Normal, x, out, &mut b.rows(3)?)
            }),
            ("adam", |b, _, x, y, out| {
                let (mut m, mut v) = (another(b, x)?, another(b, y)?);
                b.adam(&Adam::new(0.1, 1), x, &mut m, &mut v, out)
            }),
            ("relative_adam", |b, _, x, y, out| {
                let (mut m, mut v) = (another(b, x)?, another(b, y)?);
                let mut scratch = another(b, y)?;
                let step = Adam::new(0.1, 1);
                b.relative_adam(&step, 1.0, x, y, &mut scratch, &mut m, &mut v, out)
            }),
        ],
    )
}
