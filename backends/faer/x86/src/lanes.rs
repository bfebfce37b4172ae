//! Vectors of 512 bits.

use core::arch::x86_64::__mmask16;

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

/// Whether vectors so many numbers apart from each other, of which the first begins here, all begin with cache lines.
pub(crate) fn in_lines(first: *const f32, apart: isize) -> bool {
    first.addr().is_multiple_of(LANES * size_of::<f32>())
        && apart.unsigned_abs().is_multiple_of(LANES)
}
