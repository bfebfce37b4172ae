//! What the processor would not fetch in time by itself.

use core::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};

/// What is asked for while something else is computed: a cache line at a time, at equal distances.
#[derive(Clone, Copy)]
pub(crate) struct Ahead {
    pub(crate) next: *const f32,
    pub(crate) step: isize,
}

impl Ahead {
    /// Nothing but what is at hand anyway.
    pub(crate) const fn none(at_hand: *const f32) -> Self {
        Self {
            next: at_hand,
            step: 0,
        }
    }

    /// The same so many numbers further on.
    pub(crate) const fn from(self, offset: isize) -> Self {
        Self {
            next: self.next.wrapping_offset(offset),
            ..self
        }
    }

    #[inline(always)]
    pub(crate) fn fetch(&mut self) {
        // Into the second cache: what comes from far on its way into the first would keep others waiting.
        // SAFETY: whatever the address, nothing is read that the program could see.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(self.next.cast()) }
        self.next = self.next.wrapping_offset(self.step);
    }
}
