//! Vectors of 16 numbers, and their parts.

use core::arch::x86_64::{
    __m512, __m512i, __mmask16, _mm512_add_epi32, _mm512_and_si512, _mm512_castps_si512,
    _mm512_castsi512_ps, _mm512_mask_i32gather_ps, _mm512_maskz_loadu_ps, _mm512_mullo_epi32,
    _mm512_or_si512, _mm512_set1_epi32, _mm512_setr_epi32, _mm512_setzero_ps, _mm512_srli_epi32,
    _mm512_store_si512, _mm512_sub_ps,
};

use super::tile;

/// `bfloat16` numbers that a number of `f32` is the sum of.
pub(crate) const PARTS: usize = 3;

/// The longest stride that offsets of 32 bits reach across a vector with.
pub(crate) const MOST: usize = i32::MAX as usize / tile::ROWS;

/// The numbers of the mask, `stride` apart from each other, and zeros.
///
/// # Safety
/// The numbers of the mask must be readable, and the stride at most [`MOST`].
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) unsafe fn load(from: *const f32, stride: isize, mask: __mmask16) -> __m512 {
    if stride == 1 {
        // SAFETY: the caller's.
        return unsafe { _mm512_maskz_loadu_ps(mask, from) };
    }
    let steps = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let offsets = _mm512_mullo_epi32(_mm512_set1_epi32(stride as i32), steps);
    // SAFETY: the caller's; offsets count numbers of 4 bytes.
    unsafe { _mm512_mask_i32gather_ps::<4>(_mm512_setzero_ps(), mask, offsets, from) }
}

/// A row of three tiles, one after the other: the parts of `x` and `y`, in pairs.
///
/// # Safety
/// The row must be writable in all three, and start with a cache line.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) unsafe fn store_parts(x: __m512, y: __m512, to: *mut u32) {
    let ((x1, x), (y1, y)) = (cut(x), cut(y));
    let ((x2, x), (y2, y)) = (cut(x), cut(y));
    // The third needs no rounding.
    let (x3, y3) = (_mm512_castps_si512(x), _mm512_castps_si512(y));
    for (part, (x, y)) in [(x1, y1), (x2, y2), (x3, y3)].into_iter().enumerate() {
        // SAFETY: the caller's.
        unsafe { _mm512_store_si512(to.add(part * tile::NUMBERS).cast(), pairs(x, y)) }
    }
}

/// Rounded to `bfloat16`, and the rest.
#[inline]
#[target_feature(enable = "avx512f")]
fn cut(x: __m512) -> (__m512i, __m512) {
    let half = _mm512_set1_epi32(0x8000);
    let rounded = upper(_mm512_add_epi32(_mm512_castps_si512(x), half));
    (rounded, _mm512_sub_ps(x, _mm512_castsi512_ps(rounded)))
}

/// Upper halves: those of `x` below those of `y`.
#[inline]
#[target_feature(enable = "avx512f")]
fn pairs(x: __m512i, y: __m512i) -> __m512i {
    _mm512_or_si512(_mm512_srli_epi32::<16>(x), upper(y))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn upper(x: __m512i) -> __m512i {
    _mm512_and_si512(x, _mm512_set1_epi32(0xffff_0000_u32 as i32))
}
