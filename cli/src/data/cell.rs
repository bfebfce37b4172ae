use super::error::{Place, Problem, quote};

/// What programs write where a value is missing.
const MISSING: [&str; 9] = ["NA", "N/A", "n/a", "null", "NULL", "None", "-", "?", "."];

pub(super) fn is_number(cell: &str) -> bool {
    cell.parse::<f64>().is_ok()
}

/// Whether this is a number, one with commas, or the lack of one: no name of a column.
pub(super) fn is_value(cell: &str) -> bool {
    cell.is_empty() || is_number(cell) || has_comma(cell) || MISSING.contains(&cell)
}

/// A number with a comma before its decimals, or between its thousands.
fn has_comma(cell: &str) -> bool {
    cell.contains(',') && is_number(&cell.replace(',', ""))
}

/// What is wrong with a cell that is no finite number.
pub(super) fn problem(cell: &str, place: Place, column: String) -> Problem {
    let text = quote(cell);
    match cell.parse() {
        Ok(value) => Problem::NotFinite {
            place,
            column,
            value,
        },
        Err(_) if cell.is_empty() => Problem::EmptyCell { place, column },
        Err(_) if MISSING.contains(&cell) => Problem::MissingValue {
            place,
            column,
            text,
        },
        Err(_) if has_comma(cell) => Problem::Comma {
            place,
            column,
            text,
        },
        Err(_) if cell.split_whitespace().all(is_number) => Problem::Spaces { place },
        Err(_) => Problem::Text {
            place,
            column,
            text,
        },
    }
}
