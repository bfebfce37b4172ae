//! Vectors along the terms, whose sums are added up in the end.

use core::arch::x86_64::{
    __m512, __mmask16, _mm512_add_ps, _mm512_fmadd_ps, _mm512_maskz_loadu_ps, _mm512_permute_ps,
    _mm512_permutexvar_ps, _mm512_setr_epi32, _mm512_setzero_ps, _mm512_shuffle_f32x4,
    _mm512_shuffle_ps, _mm512_store_ps,
};
use core::mem::MaybeUninit;

use faer::MatRef;

use crate::ahead::Ahead;
use crate::lanes::{LANES, first, in_lines};
use crate::output::Output;

/// Columns of a tile of sums, and rows: with a vector of each row and one of a column they take 28 of 32 registers.
const WIDTH: usize = 8;
const HEIGHT: usize = 3;

/// Terms at a time: those of a tile's columns stay in the first cache.
const DEPTH: usize = 1024;

/// Rows at a time: they stay in the second cache, 1 MiB of them, while the columns pass.
const ROWS: usize = 256;

/// Rows that make a strip of columns across cache lines worth copying.
const MANY: usize = 32;

/// `out ← its start + alpha · lhs · rhs`
///
/// # Safety
/// The shapes must fit, with at least one term; the columns of `out` and the terms of both sides lie side by side.
#[target_feature(enable = "avx512f,avx512vl")]
pub(super) unsafe fn product(mut out: Output, lhs: MatRef<'_, f32>, rhs: MatRef<'_, f32>) {
    let ((rows, terms), columns) = (lhs.shape(), rhs.ncols());
    let blocks = terms.div_ceil(DEPTH);
    let depth = terms.div_ceil(blocks).next_multiple_of(LANES);
    let mut copied = Strip([const { MaybeUninit::uninit() }; WIDTH * APART]);
    for from in (0..terms).step_by(depth) {
        let here = depth.min(terms - from);
        let (lhs, rhs) = (lhs.subcols(from, here), rhs.subrows(from, here));
        for top in (0..rows).step_by(ROWS) {
            let height = ROWS.min(rows - top);
            let lhs = lhs.subrows(top, height);
            for column in (0..columns).step_by(WIDTH) {
                let width = WIDTH.min(columns - column);
                let strip = rhs.subcols(column, width);
                let next = Ahead {
                    next: strip
                        .as_ptr()
                        .wrapping_offset(WIDTH as isize * rhs.col_stride()),
                    step: LANES as isize,
                };
                // SAFETY: the caller's.
                unsafe { tiles(out.at(top, column), lhs, strip, next, &mut copied) };
            }
        }
        out = out.onto_itself();
    }
}

/// Some columns of the product.
///
/// # Safety
/// As for [`product`], with at most [`WIDTH`] columns and [`DEPTH`] terms.
#[target_feature(enable = "avx512f,avx512vl")]
unsafe fn tiles(
    out: Output,
    lhs: MatRef<'_, f32>,
    strip: MatRef<'_, f32>,
    next: Ahead,
    copied: &mut Strip,
) {
    let (rows, step) = (lhs.nrows(), strip.col_stride());
    let (mut w, mut to_column) = (strip.as_ptr(), step);
    if rows > MANY && !in_lines(strip.as_ptr(), step) {
        // SAFETY: the caller's.
        unsafe { copied.fill(strip) };
        (w, to_column) = (copied.0.as_ptr().cast(), APART as isize);
    }
    for (number, row) in (0..rows).step_by(HEIGHT).enumerate() {
        let height = HEIGHT.min(rows - row);
        let x = lhs.subrows(row, height);
        let tile = Tile {
            x: x.as_ptr(),
            to_row: x.row_stride(),
            w,
            to_column,
            terms: x.ncols(),
            // Every one of the first tiles asks for one of the next columns.
            ahead: if number < WIDTH {
                next.from(number as isize * step)
            } else {
                Ahead::none(x.as_ptr())
            },
            out: out.at(row, 0),
            width: strip.ncols(),
        };
        // SAFETY: the caller's; the tile lies inside all three.
        unsafe { tile.of_height(height) }
    }
}

/// A copy of some columns that start with cache lines: a vector across two of them takes twice as long to read.
#[repr(align(64))]
struct Strip([MaybeUninit<f32>; WIDTH * APART]);

/// From one of them to the next: not a power of two, which would give all of them the same place in the first cache.
const APART: usize = DEPTH + LANES;

