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

/// Checks of what entry points are given; `what` names the buffer.
impl<E> Error<E> {
    /// found = expected.
    ///
    /// ```
    /// use detfree_core::{Error, Shape};
    /// type Checked = Result<(), Error<core::convert::Infallible>>;
    /// let checked: Checked = Error::check_shape("the weight", Shape::new(3, 2), Shape::new(2, 3));
    /// let error = checked.unwrap_err();
    /// assert_eq!(error.to_string(), "the weight has 2 rows of 3 numbers where 3 rows of 2 are needed");
    /// ```
    ///
    /// # Errors
    /// [`Self::Shape`] where they differ.
    pub fn check_shape(what: &'static str, expected: Shape, found: Shape) -> Result<(), Self> {
        if found == expected {
            Ok(())
        } else {
            Err(Self::Shape {
                what,
                expected,
                found,
            })
        }
    }

    /// found = expected, of results with one number for every row.
    ///
    /// # Errors
    /// [`Self::Shape`] where they differ.
    pub fn check_rows(what: &'static str, expected: usize, found: usize) -> Result<(), Self> {
        Self::check_shape(what, Shape::new(expected, 1), Shape::new(found, 1))
    }

    /// numbers = rows · dim, of row-major numbers on the host.
    ///
    /// # Errors
    /// [`Self::Shape`] for another count: with the rows that they make or, where a row is left
    /// incomplete, as a single one.
    pub fn check_numbers(what: &'static str, expected: Shape, numbers: usize) -> Result<(), Self> {
        let Shape { rows, dim } = expected;
        if rows.checked_mul(dim) == Some(numbers) {
            return Ok(());
        }
        let found = match (numbers.checked_div(dim), numbers.checked_rem(dim)) {
            (Some(rows), Some(0)) => Shape::new(rows, dim),
            _ => Shape::new(1, numbers),
        };
        Err(Self::Shape {
            what,
            expected,
            found,
        })
    }

    /// numbers = n · dim for some n, of row-major numbers on the host.
    ///
    /// # Errors
    /// [`Self::Shape`] where the last row is incomplete, with what there is of it.
    pub fn check_whole_rows(numbers: usize, dim: usize) -> Result<(), Self> {
        let rest = numbers.checked_rem(dim).unwrap_or(numbers);
        if rest == 0 {
            return Ok(());
        }
        Self::check_shape("the last row", Shape::new(1, dim), Shape::new(1, rest))
    }
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
            } => {
                let plural = |count| if count == 1 { "" } else { "s" };
                let (row, number) = (plural(found.rows), plural(found.dim));
                write!(
                    f,
                    "{what} has {} row{row} of {} number{number} where {} row{} of {} {} needed",
                    found.rows,
                    found.dim,
                    expected.rows,
                    plural(expected.rows),
                    expected.dim,
                    if expected.rows == 1 { "is" } else { "are" }
                )
            }
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

#[cfg(test)]
mod tests {
    use core::convert::Infallible;

    use super::*;

    fn refused(checked: Result<(), Error<Infallible>>) -> Option<(usize, usize)> {
        match checked {
            Err(Error::Shape { found, .. }) => Some((found.rows, found.dim)),
            _ => None,
        }
    }

    /// A count of one is followed by a singular.
    #[test]
    fn one_row_and_one_number() {
        let refused: Result<(), Error<Infallible>> = Error::check_whole_rows(5, 2);
        let said = refused.map_err(|error| std::string::ToString::to_string(&error));
        let wanted = "the last row has 1 row of 1 number where 1 row of 2 is needed";
        assert_eq!(said.as_ref().map_err(|said| &**said), Err(wanted));
    }

    /// What is refused never reads like what is expected, and no dimension divides by 0.
    #[test]
    fn numbers_that_make_no_such_batch() {
        for (rows, dim, numbers, found) in [
            (4, 2, 8, None),
            (4, 2, 6, Some((3, 2))),
            (4, 2, 9, Some((1, 9))),
            (4, 2, 0, Some((0, 2))),
            (0, 2, 0, None),
            (4, 0, 0, None),
            (4, 0, 3, Some((1, 3))),
            (usize::MAX, 2, 0, Some((0, 2))),
        ] {
            let checked = Error::check_numbers("", Shape::new(rows, dim), numbers);
            assert_eq!(refused(checked), found, "{rows} {dim} {numbers}");
        }
    }

    #[test]
    fn last_rows_that_are_incomplete() {
        for (numbers, dim, found) in [
            (6, 2, None),
            (0, 2, None),
            (7, 3, Some((1, 1))),
            (0, 0, None),
            (3, 0, Some((1, 3))),
        ] {
            let checked = Error::check_whole_rows(numbers, dim);
            assert_eq!(refused(checked), found, "{numbers} {dim}");
        }
    }
}
