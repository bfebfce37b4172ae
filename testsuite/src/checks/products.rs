//! Products with weights and the linear passes of a dense backend, against plain loops in `f64`.
//!
//! A sum of K products of numbers in [−1, 1] takes K roundings of partial sums of order √K, whose
//! errors, of either sign, add up to √K times one of them: K ε, four times that for the unlucky
//! element of thousands.

use detfree_core::{Allocate, DenseBackend, Op, Scalar, Shape, Store};

use crate::failure::{Computed, gives, near};
use crate::operands::{SHAPES, batch, dirty, ranges, read};
use crate::{Outcome, Plain};

/// Rows, inputs and outputs: tiny, around the sizes of vectors and tiles, many rows of a few numbers,
/// a weight of several panels, and products of more than 2²⁰ multiply-adds that are worth threads,
/// cut along either side.
const PRODUCTS: [[usize; 3]; 14] = [
    [1, 1, 1],
    [150, 2, 2],
    [9, 3, 3],
    [70, 4, 4],
    [1, 7, 5],
    [5, 1, 3],
    [3, 8, 8],
    [4, 17, 1],
    [7, 33, 16],
    [2, 130, 37],
    [40, 64, 31],
    [3, 20, 900],
    [70, 130, 120],
    [260, 63, 65],
];

const STORES: [Store; 2] = [Store::Set, Store::Add];

fn tolerance<T: Scalar>(products: usize) -> f64 {
    4.0 * T::EPSILON * (products + 1) as f64
}

/// [previous +] new
fn stored(store: Store, previous: f64, new: f64) -> f64 {
    match store {
        Store::Set => new,
        Store::Add => previous + new,
    }
}

fn random<T: Scalar>(rows: usize, dim: usize, seed: u64) -> Plain {
    Plain::random::<T>(Shape::new(rows, dim), seed)
}

pub(crate) fn apply<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    for [count, inputs, outputs] in PRODUCTS {
        let w = random::<B::Scalar>(outputs, inputs, 1);
        for op in [Op::Plain, Op::Transposed] {
            let right = w.op(op).t();
            let Shape {
                rows: from,
                dim: to,
            } = right.shape();
            let x = random::<B::Scalar>(count, from, 2);
            let y = random::<B::Scalar>(count, to, 3);
            let product = x.times(&right);
            for store in STORES {
                for rows in ranges(count) {
                    let x = x.clone().only(&rows);
                    let out = match store {
                        Store::Set => y.clone().except(&rows),
                        Store::Add => y.clone(),
                    };
                    let want = out
                        .clone()
                        .with_rows(&rows, |r, c| stored(store, y.at(r, c), product.at(r, c)));
                    let got = || -> Computed<B, Plain> {
                        let mut out = batch(b, &out)?;
                        let (w, x) = (batch(b, &w)?, batch(b, &x)?);
                        b.apply(rows.clone(), &w, op, &x, store, &mut out)?;
                        read(b, &out)
                    };
                    let case = format!("apply {outputs}×{inputs} {op:?} {store:?} {rows:?}");
                    let tolerance = tolerance::<B::Scalar>(from);
                    gives(case, got(), &want, tolerance)?;
                }
            }
        }
    }
    Ok(())
}

/// Two batches of different lengths.
pub(crate) fn apply_to_both<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    for [count, inputs, outputs] in PRODUCTS {
        let w = random::<B::Scalar>(outputs, inputs, 1);
        for op in [Op::Plain, Op::Transposed] {
            let right = w.op(op).t();
            let Shape {
                rows: from,
                dim: to,
            } = right.shape();
            let both = [count, count / 2 + 1].map(|rows| random::<B::Scalar>(rows, from, 2));
            let got = || -> Computed<B, [Plain; 2]> {
                let (w, [x1, x2]) = (batch(b, &w)?, &both);
                let (x1, x2) = (batch(b, x1)?, batch(b, x2)?);
                let mut y1 = dirty(b, Shape::new(count, to))?;
                let mut y2 = dirty(b, Shape::new(count / 2 + 1, to))?;
                b.apply_to_both(&w, op, [&x1, &x2], [&mut y1, &mut y2])?;
                Ok([read(b, &y1)?, read(b, &y2)?])
            };
            for (number, (got, x)) in got()?.iter().zip(&both).enumerate() {
                let case = format!("apply_to_both {outputs}×{inputs} {op:?}, batch {number}");
                let tolerance = tolerance::<B::Scalar>(from);
                near(case, got, &x.times(&right), tolerance)?;
            }
        }
    }
    Ok(())
}