impl Strip {
    /// # Safety
    /// The terms must lie side by side, at most [`DEPTH`] of them, and at most [`WIDTH`] columns.
    #[target_feature(enable = "avx512f,avx512vl")]
    unsafe fn fill(&mut self, strip: MatRef<'_, f32>) {
        let terms = strip.nrows();
        for (c, column) in self
            .0
            .chunks_exact_mut(APART)
            .take(strip.ncols())
            .enumerate()
        {
            let from = strip
                .as_ptr()
                .wrapping_offset(c as isize * strip.col_stride());
            for at in (0..terms).step_by(LANES) {
                // SAFETY: the caller's.
                unsafe {
                    let numbers = _mm512_maskz_loadu_ps(first(terms - at), from.wrapping_add(at));
                    _mm512_store_ps(column.as_mut_ptr().wrapping_add(at).cast(), numbers);
                }
            }
        }
    }
}

/// Some rows of the output, and at most [`WIDTH`] numbers of each.
#[derive(Clone, Copy)]
struct Tile {
    x: *const f32,
    to_row: isize,
    w: *const f32,
    to_column: isize,
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
            match self.width {
                1 => self.add_up::<H, 1>(),
                2 => self.add_up::<H, 2>(),
                3 => self.add_up::<H, 3>(),
                4 => self.add_up::<H, 4>(),
                5 => self.add_up::<H, 5>(),
                6 => self.add_up::<H, 6>(),
                7 => self.add_up::<H, 7>(),
                _ => self.add_up::<H, WIDTH>(),
            }
        }
    }

    /// # Safety
    /// As for [`Self::of_height`], with `H` rows and `C` columns.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512vl")]
    unsafe fn add_up<const H: usize, const C: usize>(mut self) {
        let mut sums = [[_mm512_setzero_ps(); C]; H];
        // SAFETY: the caller's.
        unsafe {
            for _ in 0..self.terms / LANES {
                self.add(__mmask16::MAX, &mut sums);
            }
            let left = self.terms % LANES;
            if left > 0 {
                self.add(first(left), &mut sums);
            }
            for (r, sums) in sums.iter().enumerate() {
                let mut all = [_mm512_setzero_ps(); WIDTH];
                all[..C].copy_from_slice(sums);
                self.out.at(r, 0).put(totals(all), first(self.width));
            }
        }
    }

    /// The products of the next terms, as many as a vector has numbers.
    ///
    /// # Safety
    /// The terms of the mask must lie inside the sides.
    #[expect(
        clippy::needless_range_loop,
        reason = "iterators over arrays of vectors go through memory"
    )]
    #[inline]
    #[target_feature(enable = "avx512f,avx512vl")]
    unsafe fn add<const H: usize, const C: usize>(
        &mut self,
        mask: __mmask16,
        sums: &mut [[__m512; C]; H],
    ) {
        let mut rows = [_mm512_setzero_ps(); H];
        // SAFETY: the caller's.
        unsafe {
            for (r, row) in rows.iter_mut().enumerate() {
                let at = self.x.wrapping_offset(r as isize * self.to_row);
                *row = _mm512_maskz_loadu_ps(mask, at);
            }
            self.ahead.fetch();
            for c in 0..C {
                let at = self.w.wrapping_offset(c as isize * self.to_column);
                let column = _mm512_maskz_loadu_ps(mask, at);
                for r in 0..H {
                    sums[r][c] = _mm512_fmadd_ps(rows[r], column, sums[r][c]);
                }
            }
        }
        self.x = self.x.wrapping_add(LANES);
        self.w = self.w.wrapping_add(LANES);
    }
}

/// The sum of each vector's numbers, one after the other in the first half.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn totals(x: [__m512; WIDTH]) -> __m512 {
    // Quarters of two vectors, of which those with the same number are added to halves, or to quarters.
    let halves = |x, y| {
        let lower = _mm512_shuffle_f32x4::<0b01_00_01_00>(x, y);
        _mm512_add_ps(lower, _mm512_shuffle_f32x4::<0b11_10_11_10>(x, y))
    };
    let quarters = |x, y| {
        let even = _mm512_shuffle_f32x4::<0b10_00_10_00>(x, y);
        _mm512_add_ps(even, _mm512_shuffle_f32x4::<0b11_01_11_01>(x, y))
    };
    let [x0, x1, x2, x3, x4, x5, x6, x7] = x;
    // Quarters of 0, 4, 2 and 6, and of 1, 5, 3 and 7.
    let x = quarters(halves(x0, x4), halves(x2, x6));
    let y = quarters(halves(x1, x5), halves(x3, x7));
    // Pairs of 0 and 1, of 4 and 5, of 2 and 3, of 6 and 7.
    let even = _mm512_shuffle_ps::<0b10_00_10_00>(x, y);
    let pairs = _mm512_add_ps(even, _mm512_shuffle_ps::<0b11_01_11_01>(x, y));
    let totals = _mm512_add_ps(pairs, _mm512_permute_ps::<0b10_11_00_01>(pairs));
    let places = _mm512_setr_epi32(0, 2, 8, 10, 4, 6, 12, 14, 0, 0, 0, 0, 0, 0, 0, 0);
    _mm512_permutexvar_ps(places, totals)
}
