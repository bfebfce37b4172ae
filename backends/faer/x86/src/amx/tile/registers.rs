//! Tiles: the processor's eight registers of 16 rows of 64 bytes. The standard library's functions for them
//! are not stable; like those, these name registers by number and count on nobody else using them.

use core::arch::asm;

/// Bytes from one row to the next, in memory.
const PITCH: usize = 64;

/// Palette 1, with all registers as large as they can be.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

static WHOLE: Configuration = Configuration {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// Calls `work` with tiles at hand.
///
/// # Safety
/// The processor and the system must have granted tiles.
pub(crate) unsafe fn with<R>(work: impl FnOnce() -> R) -> R {
    /// Even when `work` panics: a thread whose tiles are in use costs 8 KiB at each switch.
    struct Release;
    impl Drop for Release {
        fn drop(&mut self) {
            // SAFETY: they were granted.
            unsafe { asm!("tilerelease", options(nomem, nostack, preserves_flags)) }
        }
    }
    // SAFETY: the configuration is one that the processor takes.
    unsafe {
        asm!("ldtilecfg [{}]", in(reg) &raw const WHOLE, options(readonly, nostack, preserves_flags));
    }
    let _release = Release;
    work()
}

/// T ← 0
///
/// # Safety
/// Inside [`with`].
#[inline(always)]
pub(crate) unsafe fn zero<const T: u8>() {
    // SAFETY: the caller's.
    unsafe { asm!("tilezero tmm{}", const T, options(nomem, nostack, preserves_flags)) }
}

/// T ← the numbers at `from`
///
/// # Safety
/// Inside [`with`], and the memory of a tile at `from` must be readable.
#[inline(always)]
pub(crate) unsafe fn load<const T: u8>(from: *const u32) {
    // SAFETY: the caller's.
    unsafe {
        asm!(
            "tileloadd tmm{}, [{} + {}]",
            const T, in(reg) from, in(reg) PITCH,
            options(readonly, nostack, preserves_flags),
        );
    }
}

/// The numbers at `to` ← T
///
/// # Safety
/// Inside [`with`], and the memory of a tile at `to` must be writable.
#[inline(always)]
pub(crate) unsafe fn store<const T: u8>(to: *mut f32) {
    // SAFETY: the caller's.
    unsafe {
        asm!(
            "tilestored [{} + {}], tmm{}",
            in(reg) to, in(reg) PITCH, const T,
            options(nostack, preserves_flags),
        );
    }
}

/// T_mn ← T_mn + Σ_p L_mp₀ R_pn₀ + L_mp₁ R_pn₁, for 16 pairs p of `bfloat16` numbers.
///
/// # Safety
/// Inside [`with`].
#[inline(always)]
pub(crate) unsafe fn add_product<const T: u8, const L: u8, const R: u8>() {
    // SAFETY: the caller's.
    unsafe {
        asm!(
            "tdpbf16ps tmm{}, tmm{}, tmm{}",
            const T, const L, const R,
            options(nomem, nostack, preserves_flags),
        );
    }
}