pub(crate) fn outer<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    for [count, inputs, outputs] in PRODUCTS {
        let s = random::<B::Scalar>(count, outputs, 1);
        let v = random::<B::Scalar>(count, inputs, 2);
        let before = random::<B::Scalar>(outputs, inputs, 3);
        for store in STORES {
            for rows in ranges(count) {
                let want = Plain::new(outputs, inputs, |i, j| {
                    let sum: f64 = rows.clone().map(|r| s.at(r, i) * v.at(r, j)).sum();
                    stored(store, before.at(i, j), -0.7 * sum)
                });
                let got = || -> Computed<B, Plain> {
                    let mut g = match store {
                        Store::Set => dirty(b, before.shape())?,
                        Store::Add => batch(b, &before)?,
                    };
                    let s = batch(b, &s.clone().only(&rows))?;
                    let v = batch(b, &v.clone().only(&rows))?;
                    b.outer(rows.clone(), -0.7, &s, &v, store, &mut g)?;
                    read(b, &g)
                };
                let case = format!("outer {outputs}×{inputs} {store:?} {rows:?}");
                let tolerance = tolerance::<B::Scalar>(rows.len());
                gives(case, got(), &want, tolerance)?;
            }
        }
        for rows in ranges(count) {
            let want = Plain::new(outputs, inputs, |i, j| {
                let sum: f64 = rows.clone().map(|r| s.at(r, i) * v.at(r, j)).sum();
                before.at(i, j) - 0.7 * sum
            });
            let got = || -> Computed<B, Plain> {
                let mut g = dirty(b, before.shape())?;
                let s = batch(b, &s.clone().only(&rows))?;
                let v = batch(b, &v.clone().only(&rows))?;
                b.outer_onto(rows.clone(), -0.7, &s, &v, &batch(b, &before)?, &mut g)?;
                read(b, &g)
            };
            let case = format!("outer_onto {outputs}×{inputs} {rows:?}");
            let tolerance = tolerance::<B::Scalar>(rows.len());
            gives(case, got(), &want, tolerance)?;
        }
    }
    Ok(())
}

pub(crate) fn sum_rows<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    for shape in SHAPES {
        let x = Plain::random::<B::Scalar>(shape, 1);
        let before = random::<B::Scalar>(1, shape.dim, 2);
        for store in STORES {
            for rows in ranges(shape.rows) {
                let want = Plain::new(1, shape.dim, |_, j| {
                    let sum: f64 = rows.clone().map(|r| x.at(r, j)).sum();
                    stored(store, before.at(0, j), -0.7 * sum)
                });
                let got = || -> Computed<B, Plain> {
                    let mut g = match store {
                        Store::Set => dirty(b, before.shape())?,
                        Store::Add => batch(b, &before)?,
                    };
                    let x = batch(b, &x.clone().only(&rows))?;
                    b.sum_rows(rows.clone(), -0.7, &x, store, &mut g)?;
                    read(b, &g)
                };
                let case = format!("sum_rows {shape:?} {store:?} {rows:?}");
                let tolerance = tolerance::<B::Scalar>(rows.len());
                gives(case, got(), &want, tolerance)?;
            }
        }
    }
    Ok(())
}

pub(crate) fn hadamard<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    for shape in SHAPES {
        let [x, y, before] = [1, 2, 3].map(|seed| Plain::random::<B::Scalar>(shape, seed));
        for store in STORES {
            for rows in ranges(shape.rows) {
                let out = match store {
                    Store::Set => before.clone().except(&rows),
                    Store::Add => before.clone(),
                };
                let want = out.clone().with_rows(&rows, |r, c| {
                    stored(store, before.at(r, c), x.at(r, c) * y.at(r, c))
                });
                let got = || -> Computed<B, Plain> {
                    let mut out = batch(b, &out)?;
                    let x = batch(b, &x.clone().only(&rows))?;
                    let y = batch(b, &y.clone().only(&rows))?;
                    b.hadamard(rows.clone(), &x, &y, store, &mut out)?;
                    read(b, &out)
                };
                let case = format!("hadamard {shape:?} {store:?} {rows:?}");
                gives(case, got(), &want, tolerance::<B::Scalar>(1))?;
            }
        }
    }
    Ok(())
}

pub(crate) fn scale_shift<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    for shape in SHAPES {
        let [scale, shift, x] = [1, 2, 3].map(|seed| Plain::random::<B::Scalar>(shape, seed));
        for shifted in [false, true] {
            for rows in ranges(shape.rows) {
                let want = x.clone().with_rows(&rows, |r, c| {
                    let shift = if shifted { shift.at(r, c) } else { 0.0 };
                    scale.at(r, c) * x.at(r, c) + shift
                });
                let got = || -> Computed<B, Plain> {
                    let mut x = batch(b, &x)?;
                    let scale = batch(b, &scale.clone().only(&rows))?;
                    let shift = batch(b, &shift.clone().only(&rows))?;
                    b.scale_shift(rows.clone(), &scale, shifted.then_some(&shift), &mut x)?;
                    read(b, &x)
                };
                let case = format!("scale_shift {shape:?} shifted {shifted} {rows:?}");
                gives(case, got(), &want, tolerance::<B::Scalar>(1))?;
            }
        }
    }
    Ok(())
}

pub(crate) fn add_bias<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    for shape in SHAPES {
        let bias = random::<B::Scalar>(1, shape.dim, 1);
        let x = Plain::random::<B::Scalar>(shape, 2);
        let got = || -> Computed<B, Plain> {
            let mut x = batch(b, &x)?;
            b.add_bias(&batch(b, &bias)?, &mut x)?;
            read(b, &x)
        };
        let want = x.plus(1.0, &bias);
        let tolerance = tolerance::<B::Scalar>(1);
        gives(format!("add_bias {shape:?}"), got(), &want, tolerance)?;
    }
    Ok(())
}

/// Square batches too: a copy transposes none of them, and has their shape.
pub(crate) fn transpose<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    let squares = [2, 17].map(|n| Shape::new(n, n));
    for shape in SHAPES.into_iter().chain(squares) {
        let x = Plain::random::<B::Scalar>(shape, 1);
        let got = || -> Computed<B, Plain> {
            let mut out = dirty(b, Shape::new(shape.dim, shape.rows))?;
            b.transpose(&batch(b, &x)?, &mut out)?;
            read(b, &out)
        };
        gives(format!("transpose {shape:?}"), got(), &x.t(), 0.0)?;
    }
    Ok(())
}
