//! How deep the stack gets: it is painted before some work and looked at afterwards.
#![expect(unsafe_code, reason = "the stack below the stack pointer is nobody's")]

use core::ptr::{read_volatile, write_volatile};

const PAINT: u32 = 0x5AFE_57AC;

/// Bytes that are painted: work that takes more is measured short.
const PAINTED: usize = 16 * 1024;

/// Bytes below the stack pointer that are left alone: this function may use them itself.
const MARGIN: usize = 64;

unsafe extern "C" {
    /// The linker's name for where the stack begins.
    static _stack_start: u32;
}

/// The work's result, and the bytes of stack in use when there were most of them, those of its
/// callers included.
#[inline(never)]
pub(crate) fn high_water<T>(work: impl FnOnce() -> T) -> (T, u32) {
    let top = cortex_m::register::msp::read() as usize;
    let painted = || (top - MARGIN - PAINTED..top - MARGIN).step_by(4);
    for address in painted() {
        // SAFETY: aligned, in memory that nobody uses before `work` does.
        unsafe { write_volatile(address as *mut u32, PAINT) };
    }
    let result = apart(work);
    // SAFETY: as above; `work` is over.
    let kept =
        painted().take_while(|&address| unsafe { read_volatile(address as *const u32) } == PAINT);
    let deepest = top - MARGIN - PAINTED + 4 * kept.count();
    (
        result,
        ((&raw const _stack_start) as usize - deepest) as u32,
    )
}

/// Below the stack pointer that was read, whatever the optimiser likes.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}
