//! How long work takes, in ticks of the system timer.

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;

/// The timer counts 24 bits: work of more than 16 million ticks would be measured short.
const LAST: u32 = 0x00FF_FFFF;

/// The system timer, running.
pub(crate) struct Clock(());

impl Clock {
    pub(crate) fn start(mut timer: SYST) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(LAST);
        timer.clear_current();
        timer.enable_counter();
        Self(())
    }

    /// The work's result, and the ticks it took.
    pub(crate) fn time<T>(&mut self, work: impl FnOnce() -> T) -> (T, u32) {
        let before = SYST::get_current();
        let result = work();
        (result, before.wrapping_sub(SYST::get_current()) & LAST)
    }
}
