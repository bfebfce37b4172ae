//! The rows of a batch as slices.

use core::ops::Range;
use core::slice::ChunksExactMut;

use detfree_core::Scalar;

use crate::Batch;

/// The elements of a range of rows, none where it reaches outside the batch.
pub(crate) fn span<T: Scalar>(x: &Batch<T>, rows: Range<usize>) -> &[T] {
    let elements = elements(rows, x.shape().dim);
    x.as_slice().get(elements).unwrap_or_default()
}

/// The elements of a range of rows, none where it reaches outside the batch.
pub(crate) fn span_mut<T: Scalar>(x: &mut Batch<T>, rows: Range<usize>) -> &mut [T] {
    let elements = elements(rows, x.shape().dim);
    x.as_mut_slice().get_mut(elements).unwrap_or_default()
}

/// All rows, one after the other.
pub(crate) fn each_mut<T: Scalar>(x: &mut Batch<T>) -> ChunksExactMut<'_, T> {
    let dim = x.shape().dim.max(1);
    x.as_mut_slice().chunks_exact_mut(dim)
}

/// The elements of a few rows: enough for long vector loops however short a row is, few enough to
/// stay in the nearest cache.
pub(crate) fn block_length(dim: usize) -> usize {
    let dim = dim.max(1);
    dim * (1024 / dim).max(1)
}

fn elements(rows: Range<usize>, dim: usize) -> Range<usize> {
    rows.start.saturating_mul(dim)..rows.end.saturating_mul(dim)
}
