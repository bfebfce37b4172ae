//! What the entry points of this crate can refuse.

use core::fmt;

use crate::{ScheduleError, Shape};

/// What an entry point returns; primitives return the backend's bare error `E`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error<E> {
    /// A buffer's shape does not match the operator or layer it is used with.
    Shape {
        /// Which buffer.
        what: &'static str,
        /// The shape it must have.
        expected: Shape,
        /// The shape it has.
        found: Shape,
    },
    /// A schedule that cannot be, or that has an infinite variance for the contraction stated.
    Schedule(ScheduleError),
    /// A matrix that must be inverted is singular to working precision.
    Singular,
    /// A number or a choice that cannot be: the sentence says which, and what it must be.
    Invalid(&'static str),
    /// The backend failed.
    Device(E),
}

impl<E> From<E> for Error<E> {
    fn from(error: E) -> Self {
        Self::Device(error)
    }
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape {
                what,
                expected,
                found,
            } => write!(
                f,
                "{what} has {} rows of {} numbers where {} rows of {} are needed",
                found.rows, found.dim, expected.rows, expected.dim
            ),
            Self::Schedule(error) => error.fmt(f),
            Self::Singular => f.write_str(
                "the matrix is singular to working precision, so it has no inverse: \
                 start from a well-conditioned one, or take smaller steps",
            ),
            Self::Invalid(sentence) => f.write_str(sentence),
            Self::Device(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for Error<E> {}

/// Refuses a buffer of the wrong shape.
pub(crate) fn check_shape<E>(
    what: &'static str,
    expected: Shape,
    found: Shape,
) -> Result<(), Error<E>> {
    if found == expected {
        Ok(())
    } else {
        Err(Error::Shape {
            what,
            expected,
            found,
        })
    }
}

/// Refuses per-row results of the wrong length.
pub(crate) fn check_rows<E>(
    what: &'static str,
    expected: usize,
    found: usize,
) -> Result<(), Error<E>> {
    check_shape(what, Shape::new(expected, 1), Shape::new(found, 1))
}
