//! Negative controls: wrong backends, operators and estimators that the suite must reject.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod backends;
mod estimators;
mod host;
mod operators;
mod relative;
mod wrong;

use detfree_testsuite::Outcome;

#[track_caller]
fn assert_rejected(outcome: Outcome, expectation: &str) {
    let message = outcome.expect_err("it passes").to_string();
    assert!(message.starts_with(expectation), "{message}");
}
