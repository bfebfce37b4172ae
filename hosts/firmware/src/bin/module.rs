//! The mathematics without a board, behind a function whose arguments nobody knows at compile time:
//! its image is what the mathematics takes of flash.
//!
//! The panic handler calls a function that does not exist: if the optimiser leaves a path to any
//! panic, this does not link.
#![no_std]
#![no_main]
#![expect(
    unsafe_code,
    reason = "the linker knows these functions by their names"
)]

use core::panic::PanicInfo;

use detfree_core::{Estimate, Key};
use detfree_firmware::{CHANNELS, Memory, ResidualMap, Unmixed, Unmixer};

unsafe extern "C" {
    safe fn detfree_panic_path_reached() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    detfree_panic_path_reached()
}

/// The entry that a linker looks for when nobody names one.
#[unsafe(no_mangle)]
fn _start(
    memory: &mut Memory,
    samples: &[[f32; CHANNELS]],
    rate: f64,
    unmixed: &mut [Unmixed],
    point: &[f32; CHANNELS],
    key: Key,
) -> Option<(f64, Estimate)> {
    let mut unmixer = Unmixer::new(memory).ok()?;
    for (sample, unmixed) in samples.iter().zip(unmixed) {
        *unmixed = unmixer.push(sample, rate).ok()?;
    }
    #[cfg(feature = "panics")]
    let key = key.fold_in(detfree_firmware::panics(key.bits() as u32).into());
    let estimate = ResidualMap::at(point).log_det(key).ok()?;
    Some((unmixer.log_det(), estimate))
}
