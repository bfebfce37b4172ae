//! The firmware: separates the channels of a sensor while it is read, estimates a log-determinant,
//! and reports over semihosting.
#![no_std]
#![no_main]

mod board;

use core::panic::PanicInfo;

use cortex_m::Peripherals;
use cortex_m_rt::entry;
use cortex_m_semihosting::debug::{self, EXIT_FAILURE, EXIT_SUCCESS};
use detfree_core::Key;
use detfree_firmware::{CHANNELS, Memory, RECORDING, ResidualMap, Sensor, Unmixer, rate};

use board::{Clock, Report, high_water};

/// The Amari distance that a recording must come to.
const SEPARATED: f32 = 0.05;

/// What came of a recording, and what it took.
struct Recording {
    weight: [f32; CHANNELS * CHANNELS],
    bias: [f32; CHANNELS],
    log_det: f64,
    shrinks: u32,
    ticks: u64,
    most_ticks: u32,
}

#[entry]
fn main() -> ! {
    static mut MEMORY: Memory = Memory::new();
    let status = match run(MEMORY) {
        Some(distance) if distance < SEPARATED => EXIT_SUCCESS,
        _ => EXIT_FAILURE,
    };
    loop {
        debug::exit(status);
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        debug::exit(EXIT_FAILURE);
    }
}

/// The distance of the unmixed channels from the sources; `None` where something was refused.
fn run(memory: &mut Memory) -> Option<f32> {
    let mut clock = Clock::start(Peripherals::take()?.SYST);
    let mut report = Report::open()?;
    let mut sensor = Sensor::new(Key::new(1));

    let (recording, stack) = high_water(|| record(memory, &mut sensor, &mut clock));
    let recording = recording?;
    let distance = Sensor::amari_distance(&recording.weight);
    report.count("samples", RECORDING.into())?;
    for w in recording.weight {
        report.number("weight", w.into())?;
    }
    for b in recording.bias {
        report.number("bias", b.into())?;
    }
    report.number("log_det", recording.log_det)?;
    report.number("amari_distance", distance.into())?;
    report.count("shrinks", recording.shrinks.into())?;
    report.count("unmix_ticks", recording.ticks)?;
    report.count("unmix_most_ticks", recording.most_ticks.into())?;
    report.count("unmix_stack", stack.into())?;

    let point = sensor.read();
    let estimate = || clock.time(|| ResidualMap::at(&point).log_det(Key::new(2)).ok());
    let ((estimate, ticks), stack) = high_water(estimate);
    let estimate = estimate?;
    report.number("estimate", estimate.mean)?;
    report.number("standard_error", estimate.standard_error)?;
    report.count("products", estimate.products)?;
    report.count("estimate_ticks", ticks.into())?;
    report.count("estimate_stack", stack.into())?;
    #[cfg(feature = "panics")]
    report.count("panics", detfree_firmware::panics(ticks).into())?;
    Some(distance)
}

/// Unmixes a recording of the sensor while it is read.
fn record(memory: &mut Memory, sensor: &mut Sensor, clock: &mut Clock) -> Option<Recording> {
    let mut unmixer = Unmixer::new(memory).ok()?;
    let (mut shrinks, mut ticks, mut most_ticks) = (0, 0, 0);
    for n in 0..RECORDING {
        let sample = sensor.read();
        let (unmixed, taken) = clock.time(|| unmixer.push(&sample, rate(n)).ok());
        shrinks += unmixed?.shrinks?;
        ticks += u64::from(taken);
        most_ticks = taken.max(most_ticks);
    }
    Some(Recording {
        weight: *unmixer.weight().first_chunk()?,
        bias: *unmixer.bias().first_chunk()?,
        log_det: unmixer.log_det(),
        shrinks,
        ticks,
        most_ticks,
    })
}
