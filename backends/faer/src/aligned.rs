//! Memory that starts where a cache line does.

use detfree_core::{Scalar, Storage};

/// Bytes of a cache line, and of the widest vector.
const LINE: usize = 64;

/// Bytes from which it matters. The batches of narrow flows are a few numbers each: hundreds of them would
/// fill a cache with what is left of their lines.
const LARGE: usize = 1024;

/// Numbers on the heap, the first of many at the start of a cache line: vectors that reach over two lines
/// take twice the time.
#[derive(Debug)]
pub struct Aligned<T> {
    /// The numbers, after some that lead to the start of a line: the system aligns to 16 bytes.
    memory: Vec<T>,
    start: usize,
}

impl<T: Scalar> Aligned<T> {
    pub(crate) fn zeros(len: usize) -> Self {
        if len.saturating_mul(size_of::<T>()) < LARGE {
            let memory = vec![T::zero(); len];
            return Self { memory, start: 0 };
        }
        let mut memory = vec![T::zero(); len.saturating_add(LINE / size_of::<T>())];
        // Not `align_offset`, which may say that it does not know.
        let past = memory.as_ptr().addr() % LINE;
        let start = (LINE - past) % LINE / size_of::<T>();
        // The numbers end where the memory does: one check less for each access.
        memory.truncate(start + len);
        Self { memory, start }
    }
}

impl<T> AsRef<[T]> for Aligned<T> {
    #[inline(always)]
    fn as_ref(&self) -> &[T] {
        self.memory.get(self.start..).unwrap_or_default()
    }
}

impl<T> AsMut<[T]> for Aligned<T> {
    #[inline(always)]
    fn as_mut(&mut self) -> &mut [T] {
        self.memory.get_mut(self.start..).unwrap_or_default()
    }
}

impl<T: Scalar> Storage for Aligned<T> {
    type Item = T;
}

impl<T: Scalar> Clone for Aligned<T> {
    fn clone(&self) -> Self {
        let mut copy = Self::zeros(self.as_ref().len());
        copy.as_mut().copy_from_slice(self.as_ref());
        copy
    }
}
