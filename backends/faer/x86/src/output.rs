//! Where sums of products go, and what they are added to.

use core::arch::x86_64::{
    __m512, __mmask16, _MM_HINT_T0, _mm_prefetch, _mm512_fmadd_ps, _mm512_mask_storeu_ps,
    _mm512_maskz_loadu_ps, _mm512_mul_ps, _mm512_set1_ps, _mm512_stream_ps,
};

use faer::{MatMut, MatRef};

use crate::Start;
use crate::ahead::Ahead;
use crate::lanes::{LANES, in_lines};

/// A matrix that sums are written to, or a part of it.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    to: *mut f32,
    strides: [isize; 2],
    from: Option<(*const f32, [isize; 2])>,
    alpha: f32,
    /// Whether whole vectors are written past the caches.
    past_caches: bool,
}

/// Numbers of an output that would drive out of the caches what is needed before it is.
const MANY: usize = 1 << 20;

impl Output {
    /// `None` where the start has another shape than the output, or its numbers another direction in which they lie
    /// side by side.
    pub(crate) fn new(dst: MatMut<'_, f32>, start: Start<'_, f32>, alpha: f32) -> Option<Self> {
        let strides = |x: MatRef<'_, f32>| [x.row_stride(), x.col_stride()];
        let (here, shape) = (strides(dst.as_ref()), dst.shape());
        let to = dst.as_ptr_mut();
        let from = match start {
            Start::Zero => None,
            Start::Here => Some((to.cast_const(), here)),
            Start::From(x) => {
                let there = strides(x);
                let alike = here.map(|stride| stride == 1) == there.map(|stride| stride == 1);
                (alike && x.shape() == shape).then_some(())?;
                Some((x.as_ptr(), there))
            }
        };
        Some(Self {
            to,
            strides: here,
            from,
            alpha,
            past_caches: false,
        })
    }

    pub(crate) fn transpose(mut self) -> Self {
        self.strides.reverse();
        if let Some((_, strides)) = &mut self.from {
            strides.reverse();
        }
        self
    }

    /// What begins with a row and a column of this.
    #[inline(always)]
    pub(crate) fn at(self, row: usize, column: usize) -> Self {
        let offset =
            |[to_row, to_column]: [isize; 2]| row as isize * to_row + column as isize * to_column;
        Self {
            to: self.to.wrapping_offset(offset(self.strides)),
            from: self
                .from
                .map(|(from, strides)| (from.wrapping_offset(offset(strides)), strides)),
            ..self
        }
    }

    /// For the sums of further terms.
    pub(crate) fn onto_itself(self) -> Self {
        Self {
            from: Some((self.to.cast_const(), self.strides)),
            ..self
        }
    }

    /// For so many numbers that are written once: past the caches where they are many, rows begin with cache lines, and
    /// what they start from lies elsewhere. An `sfence` has to follow before another thread reads them.
    pub(crate) fn written_once(self, numbers: usize) -> Self {
        let in_lines = in_lines(self.to, self.strides[0]);
        let elsewhere = self
            .from
            .is_some_and(|(from, _)| from != self.to.cast_const());
        Self {
            past_caches: numbers >= MANY && in_lines && elsewhere && self.along_rows(),
            ..self
        }
    }

    /// Whether numbers of a row lie side by side.
    pub(crate) fn along_rows(self) -> bool {
        self.strides[1] == 1
    }

    /// The lines of the first column, or those that it starts from.
    pub(crate) fn ahead(self, start: bool) -> Ahead {
        let (next, [step, _]) = self
            .from
            .filter(|_| start || self.past_caches)
            .unwrap_or((self.to.cast_const(), self.strides));
        Ahead { next, step }
    }

    /// Asks for the cache lines with which so many rows and vectors start.
    #[inline(always)]
    pub(crate) fn fetch_start<const H: usize, const C: usize>(self) {
        let Some((from, [to_row, _])) = self.from else {
            return;
        };
        for r in 0..H {
            for c in 0..C {
                let line = from.wrapping_offset(r as isize * to_row + (c * LANES) as isize);
                // SAFETY: whatever the address, nothing is read that the program could see.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) }
            }
        }
    }

    /// The first numbers ← \[what they start from +\] alpha · sums, for the numbers of the mask.
    ///
    /// # Safety
    /// They must be writable and lie side by side, and so must be those that they start from, which are read.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(crate) unsafe fn put(self, sums: __m512, mask: __mmask16) {
        let alpha = _mm512_set1_ps(self.alpha);
        // SAFETY: the caller's.
        unsafe {
            let sums = match self.from {
                None => _mm512_mul_ps(alpha, sums),
                Some((from, _)) => _mm512_fmadd_ps(alpha, sums, _mm512_maskz_loadu_ps(mask, from)),
            };
            if self.past_caches && mask == __mmask16::MAX {
                _mm512_stream_ps(self.to, sums);
            } else {
                _mm512_mask_storeu_ps(self.to, mask, sums);
            }
        }
    }
}
