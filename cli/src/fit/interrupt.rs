//! What Ctrl-C does, and what batch systems send instead (SIGTERM, SIGHUP).

use std::sync::atomic::{AtomicBool, Ordering};

static RAISED: AtomicBool = AtomicBool::new(false);

/// From now on the first one raises a flag, and a second one ends the program.
pub(super) fn listen() {
    // Where no handler can be set, they keep their usual meaning.
    let _ = ctrlc::set_handler(|| {
        if RAISED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
}

pub(super) fn is_raised() -> bool {
    RAISED.load(Ordering::Relaxed)
}

/// From now on, the next one ends the program.
pub(super) fn end() {
    RAISED.store(true, Ordering::Relaxed);
}
