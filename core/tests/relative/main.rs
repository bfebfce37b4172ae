//! The relative gradient against the long way round: explicit inverses, LU and differences.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper that fails fails its test"
)]

mod channels;
mod direction;
mod guard;
mod online;
mod plain;
mod refusals;
mod tracking;
