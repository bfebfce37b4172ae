//! What a check returns where it does not pass.

use std::fmt;

use detfree_core::{Backend, Error};

/// What a check found wrong, in words: the case, what came out and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(String);

/// The result of a check.
pub type Outcome = Result<(), Failure>;

/// What a computation on a backend gives before it is judged.
pub(crate) type Computed<B, T = ()> = Result<T, Error<<B as Backend>::Error>>;

impl Failure {
    /// A failure with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// The same, in the context of a case.
    pub(crate) fn of(self, case: impl fmt::Display) -> Self {
        Self(format!("{case}: {}", self.0))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl<E: fmt::Debug> From<Error<E>> for Failure {
    fn from(error: Error<E>) -> Self {
        Self(format!("the computation itself failed: {error:?}"))
    }
}

/// Passes where the condition holds.
pub(crate) fn ensure(holds: bool, message: impl FnOnce() -> String) -> Outcome {
    if holds {
        Ok(())
    } else {
        Err(Failure(message()))
    }
}

/// Passes where every element differs from its expectation by at most `tolerance` · max(1,
/// |expected|), with NaN and infinities in the same places.
pub(crate) fn near(case: impl fmt::Display, got: &[f64], want: &[f64], tolerance: f64) -> Outcome {
    ensure(got.len() == want.len(), || {
        format!("{case}: {} numbers, not {}", got.len(), want.len())
    })?;
    for (i, (&got, &want)) in got.iter().zip(want).enumerate() {
        let same = got == want || (got.is_nan() && want.is_nan());
        ensure(
            same || (got - want).abs() <= tolerance * want.abs().max(1.0),
            || format!("{case}: element {i} is {got:e}, not {want:e} within {tolerance:e}"),
        )?;
    }
    Ok(())
}
