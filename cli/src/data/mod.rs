//! Numeric tables: read from files or drawn from a toy distribution, split, dequantised.

mod array;
mod cell;
mod csv;
mod dequantize;
mod error;
mod first_line;
mod idx;
mod npy;
mod read;
mod repeated;
mod split;
mod table;
mod toy;

pub(crate) use dequantize::{Noise, integer_columns, integer_warning};
pub(crate) use error::DataError;
pub(crate) use read::{STDIN, read};
pub(crate) use repeated::{repeated_columns, repeated_warning};
pub(crate) use split::Parts;
pub(crate) use table::{Format, Table, columns};
pub(crate) use toy::toy_pair;
