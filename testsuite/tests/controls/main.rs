//! Negative controls: wrong backends, operators and estimators that the suite must reject.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod backends;
mod estimators;
mod wrong;
