//! Vectors along the columns of the right side and of the output.

use core::arch::x86_64::{
    __mmask16, _mm_sfence, _mm512_fmadd_ps, _mm512_maskz_loadu_ps, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_store_ps,
};
use core::mem::MaybeUninit;

use faer::MatRef;

use super::part;
use crate::ahead::Ahead;
use crate::lanes::{LANES, first, in_lines};
use crate::output::Output;

/// Rows of a tile of sums, and vectors in each: with a row of the right side and a factor they take 28 of 32
/// registers.
const HEIGHT: usize = 8;
const WIDTH: usize = 3;

/// Terms of a panel, which stays in the first cache: 21 kB.
const DEPTH: usize = 112;

/// Rows at a time, whose pages, those of the output and of what it starts from, the processor has at hand.
const ROWS: usize = 512;

/// Strips of rows that make a panel worth copying.
const MANY: usize = 16;

/// The same where vectors of it lie across cache lines, and its rows in more pages than the processor has at hand.
const SOME: usize = 8;
const PAGES: usize = 96;

/// `out ← its start + alpha · lhs · rhs`
///
/// # Safety
/// The shapes must fit, with at least one term, and the columns of `out` and `rhs` lie side by side.
#[target_feature(enable = "avx512f,avx512vl")]
pub(super) unsafe fn product(out: Output, lhs: MatRef<'_, f32>, rhs: MatRef<'_, f32>) {
    let (rows, columns) = (lhs.nrows(), rhs.ncols());
    let out = if lhs.ncols() <= DEPTH {
        out.written_once(rows * columns)
    } else {
        out
    };
    let blocks = rows.div_ceil(ROWS);
    let mut copied = Panel([const { MaybeUninit::uninit() }; DEPTH * WIDTH * LANES]);
    for block in 0..blocks {
        let [top, below] = [block, block + 1].map(|block| part(rows, block, blocks));
        let lhs = lhs.subrows(top, below - top);
        // SAFETY: the caller's.
        unsafe { panels(out.at(top, 0), lhs, rhs, &mut copied) };
    }
    _mm_sfence();
}

/// Some rows of the product.
///
/// # Safety
/// As for [`product`].
#[target_feature(enable = "avx512f,avx512vl")]
unsafe fn panels(mut out: Output, lhs: MatRef<'_, f32>, rhs: MatRef<'_, f32>, copied: &mut Panel) {
    let (terms, columns) = rhs.shape();
    let vectors = columns.div_ceil(LANES);
    let (blocks, panels) = (terms.div_ceil(DEPTH), vectors.div_ceil(WIDTH));
    for block in 0..blocks {
        let [from, end] = [block, block + 1].map(|block| part(terms, block, blocks));
        let (lhs, block) = (lhs.subcols(from, end - from), rhs.subrows(from, end - from));
        for panel in 0..panels {
            let [left, right] =
                [panel, panel + 1].map(|panel| (part(vectors, panel, panels) * LANES).min(columns));
            let (first, step) = (block.as_ptr(), rhs.row_stride());
            let next = Ahead {
                next: if right < columns {
                    first.wrapping_add(right)
                } else {
                    first.wrapping_offset((end - from) as isize * step)
                },
                step,
            };
            let panel = block.subcols(left, right - left);
            // SAFETY: the caller's.
            unsafe { strips(out.at(0, left), lhs, panel, next, copied) };
        }
        out = out.onto_itself();
    }
}

/// One panel's part of the product.
///
/// # Safety
/// As for [`product`], with a right side of at most [`WIDTH`] vectors and [`DEPTH`] terms.
#[target_feature(enable = "avx512f,avx512vl")]
unsafe fn strips(
    out: Output,
    lhs: MatRef<'_, f32>,
    panel: MatRef<'_, f32>,
    next: Ahead,
    copied: &mut Panel,
) {
    let (rows, step) = (lhs.nrows(), panel.row_stride());
    let strips = rows.div_ceil(HEIGHT);
    let (mut w, mut to_next) = (panel.as_ptr(), step);
    let pages = panel.nrows() * step.unsigned_abs() / (4096 / size_of::<f32>());
    let in_lines = in_lines(panel.as_ptr(), step);
    if strips >= MANY || strips >= SOME && pages > PAGES && !in_lines {
        // SAFETY: the caller's.
        unsafe { copied.fill(panel) };
        (w, to_next) = (copied.0.as_ptr().cast(), (WIDTH * LANES) as isize);
    }
    for strip in 0..strips {
        let [row, below] = [strip, strip + 1].map(|strip| part(rows, strip, strips));
        let x = lhs.subrows(row, below - row);
        let tile = Tile {
            x: x.as_ptr(),
            to_row: x.row_stride(),
            to_term: x.col_stride(),
            w,
            to_next,
            terms: x.ncols(),
            // Every one of the first strips asks for one vector's place in all rows of the next panel.
            ahead: if strip < WIDTH {
                next.from((strip * LANES) as isize)
            } else if strips >= MANY && below + x.ncols() <= rows {
                out.at(below, strip % WIDTH * LANES)
                    .ahead(!(strip / WIDTH).is_multiple_of(2))
            } else {
                Ahead::none(x.as_ptr())
            },
            out: out.at(row, 0),
            width: panel.ncols(),
        };
        // SAFETY: the caller's; the tile lies inside all three.
        unsafe { tile.of_height(below - row) }
    }
}

