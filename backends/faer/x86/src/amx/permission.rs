//! Whether the processor has the unit, and the system permits its use.

use core::arch::asm;
use core::arch::x86_64::__cpuid_count;
use std::sync::OnceLock;

/// Bits of leaf 7 in EDX.
const AMX_BF16: u32 = 1 << 22;
const AMX_TILE: u32 = 1 << 24;

/// Of `arch_prctl` of Linux on x86-64.
const ARCH_PRCTL: usize = 158;
const ARCH_REQ_XCOMP_PERM: usize = 0x1023;

/// The part of a thread's state that holds tiles: the system makes room for it on demand.
const XFEATURE_XTILEDATA: usize = 18;

/// Asks once; the answer is the same for all threads of a process.
pub(crate) fn granted() -> bool {
    static GRANTED: OnceLock<bool> = OnceLock::new();
    *GRANTED.get_or_init(|| supported() && (cfg!(feature = "emulation") || request() == 0))
}

fn supported() -> bool {
    // Beside the tiles, numbers are split with AVX-512; that Linux knows tiles its answer says.
    is_x86_feature_detected!("avx512f") && {
        let both = AMX_BF16 | AMX_TILE;
        cfg!(feature = "emulation") || __cpuid_count(7, 0).edx & both == both
    }
}

fn request() -> isize {
    let answer;
    // SAFETY: the call reads no memory and changes nothing but the size of the state that is saved for
    // threads; a system without it answers with an error.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => answer,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    answer
}
