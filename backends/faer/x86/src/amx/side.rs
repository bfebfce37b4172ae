//! One side of a product, and how it is packed into tiles of parts.

use core::arch::x86_64::{__mmask16, _MM_HINT_T1, _mm_prefetch, _mm512_setzero_ps};

use faer::MatRef;

use super::tile;
use super::vector::{self, PARTS};
use crate::lanes;

/// Lines in a panel: rows of a left side, columns of a right one.
pub(crate) const LINES: usize = tile::ROWS;

/// Terms of the sums in a tile: number `t` and number `t` + 16 are a pair.
pub(crate) const TERMS: usize = 2 * tile::ROWS;

/// Numbers of 32 bits in the tiles of all parts of one panel and [`TERMS`] terms.
pub(crate) const CHUNK: usize = PARTS * tile::NUMBERS;

/// Lines of terms, with the strides between them.
#[derive(Clone, Copy)]
pub(crate) struct Side {
    first: *const f32,
    pub(crate) lines: usize,
    pub(crate) terms: usize,
    to_line: isize,
    to_term: isize,
    /// A left side's tiles have a line in each row, a right one's in each column.
    pub(crate) left: bool,
}

impl Side {
    pub(crate) fn left(x: MatRef<'_, f32>) -> Self {
        Self {
            first: x.as_ptr(),
            lines: x.nrows(),
            terms: x.ncols(),
            to_line: x.row_stride(),
            to_term: x.col_stride(),
            left: true,
        }
    }

    pub(crate) fn right(x: MatRef<'_, f32>) -> Self {
        Self {
            left: false,
            ..Self::left(x.transpose())
        }
    }

    /// At most `most` of the lines.
    pub(crate) fn lines(self, from: usize, most: usize) -> Self {
        Self {
            first: self.first.wrapping_offset(from as isize * self.to_line),
            lines: most.min(self.lines.saturating_sub(from)),
            ..self
        }
    }

    /// At most `most` of the terms.
    pub(crate) fn terms(self, from: usize, most: usize) -> Self {
        Self {
            first: self.first.wrapping_offset(from as isize * self.to_term),
            terms: most.min(self.terms.saturating_sub(from)),
            ..self
        }
    }

    /// Chunks of a panel.
    pub(crate) const fn chunks(&self) -> usize {
        self.terms.div_ceil(TERMS)
    }

    /// A panel's chunk.
    pub(crate) fn chunk(self, panel: usize, chunk: usize) -> Chunk {
        let part = self.lines(panel * LINES, LINES).terms(chunk * TERMS, TERMS);
        let halves = [0, tile::ROWS].map(|at| part.terms.saturating_sub(at));
        let (to_row, along) = if self.left {
            (self.to_line, self.to_term)
        } else {
            (self.to_term, self.to_line)
        };
        Chunk {
            halves: [0, tile::ROWS as isize]
                .map(|at| part.first.wrapping_offset(at * self.to_term)),
            to_next: self.left.then_some(LINES as isize * self.to_line),
            to_row,
            along,
            rows: if self.left { [part.lines; 2] } else { halves },
            masks: if self.left { halves } else { [part.lines; 2] }.map(lanes::first),
        }
    }

    /// Packs all panels, one after the other.
    ///
    /// # Safety
    /// The numbers must be readable, and there must be room for the chunks of all panels at `to`, which starts
    /// with a cache line.
    #[target_feature(enable = "avx512f")]
    pub(crate) unsafe fn pack(self, to: *mut u32) {
        for panel in 0..self.lines.div_ceil(LINES) {
            for c in 0..self.chunks() {
                // SAFETY: the caller's.
                unsafe {
                    let to = to.add((panel * self.chunks() + c) * CHUNK);
                    self.chunk(panel, c).pack(to, 0, tile::ROWS);
                }
            }
        }
    }
}

/// What a panel's tiles of [`TERMS`] terms are made of.
#[derive(Clone, Copy)]
pub(crate) struct Chunk {
    /// Where the first and the second numbers of pairs start.
    halves: [*const f32; 2],
    /// To the same place in the next panel, for vectors along a line. Those across lines share their cache lines and
    /// pages with the next panel's.
    to_next: Option<isize>,
    to_row: isize,
    along: isize,
    /// Rows of the tiles that there are numbers for, and which there are in such a row.
    rows: [usize; 2],
    masks: [__mmask16; 2],
}

impl Chunk {
    /// Packs some rows of the tiles, and fetches what lies there in the next panel.
    ///
    /// # Safety
    /// The numbers must be readable, and the tiles at `to`, which starts with a cache line, writable.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(crate) unsafe fn pack(&self, to: *mut u32, from: usize, end: usize) {
        for row in from..end {
            let number = |half: usize| {
                if row < self.rows[half] {
                    let at = self.halves[half].wrapping_offset(row as isize * self.to_row);
                    if let Some(to_next) = self.to_next {
                        _mm_prefetch::<_MM_HINT_T1>(at.wrapping_offset(to_next).cast());
                    }
                    // SAFETY: the caller's, as nothing is read that is not there.
                    unsafe { vector::load(at, self.along, self.masks[half]) }
                } else {
                    _mm512_setzero_ps()
                }
            };
            // SAFETY: the caller's.
            unsafe { vector::store_parts(number(0), number(1), to.add(row * tile::ROWS)) }
        }
    }
}
