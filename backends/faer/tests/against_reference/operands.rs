//! What the checks feed to both backends, and how they compare what comes back.

use std::ops::Range;

use detfree_core::{Allocate, FlowBackend, Key, Scalar, Shape};

/// Everything that the checks call.
pub(crate) trait Complete: FlowBackend + Allocate {}

impl<B: FlowBackend + Allocate> Complete for B {}

/// One element, one row, one column, and dimensions around the multiples of 8 and 32 that vector
/// loops and tiles treat apart.
pub(crate) const SHAPES: [Shape; 9] = [
    Shape::new(1, 1),
    Shape::new(1, 7),
    Shape::new(5, 1),
    Shape::new(3, 8),
    Shape::new(4, 13),
    Shape::new(7, 33),
    Shape::new(2, 100),
    Shape::new(6, 130),
    Shape::new(40, 64),
];

/// All rows, none at either end and in the middle, the first, the last, and an interior part.
pub(crate) fn ranges(rows: usize) -> Vec<Range<usize>> {
    let middle = rows / 2;
    let mut ranges = vec![
        0..rows,
        0..0,
        rows..rows,
        middle..middle,
        0..1,
        rows - 1..rows,
    ];
    if rows > 2 {
        ranges.push(1..rows - 1);
    }
    ranges
}

/// Numbers in [−1, 1], a function of the seed alone.
pub(crate) fn numbers(shape: Shape, seed: u64) -> Vec<f64> {
    let row = |r| (0..shape.dim).map(move |c| 2.0 * Key::new(seed).uniform(r, c as u32) - 1.0);
    (0..shape.rows as u64).flat_map(row).collect()
}

pub(crate) fn batch<B: Allocate>(b: &B, shape: Shape, host: &[f64]) -> B::Batch {
    let host: Vec<B::Scalar> = host.iter().map(|&x| B::Scalar::from_f64(x)).collect();
    let mut batch = b.batch(shape).unwrap();
    b.upload(&host, &mut batch).unwrap();
    batch
}

/// Numbers in every row.
pub(crate) fn full<B: Allocate>(b: &B, shape: Shape, seed: u64) -> B::Batch {
    batch(b, shape, &numbers(shape, seed))
}

/// NaN in every row.
pub(crate) fn dirty<B: Allocate>(b: &B, shape: Shape) -> B::Batch {
    batch(b, shape, &vec![f64::NAN; shape.rows * shape.dim])
}

/// Numbers in the rows of a range, NaN elsewhere: those may not be read.
pub(crate) fn only<B: Allocate>(b: &B, shape: Shape, seed: u64, rows: &Range<usize>) -> B::Batch {
    let mut host = vec![f64::NAN; shape.rows * shape.dim];
    let inside = rows.start * shape.dim..rows.end * shape.dim;
    host[inside.clone()].copy_from_slice(&numbers(shape, seed)[inside]);
    batch(b, shape, &host)
}

/// NaN in the rows of a range, numbers elsewhere: those may not be written.
pub(crate) fn except<B: Allocate>(b: &B, shape: Shape, seed: u64, rows: &Range<usize>) -> B::Batch {
    let mut host = numbers(shape, seed);
    host[rows.start * shape.dim..rows.end * shape.dim].fill(f64::NAN);
    batch(b, shape, &host)
}

pub(crate) fn read<B: Allocate>(b: &B, x: &B::Batch) -> Vec<f64> {
    let shape = b.shape(x);
    let mut host = vec![B::Scalar::default(); shape.rows * shape.dim];
    b.download(x, &mut host).unwrap();
    host.iter().map(|x| x.to_f64()).collect()
}

pub(crate) fn row_results<B: Allocate>(b: &B, host: &[f64]) -> B::Rows {
    let mut rows = b.rows(host.len()).unwrap();
    b.upload_rows(host, &mut rows).unwrap();
    rows
}

pub(crate) fn read_rows<B: Allocate>(b: &B, rows: &B::Rows) -> Vec<f64> {
    let mut host = vec![f64::NAN; b.row_count(rows)];
    b.download_rows(rows, &mut host).unwrap();
    host
}

/// Elements differ by at most the tolerance, with NaN and infinities in the same places.
#[track_caller]
pub(crate) fn assert_near(case: &str, got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{case}: number of elements");
    for (i, (&got, &want)) in got.iter().zip(want).enumerate() {
        let same = got == want || (got.is_nan() && want.is_nan());
        assert!(
            same || (got - want).abs() <= tolerance,
            "{case}: element {i} is {got:e}, not {want:e} within {tolerance:e}"
        );
    }
}

/// Evaluates the block once with each backend under the name `$on` and compares the numbers.
macro_rules! compare {
    ($case:expr, $tolerance:expr, $b:expr, $reference:expr, |$on:ident| $block:block) => {{
        let got: Vec<f64> = {
            let $on = $b;
            $block
        };
        let want: Vec<f64> = {
            let $on = $reference;
            $block
        };
        crate::operands::assert_near(&$case, &got, &want, $tolerance);
    }};
}
pub(crate) use compare;
