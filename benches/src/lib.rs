//! What the benchmarks share: problems of a size, and the gradients that are compared.

#![forbid(unsafe_code)]

pub mod block;
pub mod digits;
pub mod flow;
pub mod inverse;
pub mod jacobians;
pub mod naive;
pub mod ordinary;
pub mod passes;
pub mod problem;
pub mod quality;
pub mod relative;
pub mod turns;
pub mod variance;

use detfree::{Backend, Fill, Key};

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
