//! A host of `detfree-core` as bare as they come: no std, no allocator, and a panic handler that
//! calls a function which nobody defines. If the optimiser leaves a path to any panic, the library
//! cannot be linked into a program.
//!
//! Every shape, range and choice is an argument of an exported function, so that nothing is known
//! at compile time but the sizes of the arrays. The results are small errors that `host.c` checks.
#![no_std]

mod elementwise;
mod log_det;
#[cfg(feature = "panics")]
mod panics;
mod primitives;
mod relative;

use core::panic::PanicInfo;

use detfree_core::{Backend, Dense, Fill, Key, Scalar, Shape, reference};

unsafe extern "C" {
    safe fn detfree_panic_path_reached() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    detfree_panic_path_reached()
}

/// Elements of a batch, at most.
const ELEMENTS: usize = 64;
/// Rows of a batch, at most.
const ROWS: usize = 16;

type Host<T> = reference::Arrays<T, ELEMENTS, ROWS>;
type Batch<T> = Dense<[T; ELEMENTS]>;
type Rows = Dense<[f64; ROWS]>;

fn batch<T: Scalar>(rows: usize, dim: usize) -> Option<Batch<T>> {
    Dense::new(Shape::new(rows, dim), [T::default(); ELEMENTS]).ok()
}

fn rows(count: usize) -> Option<Rows> {
    Dense::new(Shape::new(count, 1), [0.0; ROWS]).ok()
}

/// A batch of normal numbers.
fn normal<T: Scalar>(rows: usize, dim: usize, key: Key, scale: f64) -> Option<Batch<T>> {
    let mut x = batch(rows, dim)?;
    let numbers = Fill::Gaussian {
        key,
        first_row: 0,
        scale,
    };
    Host::<T>::new().fill(numbers, &mut x).ok()?;
    Some(x)
}
