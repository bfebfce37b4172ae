//! The primitives of every backend, against plain loops in `f64`.
//!
//! Rows outside a range hold NaN where they must not be read and numbers where they must not be
//! written; what is only written starts as NaN.

use detfree_core::{Allocate, Scalar, Shape};

use crate::failure::{Computed, ensure, near};
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
        near(
            format!("upload, download {shape:?}"),
            back.as_slice(),
            host.as_slice(),
            0.0,
        )?;
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

pub(crate) fn copy<B: Allocate>(b: &B) -> Outcome {
    for shape in SHAPES {
        let x = Plain::random::<B::Scalar>(shape, 1);
        let got = || -> Computed<B, Plain> {
            let mut y = dirty(b, shape)?;
            b.copy(&batch(b, &x)?, &mut y)?;
            read(b, &y)
        };
        near(
            format!("copy {shape:?}"),
            got()?.as_slice(),
            x.as_slice(),
            0.0,
        )?;
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
            near(
                case,
                got()?.as_slice(),
                want.as_slice(),
                few_roundings::<B::Scalar>(),
            )?;
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
            near(
                format!("dot_rows {shape:?} {rows:?}"),
                &got()?,
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
        near(
            case,
            got()?.as_slice(),
            want.as_slice(),
            few_roundings::<B::Scalar>(),
        )?;

        let got = || -> Computed<B, Vec<f64>> {
            let mut rows = row_results(b, &vec![f64::NAN; shape.rows])?;
            b.fill_rows(-2.5, &mut rows)?;
            read_rows(b, &rows)
        };
        near(
            format!("fill_rows {shape:?}"),
            &got()?,
            &vec![-2.5; shape.rows],
            0.0,
        )?;
    }
    Ok(())
}
