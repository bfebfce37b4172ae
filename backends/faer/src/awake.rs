//! Threads that wait for the next piece of work without falling asleep.
//!
//! A thread of rayon that finds nothing to do yields a few times and sleeps. Between the pieces of a training
//! step there is just time for that, and before it is awake again the one that asked may have done both halves
//! itself: without what is here, steps of 10 rows at D = 784 took 1.12 times as long (`relative-gradient --dim 784
//! --rows 10 --threads 2 epoch` in `benches/`).

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rayon::{ThreadPool, Yield};

/// How long a thread waits for the next piece: longer than what one thread does between two pieces of a step, and
/// little where nothing follows.
const PATIENCE: Duration = Duration::from_micros(200);

/// Looks around for work from one look at the clock to the next.
const LOOKS: usize = 16;

thread_local! {
    /// Pieces of work on this thread's stack. What they wait for would wait for us.
    static WORKING: Cell<usize> = const { Cell::new(0) };
    /// Whether this thread waits here, perhaps with a piece of work on top.
    static WAITING: Cell<bool> = const { Cell::new(false) };
}

/// Whether the threads of a pool have been called since one of them lost its patience.
#[derive(Debug, Default)]
pub(crate) struct Awake {
    called: Arc<AtomicBool>,
}

impl Awake {
    /// Called on a thread of the pool that begins with work from outside. Where it had been called itself, the
    /// others may sleep: they are called anew.
    pub(crate) fn begin(&self) {
        if WAITING.get() && WORKING.get() == 0 {
            self.called.store(false, Ordering::Relaxed);
        }
    }

    /// Lets the other threads wait for what is to come. To be called in the pool, before work is shared.
    pub(crate) fn call(&self, pool: &ThreadPool) {
        // No order is needed: the flag guards nothing but the number of calls.
        if self.called.load(Ordering::Relaxed) || self.called.swap(true, Ordering::Relaxed) {
            return;
        }
        let (called, caller) = (Arc::clone(&self.called), pool.current_thread_index());
        pool.spawn_broadcast(move |thread| {
            if Some(thread.index()) != caller && !wait() {
                called.store(false, Ordering::Relaxed);
            }
        });
    }
}

/// Does what there is to do until there has been nothing for a while; whether the thread is waiting still, further
/// down on its stack.
fn wait() -> bool {
    if WAITING.get() {
        return true;
    }
    if WORKING.get() == 0 {
        WAITING.set(true);
        let mut since = Instant::now();
        while since.elapsed() < PATIENCE {
            for _ in 0..LOOKS {
                if rayon::yield_now() == Some(Yield::Executed) {
                    since = Instant::now();
                } else {
                    // Where there are more threads than cores, one that has something to do gets this one.
                    thread::yield_now();
                }
            }
        }
        WAITING.set(false);
    }
    false
}

/// Does a piece of work, in which the thread may wait for pieces that others do, but not here.
pub(crate) fn working<R>(work: impl FnOnce() -> R) -> R {
    struct Done;
    impl Drop for Done {
        fn drop(&mut self) {
            WORKING.set(WORKING.get() - 1);
        }
    }
    WORKING.set(WORKING.get() + 1);
    let _done = Done;
    work()
}

/// Does both at the same time, where another thread of the pool has nothing to do.
///
/// Whoever is done first waits for the other with its eyes open: rayon would let it sleep.
pub(crate) fn join(here: impl FnOnce() + Send, there: impl FnOnce() + Send) {
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    // No order is needed: what the halves write is rayon's to hand over.
    let (begun, over) = (AtomicBool::new(false), AtomicBool::new(false));
    rayon::join(
        || {
            working(|| {
                here();
                while begun.load(Ordering::Relaxed) && !over.load(Ordering::Relaxed) {
                    if rayon::yield_now() != Some(Yield::Executed) {
                        thread::yield_now();
                    }
                }
            });
        },
        || {
            begun.store(true, Ordering::Relaxed);
            let _over = Over(&over);
            working(there);
        },
    );
}

#[cfg(test)]
mod tests {
    use rayon::ThreadPoolBuilder;

    use super::*;

    fn is_called(awake: &Awake) -> bool {
        awake.called.load(Ordering::Relaxed)
    }

    #[test]
    fn threads_wait_until_they_lose_their_patience() {
        let pool = ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let awake = Awake::default();
        for _ in 0..3 {
            pool.install(|| awake.call(&pool));
            let since = Instant::now();
            while is_called(&awake) {
                assert!(since.elapsed() < Duration::from_secs(60));
                thread::yield_now();
            }
        }
    }

    /// What comes from outside may be begun by the very thread that was called.
    #[test]
    fn who_was_called_calls_the_others() {
        let pool = ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let awake = Awake::default();
        pool.install(|| {
            awake.call(&pool);
            awake.begin();
            assert!(is_called(&awake));
            WAITING.set(true);
            working(|| awake.begin());
            assert!(is_called(&awake));
            awake.begin();
            assert!(!is_called(&awake));
        });
    }

    /// Who waits for a piece of their own would take the longer for waiting for more.
    #[test]
    fn nobody_waits_in_the_middle_of_work() {
        let pool = ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let other = Arc::clone(&done);
        pool.install(|| {
            rayon::spawn(move || other.store(true, Ordering::Relaxed));
            assert!(!working(wait));
            WAITING.set(true);
            assert!(wait() && working(wait));
            WAITING.set(false);
            assert!(!done.load(Ordering::Relaxed));
            // With no piece below, it waits, and does what there is to do.
            assert!(!wait() && !WAITING.get());
            assert!(done.load(Ordering::Relaxed));
        });
    }

    #[test]
    fn who_waits_for_a_half_that_panics_waits_no_longer() {
        let pool = ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let begun = AtomicBool::new(false);
        let here = || {
            while !begun.load(Ordering::Relaxed) {
                thread::yield_now();
            }
        };
        let there = || {
            begun.store(true, Ordering::Relaxed);
            panic!("as it should");
        };
        let both = || pool.install(|| join(here, there));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(both)).is_err());
    }
}
