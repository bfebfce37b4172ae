//! Where the sums go.

use faer::{Accum, MatMut};

use super::tile;
use super::vector;
use crate::lanes;

/// A matrix whose rows or columns lie in one piece.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    first: *mut f32,
    to_row: isize,
    to_column: isize,
    alpha: f32,
    pub(crate) accum: Accum,
}

impl Output {
    pub(crate) fn new(x: MatMut<'_, f32>, accum: Accum, alpha: f32) -> Self {
        Self {
            first: x.as_ptr_mut(),
            to_row: x.row_stride(),
            to_column: x.col_stride(),
            alpha,
            accum,
        }
    }

    /// A block of at most a tile, with its first row and column ← [itself +] alpha · the sums of the tile.
    ///
    /// # Safety
    /// The block must be writable, and a tile of sums readable.
    #[target_feature(enable = "avx512f")]
    pub(crate) unsafe fn put(
        self,
        sums: *const f32,
        [row, column]: [usize; 2],
        [rows, columns]: [usize; 2],
    ) {
        let (row, column) = (row as isize, column as isize);
        let first = self
            .first
            .wrapping_offset(row * self.to_row + column * self.to_column);
        // A vector lies along what is in one piece: a row of the tile, or a column of it.
        let along_rows = self.to_column == 1;
        let (vectors, step, count) = if along_rows {
            (rows, self.to_row, columns)
        } else {
            (columns, self.to_column, rows)
        };
        let (line, apart) = if along_rows {
            (tile::ROWS, 1)
        } else {
            (1, tile::ROWS as isize)
        };
        let mask = lanes::first(count);
        for i in 0..vectors {
            // SAFETY: the caller's.
            unsafe {
                let sums = vector::load(sums.add(i * line), apart, mask);
                let to = first.wrapping_offset(i as isize * step);
                lanes::put(sums, to, mask, self.alpha, self.accum);
            }
        }
    }
}
