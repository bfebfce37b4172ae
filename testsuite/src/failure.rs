//! What a check returns where it does not pass.

use std::fmt;

use detfree_core::{Backend, Error, Shape};

use crate::Plain;

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

/// Numbers that are compared, and where they stand.
pub(crate) trait Numbers {
    fn numbers(&self) -> &[f64];

    /// Rows and columns; one row of everything where there are no rows.
    fn extent(&self) -> Shape {
        Shape::new(1, self.numbers().len())
    }
}

impl Numbers for [f64] {
    fn numbers(&self) -> &[f64] {
        self
    }
}

impl<const N: usize> Numbers for [f64; N] {
    fn numbers(&self) -> &[f64] {
        self
    }
}

impl Numbers for Vec<f64> {
    fn numbers(&self) -> &[f64] {
        self
    }
}

impl Numbers for Plain {
    fn numbers(&self) -> &[f64] {
        self.as_slice()
    }

    fn extent(&self) -> Shape {
        self.shape()
    }
}

/// Passes where every element differs from its expectation by at most `tolerance` · max(1,
/// |expected|), with NaN and infinities in the same places.
pub(crate) fn near(
    case: impl fmt::Display,
    got: &(impl Numbers + ?Sized),
    want: &(impl Numbers + ?Sized),
    tolerance: f64,
) -> Outcome {
    let extent = want.extent();
    let (got, want) = (got.numbers(), want.numbers());
    ensure(got.len() == want.len(), || {
        format!("{case}: {} numbers, not {}", got.len(), want.len())
    })?;
    for (i, (&got, &want)) in got.iter().zip(want).enumerate() {
        let same = got == want || (got.is_nan() && want.is_nan());
        let error = (got - want).abs() / want.abs().max(1.0);
        ensure(same || error <= tolerance, || {
            let place = place(i, extent);
            format!(
                "{case}: {place} is {}",
                compared(got, want, error, tolerance)
            )
        })?;
    }
    Ok(())
}

/// [`near`] of what a computation gives; where it fails, the failure names the case.
pub(crate) fn gives<E: fmt::Debug>(
    case: impl fmt::Display,
    got: Result<impl Numbers, Error<E>>,
    want: &(impl Numbers + ?Sized),
    tolerance: f64,
) -> Outcome {
    let got = got.map_err(|error| Failure::from(error).of(&case))?;
    near(case, &got, want, tolerance)
}

/// Passes where every buffer that a pass writes is near the one of the same name.
pub(crate) fn near_each(
    case: impl fmt::Display,
    got: &[(&str, Plain)],
    want: &[(&str, Plain)],
    tolerance: f64,
) -> Outcome {
    for ((name, got), (_, want)) in got.iter().zip(want) {
        near(format!("{case}: {name}"), got, want, tolerance)?;
    }
    Ok(())
}

fn place(i: usize, extent: Shape) -> String {
    if extent.rows > 1 {
        let (row, column) = (i / extent.dim, i % extent.dim);
        format!("row {row}, column {column}")
    } else {
        format!("element {i}")
    }
}

/// Seven digits where the tolerance is one of `f32`, as many as it takes otherwise.
fn compared(got: f64, want: f64, error: f64, tolerance: f64) -> String {
    if tolerance == 0.0 {
        return format!("{got:e}, not {want:e} exactly");
    }
    if !error.is_finite() {
        return format!("{got:e}, not {want:e}");
    }
    let multiple = error / tolerance;
    if tolerance > 1e-9 {
        format!("{got:.6e}, not {want:.6e}: {multiple:.3e} times the tolerance of {tolerance:.1e}")
    } else {
        format!(
            "{got:.16e}, not {want:.16e}: {multiple:.3e} times the tolerance of {tolerance:.1e}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_where_and_how_far_off() {
        let want = Plain::new(2, 3, |i, j| (3 * i + j) as f64);
        let mut got = want.clone();
        got.as_mut_slice()[5] = 5.5;
        let failure = near("case", &got, &want, 0.01).unwrap_err();
        assert_eq!(
            failure.to_string(),
            "case: row 1, column 2 is 5.500000e0, not 5.000000e0: \
             1.000e1 times the tolerance of 1.0e-2"
        );
        let failure = near("case", &[0.5, 1.5], &[0.5, 1.0], 0.0).unwrap_err();
        assert_eq!(
            failure.to_string(),
            "case: element 1 is 1.5e0, not 1e0 exactly"
        );
        let failure = near("case", &[f64::NAN], &[1.0], 0.01).unwrap_err();
        assert_eq!(failure.to_string(), "case: element 0 is NaN, not 1e0");
    }
}
