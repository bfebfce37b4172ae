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
