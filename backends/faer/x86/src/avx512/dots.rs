//! Vectors along the terms, whose sums are added up in the end.

use core::arch::x86_64::{
    __m512, __mmask16, _mm512_add_ps, _mm512_fmadd_ps, _mm512_mask_storeu_ps,
    _mm512_maskz_loadu_ps, _mm512_mul_ps, _mm512_permute_ps, _mm512_permutexvar_ps, _mm512_set1_ps,
    _mm512_setr_epi32, _mm512_setzero_ps, _mm512_shuffle_f32x4, _mm512_shuffle_ps,
};

use faer::{Accum, MatMut, MatRef};

use super::Ahead;
use crate::lanes::{LANES, first};

/// Columns of a tile of sums, and rows: with a vector of each row and one of a column they take 28 of 32 registers.
const WIDTH: usize = 8;
const HEIGHT: usize = 3;

/// Terms at a time: those of a tile's columns stay in the first cache.
const DEPTH: usize = 1024;

/// Rows at a time: they stay in the second cache, 1 MiB of them, while the columns pass.
const ROWS: usize = 256;

/// `dst ← [dst +] alpha · lhs · rhs`
///
/// # Safety
/// The shapes must fit, with at least one term; the columns of `dst` and the terms of both sides lie side by side.
#[target_feature(enable = "avx512f,avx512vl")]
pub(super) unsafe fn product(
    dst: MatMut<'_, f32>,
    mut accum: Accum,
    lhs: MatRef<'_, f32>,
    rhs: MatRef<'_, f32>,
    alpha: f32,
) {
    let (rows, columns, terms) = (dst.nrows(), dst.ncols(), lhs.ncols());
    let (to_row, to_column, to_below) = (lhs.row_stride(), rhs.col_stride(), dst.row_stride());
    let blocks = terms.div_ceil(DEPTH);
    let depth = terms.div_ceil(blocks).next_multiple_of(LANES);
    for from in (0..terms).step_by(depth) {
        let x = lhs.as_ptr().wrapping_add(from);
        let w = rhs.as_ptr().wrapping_add(from);
        for top in (0..rows).step_by(ROWS) {
            let rows = (rows - top).min(ROWS);
            for column in (0..columns).step_by(WIDTH) {
                let width = (columns - column).min(WIDTH);
                let w = w.wrapping_offset(column as isize * to_column);
                for (number, row) in (0..rows).step_by(HEIGHT).enumerate() {
                    let height = (rows - row).min(HEIGHT);
                    let row = (top + row) as isize;
                    let x = x.wrapping_offset(row * to_row);
                    // Every one of the first tiles asks for one of the next columns.
                    let ahead = if number < WIDTH {
                        let next = w.wrapping_offset((WIDTH + number) as isize * to_column);
                        Ahead {
                            next,
                            step: LANES as isize,
                        }
                    } else {
                        Ahead::none(x)
                    };
                    let tile = Tile {
                        x,
                        to_row,
                        w,
                        to_column,
                        terms: (terms - from).min(depth),
                        ahead,
                        out: dst
                            .as_ptr_mut()
                            .wrapping_offset(row * to_below)
                            .wrapping_add(column),
                        to_below,
                        width,
                        alpha,
                        accum,
                    };
                    // SAFETY: the caller's; the tile lies inside all three.
                    unsafe { tile.of_height(height) }
                }
            }
        }
        accum = Accum::Add;
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
    out: *mut f32,
    to_below: isize,
    /// Columns.
    width: usize,
    alpha: f32,
    accum: Accum,
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
                self.put(totals(all), r);
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

    /// A row of the output ← [itself +] alpha · totals
    ///
    /// # Safety
    /// The row must lie inside the output.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vl")]
    unsafe fn put(&self, totals: __m512, row: usize) {
        let to = self.out.wrapping_offset(row as isize * self.to_below);
        let (mask, alpha) = (first(self.width), _mm512_set1_ps(self.alpha));
        // SAFETY: the caller's.
        unsafe {
            let totals = match self.accum {
                Accum::Replace => _mm512_mul_ps(alpha, totals),
                Accum::Add => _mm512_fmadd_ps(alpha, totals, _mm512_maskz_loadu_ps(mask, to)),
            };
            _mm512_mask_storeu_ps(to, mask, totals);
        }
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
