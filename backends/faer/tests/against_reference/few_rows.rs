//! Products of few rows with wide weights, which are not faer's: with widths that are no multiple of a vector,
//! longer than what is summed at a time, and on one, two and three threads.

use core::ops::Range;

use detfree_core::reference::Heap;
use detfree_core::{Allocate, DenseBackend, Fill, Op, Shape, Store};
use detfree_faer::{Faer, Number};

use crate::{normals, read};

/// Around the most rows that are few, and one of each parity.
const ROWS: [usize; 5] = [1, 4, 9, 10, 11];

/// Outputs and inputs of weights.
const WIDTHS: [(usize, usize); 3] = [(257, 1100), (1100, 300), (515, 513)];

#[test]
fn few_rows_give_what_the_reference_gives() {
    compare::<f32>();
    compare::<f64>();
}

fn compare<T: Number>() {
    for rows in ROWS {
        for widths in WIDTHS {
            let reference = products(&Heap::<T>::new(), rows, widths);
            for threads in [1, 2, 3] {
                let got = products(&Faer::<T>::new(threads).unwrap(), rows, widths);
                for ((name, depth, want), (_, _, got)) in reference.iter().zip(got) {
                    // As in `sizes`.
                    let tolerance = 4.0 * T::EPSILON * (depth + 1) as f64;
                    for (i, (want, got)) in want.iter().zip(got).enumerate() {
                        let near = (want - got).abs() <= tolerance * want.abs().max(1.0);
                        assert!(
                            near || want.is_nan() && got.is_nan(),
                            "{name} of {rows} rows and {widths:?}, {threads} threads: \
                             element {i} is {got:e}, not {want:e}"
                        );
                    }
                }
            }
        }
    }
}

/// Name, products to a sum, and the sums.
type Sums = Vec<(&'static str, usize, Vec<f64>)>;

/// The rows but the first and the last of batches, which stay NaN in what is written.
fn products<B: DenseBackend + Allocate>(
    b: &B,
    rows: usize,
    (outputs, inputs): (usize, usize),
) -> Sums {
    let inner = 1..rows + 1;
    let batch = |dim, seed| normals(b, Shape::new(rows + 2, dim), seed, 1.0);
    let (w, x, y) = (
        normals(b, Shape::new(outputs, inputs), 1, 1.0),
        batch(inputs, 2),
        batch(outputs, 3),
    );
    let mut sums = Sums::new();
    for (op, x, from, to) in [
        (Op::Plain, &x, inputs, outputs),
        (Op::Transposed, &y, outputs, inputs),
    ] {
        let mut out = nan(b, Shape::new(rows + 2, to));
        b.apply(inner.clone(), &w, op, x, Store::Set, &mut out)
            .unwrap();
        sums.push(("a product", from, read(b, &out)));
        b.apply(inner.clone(), &w, op, x, Store::Add, &mut out)
            .unwrap();
        sums.push(("a product that is added", from, read(b, &out)));
        let [x1, x2] = [4, 5].map(|seed| normals(b, Shape::new(rows, from), seed, 1.0));
        let mut both = [(); 2].map(|()| nan(b, Shape::new(rows, to)));
        b.apply_to_both(&w, op, [&x1, &x2], both.each_mut())
            .unwrap();
        sums.extend(both.map(|out| ("a product of two", from, read(b, &out))));
    }
    sums.extend(outer_products(b, inner, [&y, &x]));
    // More terms than are taken at a time, for an output of few rows.
    let (s, v) = (
        normals(b, Shape::new(70, rows), 7, 1.0),
        normals(b, Shape::new(70, inputs), 8, 1.0),
    );
    sums.extend(outer_products(b, 0..70, [&s, &v]));
    sums
}

fn outer_products<B: DenseBackend + Allocate>(
    b: &B,
    rows: Range<usize>,
    [s, v]: [&B::Batch; 2],
) -> Sums {
    let (terms, shape) = (rows.len(), Shape::new(b.shape(s).dim, b.shape(v).dim));
    let mut g = nan(b, shape);
    let mut sums = Sums::new();
    for (name, store) in [("outer", Store::Set), ("outer, added", Store::Add)] {
        b.outer(rows.clone(), 0.3, s, v, store, &mut g).unwrap();
        sums.push((name, terms, read(b, &g)));
    }
    let base = normals(b, shape, 6, 1.0);
    b.outer_onto(rows, 0.3, s, v, &base, &mut g).unwrap();
    sums.push(("outer_onto", terms, read(b, &g)));
    sums
}

fn nan<B: Allocate>(b: &B, shape: Shape) -> B::Batch {
    let mut x = b.batch(shape).unwrap();
    b.fill(Fill::Constant(f64::NAN), &mut x).unwrap();
    x
}
