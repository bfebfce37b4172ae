//! Which threads work is done on.

use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// The caller's thread, or a pool.
#[derive(Clone, Debug)]
pub(crate) struct Threads {
    pool: Option<Arc<ThreadPool>>,
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
                .map(|pool| Self {
                    pool: Some(Arc::new(pool)),
                })
                .map_err(|reason| ThreadsError::Refused {
                    threads,
                    reason: reason.to_string(),
                }),
        }
    }

    pub(crate) fn pool(&self) -> Option<&ThreadPool> {
        self.pool.as_deref()
    }

    pub(crate) fn count(&self) -> usize {
        self.pool().map_or(1, ThreadPool::current_num_threads)
    }
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
