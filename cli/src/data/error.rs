use std::fmt;

use detfree::flows::toy::Toy;
use thiserror::Error;

use super::table::columns;

/// What is wrong with which data, in one line.
#[derive(Debug, Error)]
#[error("{origin}: {problem}")]
pub(crate) struct DataError {
    origin: String,
    problem: Problem,
}

#[derive(Debug, Error)]
pub(super) enum Problem {
    #[error("no such file")]
    Missing,
    #[error("no such file; only the DATA of fit may be a toy")]
    ToyElsewhere,
    #[error("is a directory, expected a file")]
    Directory,
    #[error("cannot be read: {0}")]
    Unreadable(std::io::Error),
    #[error("the gzip stream is truncated or damaged ({0})")]
    Gzip(std::io::Error),
    #[error("is empty, expected rows of numbers")]
    Empty,
    #[error("is a single number without a shape, expected rows of numbers")]
    Scalar,
    #[error("has a header but no rows")]
    HeaderOnly,
    #[error(
        "{place}: {name} is not a number and {number} is one, so the line is neither a header nor a \
         row: correct the cell, or give every column a name that is no number"
    )]
    HalfHeader {
        place: Place,
        name: String,
        number: String,
    },
    #[error(
        "line 1: {text} is a note for spreadsheets, expected a header or a row: remove the line"
    )]
    Note { text: String },
    #[error(
        "{place}: the numbers count up from {first} to {last}, as those of a header do, and no other row \
         is of whole numbers: if it is a header, write names that are no numbers; if it is a row, put a \
         line of names before it"
    )]
    NumberedHeader { place: Place, first: f64, last: f64 },
    #[error("is neither a table in UTF-8 text (CSV) nor .npy nor IDX")]
    Unrecognised,
    #[error("the {0} header is truncated or damaged")]
    Header(&'static str),
    #[error("numbers of type {0} are not supported, expected f4, f8, integers or booleans")]
    NumberType(String),
    #[error(
        "is truncated or damaged: shape {shape:?} takes {expected} bytes, but {found} follow the header"
    )]
    Length {
        shape: Vec<usize>,
        expected: usize,
        found: usize,
    },
    #[error("{place}: expected {expected} cells as on the first line, found {found}")]
    Ragged {
        place: Place,
        found: usize,
        expected: usize,
    },
    #[error("{place}, column {column}: the cell is empty; fill in or remove missing values")]
    EmptyCell { place: Place, column: String },
    #[error(
        "{place}, column {column}: {text} stands for a missing value; fill in or remove missing values"
    )]
    MissingValue {
        place: Place,
        column: String,
        text: String,
    },
    #[error(
        "{place}, column {column}: {text} has a comma in a number; write decimals with a point, as in \
         1.5, and thousands without a comma"
    )]
    Comma {
        place: Place,
        column: String,
        text: String,
    },
    #[error("{place}, column {column}: {text} is not a number")]
    Text {
        place: Place,
        column: String,
        text: String,
    },
    #[error(
        "{place}: cells are separated by spaces, expected commas, semicolons, tabs or bars (|)"
    )]
    Spaces { place: Place },
    #[error("{place}, column {column}: {value} is not a finite number; remove or replace it")]
    NotFinite {
        place: Place,
        column: String,
        value: f64,
    },
    #[error("too few rows: expected at least {needed} (columns + 2), found {rows}")]
    TooFewRows { rows: usize, needed: usize },
    #[error(
        "{rows} rows, less {validation} to validate and {held_out} to hold out, leave too few to train on: \
         expected at least 2; add rows, or lower --validation"
    )]
    TooFewToTrainOn {
        rows: usize,
        validation: usize,
        held_out: usize,
    },
    #[error(
        "row {row}, column {column}: {value} is none of the whole numbers from 0 to {} that --logit and \
         the presets for MNIST expect; multiply fractions to whole numbers, or leave the option out",
        levels - 1.0
    )]
    NotALevel {
        /// Counted from 1.
        row: usize,
        column: String,
        value: f64,
        levels: f64,
    },
    #[error(
        "has no spread among its {rows} training rows in {names}: remove constant columns (whole numbers \
         may stay with --dequantize), or add rows in which they vary"
    )]
    Constant { rows: usize, names: String },
    #[error("expected {} as in {whose}, found {found}", columns(*expected))]
    Columns {
        found: usize,
        expected: usize,
        whose: String,
    },
    #[error(
        "its columns are in another order than those of {whose}: from column {from} on expected \
         {expected}, found {found}; reorder them"
    )]
    Order {
        whose: String,
        /// Counted from 1.
        from: usize,
        expected: String,
        found: String,
    },
    #[error(
        "column {from} is {found}, expected {expected} as in {whose}: rename it, or remove the header \
         for columns to be taken in their order"
    )]
    Name {
        whose: String,
        /// Counted from 1.
        from: usize,
        expected: String,
        found: String,
    },
    #[error(
        "row {row}, column {column}: {value} is no whole number, but the model takes whole numbers \
         there, to which it adds noise of one unit (fit --dequantize)"
    )]
    NotWhole {
        /// Counted from 1.
        row: usize,
        column: String,
        value: f64,
    },
    #[error("there is no such toy, expected one of {}", Toy::ALL.map(Toy::name).join(", "))]
    UnknownToy,
}

impl Problem {
    pub(super) fn of(self, origin: &str) -> DataError {
        DataError {
            origin: origin.to_owned(),
            problem: self,
        }
    }
}

/// Where a cell is, counted from 1.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// A line of a text file, its header and empty lines included.
    Line(usize),
    /// A row of a binary array.
    Row(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Row(number) => write!(f, "row {number}"),
        }
    }
}

/// Text from a file, made fit for a message: in quotes, on one line, and short.
pub(super) fn quote(text: &str) -> String {
    const SHOWN: usize = 30;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
