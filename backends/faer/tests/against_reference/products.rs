//! Products with weights: sums in another order than the reference's.
//!
//! A sum of K products of numbers in [−1, 1] takes K roundings of partial sums of order √K, whose
//! errors, of either sign, add up to √K times one of them: K ε, doubled for the two backends and
//! again for the unlucky element of thousands.

use detfree_core::{Op, Scalar, Shape, Store};

use crate::operands::{Complete, compare, except, full, only, ranges, read};

/// Rows, inputs and outputs: tiny, around the sizes of vectors and tiles, a weight of several
/// panels, and products that are worth threads cut along either side.
const PRODUCTS: [[usize; 3]; 11] = [
    [1, 1, 1],
    [1, 7, 5],
    [5, 1, 3],
    [3, 8, 8],
    [4, 13, 1],
    [7, 33, 16],
    [2, 100, 37],
    [40, 64, 31],
    [3, 45, 900],
    [60, 200, 180],
    [400, 50, 61],
];

pub(crate) fn apply_agrees<B: Complete, R: Complete<Scalar = B::Scalar>>(b: &B, reference: &R) {
    for [count, inputs, outputs] in PRODUCTS {
        for (op, store) in pairs() {
            let (from, to) = match op {
                Op::Plain => (inputs, outputs),
                Op::Transposed => (outputs, inputs),
            };
            let (x_shape, y_shape) = (Shape::new(count, from), Shape::new(count, to));
            let tolerance = 4.0 * B::Scalar::EPSILON * (from + 1) as f64;
            for rows in ranges(count) {
                let case = format!("apply {outputs}×{inputs} {op:?} {store:?} {rows:?}");
                compare!(case, tolerance, b, reference, |on| {
                    let w = full(on, Shape::new(outputs, inputs), 1);
                    let x = only(on, x_shape, 2, &rows);
                    let mut y = match store {
                        Store::Set => except(on, y_shape, 3, &rows),
                        Store::Add => full(on, y_shape, 3),
                    };
                    on.apply(rows.clone(), &w, op, &x, store, &mut y).unwrap();
                    read(on, &y)
                });
            }
        }
    }
}

pub(crate) fn outer_agrees<B: Complete, R: Complete<Scalar = B::Scalar>>(b: &B, reference: &R) {
    for [count, inputs, outputs] in PRODUCTS {
        let g_shape = Shape::new(outputs, inputs);
        for store in [Store::Set, Store::Add] {
            for rows in ranges(count) {
                let tolerance = 4.0 * B::Scalar::EPSILON * (rows.len() + 1) as f64;
                let case = format!("outer {outputs}×{inputs} {store:?} {rows:?}");
                compare!(case, tolerance, b, reference, |on| {
                    let s = only(on, Shape::new(count, outputs), 1, &rows);
                    let v = only(on, Shape::new(count, inputs), 2, &rows);
                    let mut g = match store {
                        Store::Set => except(on, g_shape, 3, &(0..outputs)),
                        Store::Add => full(on, g_shape, 3),
                    };
                    on.outer(rows.clone(), -0.7, &s, &v, store, &mut g).unwrap();
                    read(on, &g)
                });
            }
        }
    }
}

fn pairs() -> impl Iterator<Item = (Op, Store)> {
    [Op::Plain, Op::Transposed]
        .into_iter()
        .flat_map(|op| [Store::Set, Store::Add].map(|store| (op, store)))
}
