//! The primitives of every backend, against plain loops in `f64`.
//!
//! Rows outside a range hold NaN where they must not be read and numbers where they must not be
//! written; what is only written starts as NaN.

use detfree_core::{Allocate, Scalar, Shape};

use crate::failure::{Computed, ensure, gives, near};
use crate::operands::{SHAPES, batch, dirty, ranges, read, read_rows, row_results};
use crate::{Outcome, Plain};

/// One product and one sum in data type T, of numbers up to 2: two roundings, and one more where
/// a scalar is rounded first.
fn few_roundings<T: Scalar>() -> f64 {
    4.0 * T::EPSILON
}

pub(crate) fn shapes_and_transfers<B: Allocate>(b: &B) -> Outcome {
    for shape in SHAPES {
        let allocated = b.batch(shape).map_err(detfree_core::Error::Device)?;
        ensure(b.shape(&allocated) == shape, || {
            format!(
                "a batch of {shape:?} has the shape {:?}",
                b.shape(&allocated)
            )
        })?;
        let host = Plain::random::<B::Scalar>(shape, 1);
        let back = batch(b, &host).and_then(|x| read(b, &x))?;
        near(format!("upload, download {shape:?}"), &back, &host, 0.0)?;
        rows_are_rows(b, &host)?;
        let numbers = &host.as_slice()[..shape.rows];
        let back = row_results(b, numbers).and_then(|x| read_rows(b, &x))?;
        near(
            format!("upload_rows, download_rows {shape:?}"),
            &back,
            numbers,
            0.0,
        )?;
    }
    Ok(())
}

/// A transfer may be wrong in both directions, as by columns for rows: primitives see what it left.
fn rows_are_rows<B: Allocate>(b: &B, host: &Plain) -> Outcome {
    let Shape { rows, dim } = host.shape();
    let got = || -> Computed<B, Vec<f64>> {
        let x = batch(b, host)?;
        let mut squares = row_results(b, &vec![0.0; rows])?;
        for r in 0..rows {
            b.dot_rows(r..r + 1, 1.0, &x, &x, &mut squares)?;
        }
        read_rows(b, &squares)
    };
    let squares = |r: usize| host.row(r).iter().map(|x| x * x).sum();
    let want: Vec<f64> = (0..rows).map(squares).collect();
    let transposed = if rows > 1 && dim > 1 {
        ": are rows taken for columns?"
    } else {
        ","
    };
    let case = format!(
        "upload and download {:?} agree with each other, but not with dot_rows of one row{transposed} \
         ⟨x_r, x_r⟩",
        host.shape()
    );
    gives(case, got(), &want, 4.0 * f64::EPSILON * (dim + 1) as f64)
}

pub(crate) fn copy<B: Allocate>(b: &B) -> Outcome {
    for shape in SHAPES {
        let x = Plain::random::<B::Scalar>(shape, 1);
        let got = || -> Computed<B, Plain> {
            let mut y = dirty(b, shape)?;
            b.copy(&batch(b, &x)?, &mut y)?;
            read(b, &y)
        };
        gives(format!("copy {shape:?}"), got(), &x, 0.0)?;
    }
    Ok(())
}

pub(crate) fn axpy<B: Allocate>(b: &B) -> Outcome {
    for shape in SHAPES {
        for rows in ranges(shape.rows) {
            let x = Plain::random::<B::Scalar>(shape, 1).only(&rows);
            let y = Plain::random::<B::Scalar>(shape, 2);
            let want = y
                .clone()
                .with_rows(&rows, |r, c| y.at(r, c) + 0.7 * x.at(r, c));
            let got = || -> Computed<B, Plain> {
                let mut y = batch(b, &y)?;
                b.axpy(rows.clone(), 0.7, &batch(b, &x)?, &mut y)?;
                read(b, &y)
            };
            let case = format!("axpy {shape:?} {rows:?}");
            gives(case, got(), &want, few_roundings::<B::Scalar>())?;
        }
    }
    Ok(())
}

/// Accumulated in `f64`: a backend that accumulates in `f32` is off by 10⁸ times the tolerance.
pub(crate) fn dot_rows<B: Allocate>(b: &B) -> Outcome {
    for shape in SHAPES {
        for rows in ranges(shape.rows) {
            let x = Plain::random::<B::Scalar>(shape, 1).only(&rows);
            let y = Plain::random::<B::Scalar>(shape, 2).only(&rows);
            let start = Plain::random::<f64>(Shape::new(1, shape.rows), 3);
            let mut want = start.as_slice().to_vec();
            for r in rows.clone() {
                let dot: f64 = x.row(r).iter().zip(y.row(r)).map(|(x, y)| x * y).sum();
                want[r] -= 0.7 * dot;
            }
            let got = || -> Computed<B, Vec<f64>> {
                let mut out = row_results(b, start.as_slice())?;
                b.dot_rows(rows.clone(), -0.7, &batch(b, &x)?, &batch(b, &y)?, &mut out)?;
                read_rows(b, &out)
            };
            let tolerance = 4.0 * f64::EPSILON * (shape.dim + 1) as f64;
            gives(
                format!("dot_rows {shape:?} {rows:?}"),
                got(),
                &want,
                tolerance,
            )?;
        }
    }
    Ok(())
}

pub(crate) fn row_results_scale_and_fill<B: Allocate>(b: &B) -> Outcome {
    for shape in SHAPES {
        let x = Plain::random::<B::Scalar>(shape, 1);
        let c = Plain::random::<f64>(Shape::new(1, shape.rows), 3);
        let want = Plain::new(shape.rows, shape.dim, |i, j| c.at(0, i) * x.at(i, j));
        let got = || -> Computed<B, Plain> {
            let mut x = batch(b, &x)?;
            b.scale_rows(&row_results(b, c.as_slice())?, &mut x)?;
            read(b, &x)
        };
        let case = format!("scale_rows {shape:?}");
        gives(case, got(), &want, few_roundings::<B::Scalar>())?;

        let got = || -> Computed<B, Vec<f64>> {
            let mut rows = row_results(b, &vec![f64::NAN; shape.rows])?;
            b.fill_rows(-0.1, &mut rows)?;
            read_rows(b, &rows)
        };
        gives(
            format!("fill_rows {shape:?}"),
            got(),
            &vec![-0.1; shape.rows],
            0.0,
        )?;
    }
    Ok(())
}

/// A hint: what is tiny may become zero or stay, and everything else stays, NaN included.
pub(crate) fn flush_tiny<B: Allocate>(b: &B) -> Outcome {
    let tiny = B::Scalar::TINY.to_f64();
    let numbers = [
        0.0,
        tiny,
        -tiny,
        0.5 * tiny,
        -0.5 * tiny,
        f64::NAN,
        1.0,
        2.0 * tiny,
    ];
    for shape in SHAPES {
        let x = Plain::new(shape.rows, shape.dim, |r, c| numbers[(3 * r + c) % 8]);
        for rows in ranges(shape.rows) {
            let got = || -> Computed<B, Plain> {
                let mut x = batch(b, &x)?;
                b.flush_tiny(rows.clone(), &mut x)?;
                read(b, &x)
            };
            let got = got()?;
            let want = x.clone().with_rows(&rows, |r, c| {
                let may_vanish = x.at(r, c).abs() < tiny && got.at(r, c) == 0.0;
                if may_vanish { 0.0 } else { x.at(r, c) }
            });
            let case = format!("flush_tiny {shape:?} {rows:?}");
            near(case, &got, &want, 0.0)?;
        }
    }
    Ok(())
}
