//! Whether what is read is what was written.

use alloc::format;
use alloc::string::String;

/// A number that differs where any of the words does, but for one case in 2⁶⁴.
pub(crate) fn checksum(words: impl Iterator<Item = u64>) -> String {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let sum = words.fold(ODD, |sum, word| {
        let mixed = (sum ^ word).wrapping_mul(ODD);
        mixed ^ mixed >> 32
    });
    format!("{sum:016x}")
}
