//! What the first line of a table in text is: a header, a row, or neither.

use ::csv::StringRecord;

use super::cell::{is_number, is_value};
use super::error::{Place, Problem, quote};

/// So many rows without whole numbers make one of nothing else look like a header.
const OTHERS: usize = 10;

/// The first of comma, semicolon, tab and bar that the first line has outside quotes; but one that leaves
/// nothing but numbers, with decimal commas, goes before the comma.
pub(super) fn delimiter(text: &str) -> u8 {
    let mut quoted = false;
    let mut before = ',';
    let outside = |&c: &char| {
        // A quote opens a cell at its beginning only; a second one within the cell stands for a quote.
        quoted ^= c == '"' && (quoted || ",;\t|\"".contains(before));
        before = c;
        !quoted
    };
    let text = text.trim_start_matches(['\r', '\n']).chars();
    let first = text.filter(outside).take_while(|c| !"\r\n".contains(*c));
    let first: String = first.collect();
    let in_first = |delimiter: &char| first.contains(*delimiter);
    let of_values = |delimiter: &char| {
        let mut cells = first.split(*delimiter);
        in_first(delimiter) && cells.all(|cell| is_value(cell.trim()))
    };
    let decimal_commas = [';', '\t', '|'].into_iter().find(of_values);
    let found = decimal_commas.or_else(|| [',', ';', '\t', '|'].into_iter().find(in_first));
    found.map_or(b',', |delimiter| delimiter as u8)
}

/// Refuses `sep=;`, by which some programs tell a spreadsheet the separator.
pub(super) fn refuse_note(text: &str) -> Result<(), Problem> {
    let line = text.lines().next().unwrap_or_default().trim_end();
    match line.len() <= "sep=;".len() && line.to_ascii_lowercase().starts_with("sep=") {
        true => Err(Problem::Note { text: quote(line) }),
        false => Ok(()),
    }
}

/// Refuses a first line that is half a header: taken for one, it could be a row with a cell that is no
/// number, which would be lost. A line without any name is a row.
pub(super) fn is_header(first: &StringRecord, place: Place) -> Result<bool, Problem> {
    let name = first.iter().find(|cell| !is_value(cell));
    match (name, first.iter().find(|cell| is_number(cell))) {
        (Some(name), Some(number)) => Err(Problem::HalfHeader {
            place,
            name: quote(name),
            number: quote(number),
        }),
        (name, _) => Ok(name.is_some()),
    }
}

/// Refuses a first row that counts up, as years or numbers of columns do, before rows that are not of whole
/// numbers.
pub(super) fn refuse_numbered(values: &[f64], dim: usize, place: Place) -> Result<(), Problem> {
    let (first, others) = values.split_at(dim);
    let is_whole = |row: &[f64]| row.iter().all(|x| x.fract() == 0.0);
    let counts_up = first.windows(2).all(|pair| pair[1] == pair[0] + 1.0);
    match (first, others.len() / dim) {
        (&[first_number, .., last], OTHERS..)
            if counts_up && is_whole(first) && !others.chunks_exact(dim).any(is_whole) =>
        {
            Err(Problem::NumberedHeader {
                place,
                first: first_number,
                last,
            })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_are_outside_quotes() {
        for (text, expected) in [
            ("a,b;c\n", b','),
            ("a;b\n1,2\n", b';'),
            ("a\tb|c\n", b'\t'),
            ("a|b\n", b'|'),
            ("a\nb,c\n", b','),
            ("\n\na;b\n", b';'),
            ("\"a,b\";\"c\"\n", b';'),
            ("\"c\";\"a,b\"\n", b';'),
            ("\"a\"\"b,\";c\n", b';'),
            ("\"a\nb\";c,d\n", b','),
            ("\"a,\nb\";c\n", b';'),
            // Inches are no quotes.
            ("5\" pipe;b\n1,2\n", b';'),
            ("\"1,5\",\"2,5\"\n", b','),
            ("1,5;2,5\n", b';'),
            ("1,5; 2\n", b';'),
            ("1,5\t2,5\n", b'\t'),
            ("1,2\n", b','),
        ] {
            assert_eq!(delimiter(text), expected, "{text:?}");
        }
    }

    #[test]
    fn rows_that_count_up_look_like_headers() {
        let refuses = |first: [f64; 3], other: f64, others: usize| {
            let rest = (0..3 * others).map(|i| i as f64 + other);
            let values: Vec<f64> = first.into_iter().chain(rest).collect();
            refuse_numbered(&values, 3, Place::Line(1)).is_err()
        };
        assert!(refuses([0.0, 1.0, 2.0], 0.5, 10));
        assert!(refuses([2019.0, 2020.0, 2021.0], 0.5, 10));
        assert!(!refuses([0.0, 1.0, 2.0], 0.5, 9));
        assert!(!refuses([0.0, 1.0, 2.0], 0.0, 10));
        assert!(!refuses([0.5, 1.5, 2.5], 0.25, 10));
        assert!(!refuses([1.0, 0.0, 2.0], 0.5, 10));
        let column: Vec<f64> = (0..20).map(|r| f64::from(r) / 3.0).collect();
        assert!(refuse_numbered(&column, 1, Place::Line(1)).is_ok());
    }
}
