//! How operands get to a backend and results come back, and the shapes they have.

use std::ops::Range;

use detfree_core::{Allocate, Backend, Scalar, Shape};

use crate::Plain;
use crate::failure::Computed;

/// The shapes of batches that checks go through: one element, one row, one column, dimensions around
/// the multiples of 8, 32 and 128 that vector loops, tiles and words of random bits treat apart,
/// many short rows, and one row of more columns than a group of threads writes at once.
pub const SHAPES: [Shape; 12] = [
    Shape::new(1, 1),
    Shape::new(1, 7),
    Shape::new(5, 1),
    Shape::new(3, 8),
    Shape::new(4, 17),
    Shape::new(7, 33),
    Shape::new(2, 100),
    Shape::new(6, 130),
    Shape::new(40, 64),
    Shape::new(90, 13),
    Shape::new(300, 5),
    Shape::new(1, 1030),
];

/// The row ranges that checks go through, for a batch of at least one row: all rows, none at either
/// end and in the middle, the first, the last, and an interior part.
#[must_use]
pub fn ranges(rows: usize) -> Vec<Range<usize>> {
    let middle = rows / 2;
    let mut ranges = vec![
        0..rows,
        0..0,
        rows..rows,
        middle..middle,
        0..1,
        rows.saturating_sub(1)..rows,
    ];
    if rows > 2 {
        ranges.push(1..rows - 1);
    }
    ranges
}

/// A batch that holds these numbers, rounded to the backend's type.
pub(crate) fn batch<B: Allocate>(b: &B, host: &Plain) -> Computed<B, B::Batch> {
    let mut batch = b.batch(host.shape())?;
    store(b, host, &mut batch)?;
    Ok(batch)
}

/// Uploads a matrix over what a batch holds.
pub(crate) fn store<B: Backend>(b: &B, host: &Plain, batch: &mut B::Batch) -> Result<(), B::Error> {
    let host: Vec<_> = host
        .as_slice()
        .iter()
        .map(|&x| B::Scalar::from_f64(x))
        .collect();
    b.upload(&host, batch)
}

/// A batch of NaN.
pub(crate) fn dirty<B: Allocate>(b: &B, shape: Shape) -> Computed<B, B::Batch> {
    batch(b, &Plain::dirty(shape))
}

/// What a batch holds.
pub(crate) fn read<B: Backend>(b: &B, x: &B::Batch) -> Computed<B, Plain> {
    Ok(download(b, x)?)
}

/// The same, for those who return the backend's own error.
pub(crate) fn download<B: Backend>(b: &B, x: &B::Batch) -> Result<Plain, B::Error> {
    let shape = b.shape(x);
    let mut host = vec![B::Scalar::from_f64(f64::NAN); shape.rows * shape.dim];
    b.download(x, &mut host)?;
    let host = host.iter().map(|x| x.to_f64()).collect();
    Ok(Plain::from_vec(shape, host))
}

/// Per-row results that hold these numbers.
pub(crate) fn row_results<B: Allocate>(b: &B, host: &[f64]) -> Computed<B, B::Rows> {
    let mut rows = b.rows(host.len())?;
    b.upload_rows(host, &mut rows)?;
    Ok(rows)
}

/// What per-row results hold.
pub(crate) fn read_rows<B: Backend>(b: &B, rows: &B::Rows) -> Computed<B, Vec<f64>> {
    let mut host = vec![f64::NAN; b.row_count(rows)];
    b.download_rows(rows, &mut host)?;
    Ok(host)
}
