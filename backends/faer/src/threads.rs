//! Which threads work is done on.

use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::awake::{self, Awake, working};

/// Multiply-adds of a product from which a thread that is already working is worth asking to share
/// it: some microseconds.
const WORTH_SHARING: usize = 1 << 19;

/// Multiply-adds from which other threads are worth waking for a single call.
const WORTH_WAKING: usize = 1 << 20;

/// Multiply-adds of many calls from which they are worth moving to a thread of the pool.
const WORTH_MOVING: usize = 1 << 22;

/// Cuts of what vectors lie along fall on multiples of this, a vector of the widest CPU: where they begin elsewhere,
/// all of them cross a cache line.
pub(crate) const VECTOR: usize = 16;

/// Cuts across vectors fall on multiples of this, the rows that are multiplied at a time.
pub(crate) const TILE: usize = 8;

/// Work that can be cut in two.
pub(crate) trait Work: Send + Sized {
    /// How many multiply-adds of a product take as long.
    fn cost(&self) -> usize;

    /// The part `few`/`all` of it, and the rest.
    fn cut(self, few: usize, all: usize) -> [Self; 2];

    fn run(self);
}

/// The length of the part `few`/`all`, cut at a multiple of `grain`.
pub(crate) const fn part(length: usize, few: usize, all: usize, grain: usize) -> usize {
    let exact = length * few / all;
    if exact < grain {
        exact
    } else {
        (exact + grain / 2) / grain * grain
    }
}

/// The caller's thread, or a pool.
#[derive(Clone, Debug)]
pub(crate) struct Threads {
    pool: Option<Arc<Pool>>,
}

/// Threads, and whether they wait for work.
#[derive(Debug)]
pub(crate) struct Pool {
    threads: ThreadPool,
    awake: Awake,
}

impl Threads {
    pub(crate) const fn caller() -> Self {
        Self { pool: None }
    }

    pub(crate) fn start(threads: usize) -> Result<Self, ThreadsError> {
        match threads {
            0 => Err(ThreadsError::None),
            1 => Ok(Self::caller()),
            _ => ThreadPoolBuilder::new()
                .num_threads(threads)
                .thread_name(|index| format!("detfree-{index}"))
                .build()
                .map(|threads| {
                    let awake = Awake::default();
                    Self {
                        pool: Some(Arc::new(Pool { threads, awake })),
                    }
                })
                .map_err(|reason| ThreadsError::Refused {
                    threads,
                    reason: reason.to_string(),
                }),
        }
    }

    pub(crate) fn pool(&self) -> Option<&Pool> {
        self.pool.as_deref()
    }

    /// Makes several calls, of this many multiply-adds in all, on a thread of the pool where others are
    /// at hand.
    pub(crate) fn at_hand<R: Send>(&self, work: usize, calls: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) if work >= WORTH_MOVING => pool.install(calls),
            _ => calls(),
        }
    }

    /// Runs the work, on several threads where that is worth it.
    pub(crate) fn run<W: Work>(&self, work: W) {
        self.share_out(work.cost(), |threads| share(work, threads));
    }

    /// Calls `work` with the number of threads that are worth their waking for so many multiply-adds, in the
    /// pool if there are several.
    pub(crate) fn share_out(&self, cost: usize, work: impl FnOnce(usize) + Send) {
        let Some(pool) = self.pool().filter(|_| !self.alone(cost)) else {
            return work(1);
        };
        if pool.is_ours() || cost >= WORTH_WAKING {
            let threads = self.count();
            pool.install(|| {
                pool.call();
                work(threads);
            });
        } else {
            work(1);
        }
    }

    /// Whether so many multiply-adds are not worth another thread, wherever they are asked for.
    pub(crate) const fn alone(&self, cost: usize) -> bool {
        self.pool.is_none() || cost < WORTH_SHARING
    }

    pub(crate) fn count(&self) -> usize {
        self.pool()
            .map_or(1, |pool| pool.threads.current_num_threads())
    }
}

impl Pool {
    /// Does the work on one of the threads: the caller's, if it is.
    fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.threads.install(|| {
            self.awake.begin();
            working(work)
        })
    }

    /// Whether the caller's thread is one of the pool.
    fn is_ours(&self) -> bool {
        self.threads.current_thread_index().is_some()
    }

    /// Lets the other threads wait for work, where the caller's is one of them: beside a thread from elsewhere they would
    /// be one too many.
    fn call(&self) {
        if self.is_ours() {
            self.awake.call(&self.threads);
        }
    }

    /// Does all pieces, one of them on the caller's thread.
    pub(crate) fn each<S: Send>(&self, pieces: &mut [S], work: impl Fn(&mut S) + Sync) {
        self.call();
        let work = |piece| working(|| work(piece));
        // The caller works, too, and another thread wakes up meanwhile.
        self.threads.in_place_scope(|scope| {
            let mut pieces = pieces.iter_mut();
            let first = pieces.next();
            for piece in pieces {
                scope.spawn(|_| work(piece));
            }
            first.map(work);
        });
    }
}

/// To be called in the pool.
fn share<W: Work>(work: W, threads: usize) {
    if threads <= 1 {
        return work.run();
    }
    let few = threads / 2;
    let [here, there] = work.cut(few, threads);
    awake::join(|| share(here, few), || share(there, threads - few));
}

/// Why a backend has no threads to work on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ThreadsError {
    /// None were asked for.
    #[error("a backend cannot work on 0 threads: ask for 1 to use the caller's, or for more")]
    None,
    /// The system gave fewer than were asked for.
    #[error("the system refused to start {threads} threads ({reason}): ask for fewer")]
    Refused {
        /// Threads asked for.
        threads: usize,
        /// The system's answer.
        reason: String,
    },
}
