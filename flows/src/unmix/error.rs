//! What a table can lack that unmixing needs.

use core::fmt;

use detfree_core::Error;

/// Why rows cannot be unmixed. Columns and rows are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum UnmixError<E> {
    /// Fewer rows than columns + 2.
    TooFewRows {
        /// How many there are.
        rows: usize,
        /// How many are needed.
        needed: usize,
    },
    /// A value is NaN or infinite.
    NotFinite {
        /// Which row.
        row: usize,
        /// Which column.
        column: usize,
    },
    /// A column is constant to rounding, or so large that its spread overflows.
    NoSpread {
        /// Which column.
        column: usize,
    },
    /// A column is a linear combination of those before it, to one part in 10⁵ of its spread: the
    /// mixing then has no inverse.
    Dependent {
        /// Which column.
        column: usize,
    },
    /// Rows that are incomplete or empty, a singular matrix, or the device.
    Core(Error<E>),
}

impl<E> From<Error<E>> for UnmixError<E> {
    fn from(error: Error<E>) -> Self {
        Self::Core(error)
    }
}

impl<E> From<E> for UnmixError<E> {
    fn from(error: E) -> Self {
        Self::Core(Error::Device(error))
    }
}

impl<E: fmt::Display> fmt::Display for UnmixError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFewRows { rows, needed } => write!(
                f,
                "too few rows: expected at least {needed} (columns + 2), found {rows}"
            ),
            Self::NotFinite { row, column } => write!(
                f,
                "row {row}, column {column} (counted from 0) is not a finite number: \
                 remove or replace it"
            ),
            Self::NoSpread { column } => write!(
                f,
                "column {column} (counted from 0) is constant, or too large to have a spread: \
                 remove or rescale it"
            ),
            Self::Dependent { column } => write!(
                f,
                "column {column} (counted from 0) is a linear combination of the columns before \
                 it, so there is no way back to as many sources: remove it"
            ),
            Self::Core(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for UnmixError<E> {}
