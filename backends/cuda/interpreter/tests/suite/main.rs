//! Known answers of every family of instructions, and broken kernels that must be found.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests fail by panicking, in their helpers too"
)]

mod approximations;
mod barriers;
mod bits;
mod comparisons;
mod conversions;
mod device_memory;
mod floats;
mod harness;
mod integers;
mod memory;
mod programs;
mod races;
mod refusals;
mod warps;
