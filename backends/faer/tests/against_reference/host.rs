//! Fills, copies and the passes that every series needs: the same bits as the reference.

use detfree_core::{Fill, Key};

use crate::operands::{
    Complete, SHAPES, compare, dirty, full, numbers, only, ranges, read, read_rows, row_results,
};

const EXACT: f64 = 0.0;

pub(crate) fn shapes_and_copies_round_trip<B: Complete, R: Complete<Scalar = B::Scalar>>(
    b: &B,
    reference: &R,
) {
    for shape in SHAPES {
        let batch = dirty(b, shape);
        assert_eq!(b.shape(&batch), shape);
        assert_eq!(b.row_count(&b.rows(shape.rows).unwrap()), shape.rows);
        compare!(format!("copy {shape:?}"), EXACT, b, reference, |on| {
            let mut y = dirty(on, shape);
            on.copy(&full(on, shape, 1), &mut y).unwrap();
            read(on, &y)
        });
    }
}

pub(crate) fn fills_agree<B: Complete, R: Complete<Scalar = B::Scalar>>(b: &B, reference: &R) {
    let (key, first_row, scale) = (Key::new(11), 1 << 33, 0.3);
    #[rustfmt::skip]
    let fills = [
        Fill::Constant(0.1),
        Fill::Identity,
        Fill::Basis(3),
        Fill::Rademacher { key, first_row, scale },
        Fill::Gaussian { key, first_row, scale },
        Fill::Walsh { key, first_row, index: 5, scale },
    ];
    for shape in SHAPES {
        for fill in fills {
            compare!(format!("{fill:?} {shape:?}"), EXACT, b, reference, |on| {
                let mut x = dirty(on, shape);
                on.fill(fill, &mut x).unwrap();
                read(on, &x)
            });
        }
    }
}

pub(crate) fn axpy_agrees<B: Complete, R: Complete<Scalar = B::Scalar>>(b: &B, reference: &R) {
    for shape in SHAPES {
        for rows in ranges(shape.rows) {
            compare!(
                format!("axpy {shape:?} {rows:?}"),
                EXACT,
                b,
                reference,
                |on| {
                    let mut y = full(on, shape, 2);
                    let x = only(on, shape, 1, &rows);
                    on.axpy(rows.clone(), 0.7, &x, &mut y).unwrap();
                    read(on, &y)
                }
            );
        }
    }
}

pub(crate) fn dot_rows_agrees<B: Complete, R: Complete<Scalar = B::Scalar>>(b: &B, reference: &R) {
    for shape in SHAPES {
        // Products of f32 are exact in f64: a backend that accumulates in f32 is off by 1e8 of these.
        let tolerance = 4.0 * f64::EPSILON * shape.dim as f64;
        for rows in ranges(shape.rows) {
            compare!(
                format!("dot_rows {shape:?} {rows:?}"),
                tolerance,
                b,
                reference,
                |on| {
                    let x = only(on, shape, 1, &rows);
                    let y = only(on, shape, 2, &rows);
                    let mut out = row_results(on, &numbers(shape, 3)[..shape.rows]);
                    on.dot_rows(rows.clone(), -0.7, &x, &y, &mut out).unwrap();
                    read_rows(on, &out)
                }
            );
        }
    }
}

pub(crate) fn row_scaling_agrees<B: Complete, R: Complete<Scalar = B::Scalar>>(
    b: &B,
    reference: &R,
) {
    for shape in SHAPES {
        compare!(format!("scale_rows {shape:?}"), EXACT, b, reference, |on| {
            let c = row_results(on, &numbers(shape, 3)[..shape.rows]);
            let mut x = full(on, shape, 1);
            on.scale_rows(&c, &mut x).unwrap();
            read(on, &x)
        });
        compare!(format!("fill_rows {shape:?}"), EXACT, b, reference, |on| {
            let mut rows = row_results(on, &vec![f64::NAN; shape.rows]);
            on.fill_rows(-2.5, &mut rows).unwrap();
            read_rows(on, &rows)
        });
    }
}
