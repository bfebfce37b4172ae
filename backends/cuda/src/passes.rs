//! How a pass over elements or rows becomes a grid, and what its operands must fulfil.

use core::fmt;
use core::ops::Range;

use crate::launch::{self, Argument, Grid, Kernel};
use crate::scalar::DeviceScalar;
use crate::{Cuda, CudaError};

/// Threads of a block.
pub(crate) const THREADS: usize = 128;
/// Beyond it threads loop: enough to fill any device.
const MOST_BLOCKS: usize = 1 << 13;
const WARP: usize = 32;

/// An error that names the operands, unless they fit.
pub(crate) fn fit(
    fits: bool,
    operation: &'static str,
    operands: fmt::Arguments<'_>,
) -> Result<(), CudaError> {
    if fits {
        return Ok(());
    }
    Err(CudaError::Operands {
        operation,
        operands: operands.to_string(),
    })
}

/// A number that a kernel takes as 32 bits; batches have no larger extents.
pub(crate) fn word(extent: usize) -> Argument {
    Argument::Word(u32::try_from(extent).unwrap_or(u32::MAX))
}

/// log₂ of the lanes of a warp that share a row of `dim` numbers.
pub(crate) fn lanes_shift(dim: usize) -> u32 {
    dim.clamp(1, WARP).next_power_of_two().trailing_zeros()
}

/// The blocks of a pass with so many threads.
pub(crate) fn blocks(threads: usize) -> u32 {
    threads.div_ceil(THREADS).min(MOST_BLOCKS) as u32
}

impl<T: DeviceScalar> Cuda<T> {
    /// A thread for each of `count` elements, the first argument of the kernel.
    pub(crate) fn pass<const N: usize>(
        &self,
        kernel: &Kernel,
        count: usize,
        rest: [Argument; N],
    ) -> Result<(), CudaError> {
        self.grid_of(kernel, count, &[&[Argument::count(count)], &rest[..]])
    }

    /// Lanes of a warp for every row: the first arguments are the rows, their numbers, and log₂ of
    /// the lanes.
    pub(crate) fn row_pass<const N: usize>(
        &self,
        kernel: &Kernel,
        rows: Range<usize>,
        dim: usize,
        rest: [Argument; N],
    ) -> Result<(), CudaError> {
        self.row_pass_in_pieces(kernel, rows, dim, 1, rest)
    }

    /// The same for a kernel that gives each of a row's `pieces` lanes of its own.
    pub(crate) fn row_pass_in_pieces<const N: usize>(
        &self,
        kernel: &Kernel,
        rows: Range<usize>,
        dim: usize,
        pieces: usize,
        rest: [Argument; N],
    ) -> Result<(), CudaError> {
        let shift = lanes_shift(dim);
        let first = [
            Argument::count(rows.len()),
            word(dim),
            Argument::Word(shift),
        ];
        let threads = rows.len().saturating_mul(pieces << shift);
        self.grid_of(kernel, threads, &[&first, &rest[..]])
    }

    fn grid_of(
        &self,
        kernel: &Kernel,
        threads: usize,
        arguments: &[&[Argument]; 2],
    ) -> Result<(), CudaError> {
        if threads == 0 {
            return Ok(());
        }
        let grid = Grid {
            blocks: [blocks(threads), 1],
            threads: THREADS as u32,
        };
        launch::launch(&self.stream, kernel, grid, arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_a_power_of_two_up_to_a_warp() {
        let shifts = [1, 2, 3, 4, 31, 32, 33, 1000].map(lanes_shift);
        assert_eq!(shifts, [0, 1, 2, 2, 5, 5, 5, 5]);
    }

    #[test]
    fn blocks_cover_the_threads_or_loop() {
        assert_eq!(blocks(1), 1);
        assert_eq!(blocks(129), 2);
        assert_eq!(blocks(usize::MAX), 1 << 13);
    }
}
