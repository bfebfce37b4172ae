//! Vectors of 512 bits.

use core::arch::x86_64::{
    __m512, __mmask16, _mm512_fmadd_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps,
    _mm512_mul_ps, _mm512_set1_ps,
};

use faer::Accum;

/// Numbers in a vector.
pub(crate) const LANES: usize = 16;

/// The first numbers of a vector.
pub(crate) const fn first(count: usize) -> __mmask16 {
    if count < LANES {
        (1 << count) - 1
    } else {
        __mmask16::MAX
    }
}

/// `to ← [to +] alpha · sums`, for the numbers of the mask.
///
/// # Safety
/// They must be writable.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) unsafe fn put(sums: __m512, to: *mut f32, mask: __mmask16, alpha: f32, accum: Accum) {
    let alpha = _mm512_set1_ps(alpha);
    // SAFETY: the caller's.
    unsafe {
        let sums = match accum {
            Accum::Replace => _mm512_mul_ps(alpha, sums),
            Accum::Add => _mm512_fmadd_ps(alpha, sums, _mm512_maskz_loadu_ps(mask, to)),
        };
        _mm512_mask_storeu_ps(to, mask, sums);
    }
}
