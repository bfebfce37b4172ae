//! Tiles, and what can be done with them: by the processor, or with the feature `emulation` in software.

#[cfg(feature = "emulation")]
mod emulated;
#[cfg(not(feature = "emulation"))]
mod registers;

#[cfg(feature = "emulation")]
pub(crate) use emulated::{add_product, load, store, with, zero};
#[cfg(not(feature = "emulation"))]
pub(crate) use registers::{add_product, load, store, with, zero};

/// Rows of a tile, and numbers of 32 bits in one.
pub(crate) const ROWS: usize = 16;

/// Numbers of 32 bits in a tile.
pub(crate) const NUMBERS: usize = ROWS * ROWS;