/// A copy of a panel, with its rows one after the other: as rows of a wide matrix they take a page each, and with those
/// of the other side more pages than the processor has at hand.
#[repr(align(64))]
struct Panel([MaybeUninit<f32>; DEPTH * WIDTH * LANES]);

impl Panel {
    /// # Safety
    /// The columns must lie side by side, at most [`WIDTH`] vectors and [`DEPTH`] terms.
    #[target_feature(enable = "avx512f,avx512vl")]
    unsafe fn fill(&mut self, panel: MatRef<'_, f32>) {
        let mut from = panel.as_ptr();
        for row in self.0.chunks_exact_mut(WIDTH * LANES).take(panel.nrows()) {
            for (c, to) in row.chunks_exact_mut(LANES).enumerate() {
                let mask = first(panel.ncols().saturating_sub(c * LANES));
                // SAFETY: the caller's.
                unsafe {
                    let numbers = _mm512_maskz_loadu_ps(mask, from.wrapping_add(c * LANES));
                    _mm512_store_ps(to.as_mut_ptr().cast(), numbers);
                }
            }
            from = from.wrapping_offset(panel.row_stride());
        }
    }
}

/// Some rows of the output, at most [`HEIGHT`], and at most [`WIDTH`] vectors of each.
#[derive(Clone, Copy)]
struct Tile {
    x: *const f32,
    to_row: isize,
    to_term: isize,
    w: *const f32,
    to_next: isize,
    terms: usize,
    ahead: Ahead,
    out: Output,
    /// Columns.
    width: usize,
}

impl Tile {
    /// # Safety
    /// The tile must lie inside the output, and what is summed inside the sides.
    #[target_feature(enable = "avx512f,avx512vl")]
    unsafe fn of_height(self, height: usize) {
        // SAFETY: the caller's.
        unsafe {
            match height {
                1 => self.of_width::<1>(),
                2 => self.of_width::<2>(),
                3 => self.of_width::<3>(),
                4 => self.of_width::<4>(),
                5 => self.of_width::<5>(),
                6 => self.of_width::<6>(),
                7 => self.of_width::<7>(),
                _ => self.of_width::<HEIGHT>(),
            }
        }
    }

    /// # Safety
    /// As for [`Self::of_height`], with `H` rows.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vl")]
    unsafe fn of_width<const H: usize>(self) {
        // SAFETY: the caller's.
        unsafe {
            match self.width.div_ceil(LANES) {
                1 => self.add_up::<H, 1>(),
                2 => self.add_up::<H, 2>(),
                _ => self.add_up::<H, WIDTH>(),
            }
        }
    }

    /// # Safety
    /// As for [`Self::of_height`], with `H` rows and `C` vectors in each.
    #[expect(
        clippy::needless_range_loop,
        reason = "iterators over arrays of vectors go through memory"
    )]
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512vl")]
    unsafe fn add_up<const H: usize, const C: usize>(mut self) {
        let last = first(self.width - (C - 1) * LANES);
        let mask = |c: usize| if c + 1 < C { __mmask16::MAX } else { last };
        let mut sums = [[_mm512_setzero_ps(); C]; H];
        // SAFETY: the caller's.
        unsafe {
            self.out.fetch_start::<H, C>();
            for _ in 0..self.terms {
                let mut row = [_mm512_setzero_ps(); C];
                for c in 0..C {
                    row[c] = _mm512_maskz_loadu_ps(mask(c), self.w.wrapping_add(c * LANES));
                }
                self.ahead.fetch();
                for r in 0..H {
                    let factor = *self.x.wrapping_offset(r as isize * self.to_row);
                    let factor = _mm512_set1_ps(factor);
                    for c in 0..C {
                        sums[r][c] = _mm512_fmadd_ps(factor, row[c], sums[r][c]);
                    }
                }
                self.x = self.x.wrapping_offset(self.to_term);
                self.w = self.w.wrapping_offset(self.to_next);
            }
            for r in 0..H {
                for c in 0..C {
                    self.out.at(r, c * LANES).put(sums[r][c], mask(c));
                }
            }
        }
    }
}
