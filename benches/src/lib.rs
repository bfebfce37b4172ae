//! What the benchmarks share: data and models of a size.

#![forbid(unsafe_code)]

use detfree::{Backend, Fill, Key, Scalar};

/// Standard normal rows on the host.
pub fn normal_rows<T: Scalar>(rows: usize, dim: usize) -> Vec<T> {
    let key = Key::new(1);
    (0..rows * dim)
        .map(|i| T::from_f64(key.normal((i / dim) as u64, (i % dim) as u32)))
        .collect()
}

/// Standard normal rows where the backend computes.
///
/// # Errors
/// The device's.
pub fn fill_normal<B: Backend>(b: &B, seed: u64, x: &mut B::Batch) -> Result<(), B::Error> {
    let fill = Fill::Gaussian {
        key: Key::new(seed),
        first_row: 0,
        scale: 1.0,
    };
    b.fill(fill, x)
}
