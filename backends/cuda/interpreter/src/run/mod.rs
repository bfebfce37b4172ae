//! Runs kernels: launches of blocks, blocks of warps, warps of 32 lanes.

mod access;
mod atomics;
mod block;
mod compute;
mod exchange;
mod floats;
mod integers;
mod lanes;
mod launch;
mod step;
mod warp;

pub use launch::LaunchError;
pub(crate) use launch::{Launch, MOST_BLOCK, MOST_GRID, MOST_THREADS, Scratch, run};

/// Where shared memory lies among the generic addresses.
pub(crate) const SHARED_WINDOW: u64 = 1 << 36;
/// Where local memory lies among the generic addresses.
pub(crate) const LOCAL_WINDOW: u64 = 2 << 36;
