//! The reference backend against naive loops: it is the specification of all others.

mod elementwise;
mod elimination;
mod flow;
mod products;
mod storage;

use detfree_core::reference::Heap;
use detfree_core::{Backend, Dense, Fill, Key, Scalar, Shape};

/// 1×1, single rows, dimensions on both sides of the eight lanes and of a Philox block.
pub(crate) const SHAPES: [(usize, usize, usize); 6] = [
    (1, 1, 1),
    (1, 9, 4),
    (3, 8, 8),
    (5, 17, 3),
    (4, 33, 130),
    (7, 129, 5),
];

pub(crate) fn normals<T: Scalar>(rows: usize, dim: usize, seed: u64) -> Dense<Vec<T>> {
    let mut x = Dense::on_heap(Shape::new(rows, dim));
    let what = Fill::Gaussian {
        key: Key::new(seed),
        first_row: 0,
        scale: 1.0,
    };
    Heap::<T>::new().fill(what, &mut x).unwrap();
    x
}

pub(crate) fn dirty<T: Scalar>(rows: usize, dim: usize) -> Dense<Vec<T>> {
    let mut x = Dense::on_heap(Shape::new(rows, dim));
    x.as_mut_slice().fill(T::from_f64(f64::NAN));
    x
}

pub(crate) fn at<T: Scalar>(x: &Dense<Vec<T>>, r: usize, c: usize) -> f64 {
    x.row(r)[c].to_f64()
}

/// Compares rows of `range` with `expected`, to `terms` roundings of values of size 10, and wants
/// the other rows untouched: still NaN.
pub(crate) fn compare<T: Scalar>(
    what: &str,
    found: &Dense<Vec<T>>,
    range: std::ops::Range<usize>,
    terms: usize,
    expected: impl Fn(usize, usize) -> f64,
) {
    let tolerance = 10.0 * terms as f64 * T::EPSILON;
    for r in 0..found.shape().rows {
        for c in 0..found.shape().dim {
            let found = at(found, r, c);
            if range.contains(&r) {
                let difference = (found - expected(r, c)).abs();
                assert!(difference <= tolerance, "{what} ({r}, {c}): {difference:e}");
            } else {
                assert!(found.is_nan(), "{what}: row {r} was written");
            }
        }
    }
}
