//! Matrices of the suite as batches of the reference backend.

use detfree_core::reference::Heap;
use detfree_core::{Dense, Shape};
use detfree_testsuite::Plain;

pub(crate) type Host = Heap<f64>;
pub(crate) type Batch = Dense<Vec<f64>>;

pub(crate) fn batch(x: &Plain) -> Batch {
    Dense::new(x.shape(), x.as_slice().to_vec()).unwrap()
}

pub(crate) fn plain(x: &Batch) -> Plain {
    Plain::new(x.shape().rows, x.shape().dim, |i, j| x.row(i)[j])
}

pub(crate) fn zeros(rows: usize, dim: usize) -> Batch {
    Dense::on_heap(Shape::new(rows, dim))
}
