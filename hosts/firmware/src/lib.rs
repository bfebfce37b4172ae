//! What the firmware computes, apart from the board: it compiles for the host too, so that tests
//! compare the two bit for bit.
//!
//! [`Unmixer`] separates the channels of a [`Sensor`] while they arrive; [`ResidualMap`] estimates a
//! log-determinant with its error bar. Both compute in fixed-size arrays, which they lend to one
//! instance of the reference backend as slices: the code of its loops is in flash once.
#![no_std]
#![forbid(unsafe_code)]

mod residual;
mod sensor;
mod unmix;

use core::convert::Infallible;

use detfree_core::{Activation, Dense, Scalar, Shape, StorageError, reference};

pub use residual::{CONTRACTION, HIDDEN, PROBES, ResidualMap, SAMPLES};
pub use sensor::Sensor;
pub use unmix::{Memory, RECORDING, Unmixed, Unmixer, rate};

/// Channels of the sensor, and dimensions of the residual map.
pub const CHANNELS: usize = 4;

/// The reference backend in single precision, in memory that its callers lend.
pub type Host<'a> = reference::Slices<'a, f32>;
type Batch<'a> = Dense<&'a mut [f32]>;

/// What the core can refuse; all shapes being fixed here, nothing does.
pub type Error = detfree_core::Error<Infallible>;

fn batch<T: Scalar>(dim: usize, numbers: &mut [T]) -> Result<Dense<&mut [T]>, Error> {
    let shape = Shape::new(numbers.len() / dim.max(1), dim);
    Dense::new(shape, numbers).map_err(|StorageError { shape, available }| Error::Shape {
        what: "an array",
        expected: shape,
        found: Shape::new(1, available),
    })
}

/// value = tanh x, slope = 1 − tanh² x: out of line, for both callers.
#[inline(never)]
fn tanh(x: &[f32], value: &mut [f32], slope: &mut [f32]) {
    let mut second = [0.0; HIDDEN];
    Activation::Tanh.jets(x, value, slope, &mut second);
}

/// The negative control: out of bounds where the caller likes.
#[cfg(feature = "panics")]
#[must_use]
pub fn panics(index: u32) -> u32 {
    [2, 3, 5, 7][index as usize]
}
