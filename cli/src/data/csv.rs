use std::iter;

use ::csv::{ReaderBuilder, StringRecord, Trim};

use super::error::{Place, Problem, quote};
use super::table::{Cells, Format};

/// Reads rows of numbers. The first line is a header if none of its cells is a number, and one is not
/// empty; its separator (comma, semicolon or tab, in this order) holds for the whole file.
pub(super) fn parse(text: &str) -> Result<(Format, Cells), Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(Problem::Empty);
    }
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter(text))
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(text.as_bytes());
    let mut record = StringRecord::new();
    let mut next = |record: &mut StringRecord| {
        // In memory, and already UTF-8: nothing is left that could fail.
        reader
            .read_record(record)
            .map_err(|_| Problem::Unrecognised)
    };

    next(&mut record)?;
    let header = is_header(text, &record)?;
    let names: Vec<String> = record
        .iter()
        .enumerate()
        .map(|(i, cell)| match header && !cell.is_empty() {
            true => cell.to_owned(),
            false => format!("x{i}"),
        })
        .collect();
    if header && !next(&mut record)? {
        return Err(Problem::HeaderOnly);
    }
    let mut values = Vec::new();
    loop {
        push_row(text, &record, &names, &mut values)?;
        if !next(&mut record)? {
            let format = match header {
                true => Format::Csv,
                false => Format::HeaderlessCsv,
            };
            return Ok((format, (names, values)));
        }
    }
}

/// Refuses a first line that is half a header: taken for one, it could be a row with a cell that is no
/// number, which would be lost.
fn is_header(text: &str, first: &StringRecord) -> Result<bool, Problem> {
    let is_number = |cell: &&str| cell.parse::<f64>().is_ok();
    let is_text = |cell: &&str| !cell.is_empty() && !is_number(cell);
    match (first.iter().find(is_text), first.iter().find(is_number)) {
        (Some(name), Some(number)) => Err(Problem::HalfHeader {
            place: Place::Line(line(text, first)),
            name: quote(name),
            number: quote(number),
        }),
        (name, _) => Ok(name.is_some()),
    }
}

fn delimiter(text: &str) -> u8 {
    let first = text.trim_start_matches(['\r', '\n']).lines().next();
    let first = first.unwrap_or_default().as_bytes();
    let in_first = |delimiter: &u8| first.contains(delimiter);
    [b',', b';', b'\t']
        .into_iter()
        .find(in_first)
        .unwrap_or(b',')
}

fn push_row(
    text: &str,
    record: &StringRecord,
    names: &[String],
    values: &mut Vec<f64>,
) -> Result<(), Problem> {
    let place = || Place::Line(line(text, record));
    if record.len() != names.len() {
        return Err(Problem::Ragged {
            place: place(),
            found: record.len(),
            expected: names.len(),
        });
    }
    for (cell, name) in iter::zip(record, names) {
        match cell.parse::<f64>() {
            Ok(value) if value.is_finite() => values.push(value),
            _ => return Err(bad_cell(cell, place(), quote(name))),
        }
    }
    Ok(())
}

fn bad_cell(cell: &str, place: Place, column: String) -> Problem {
    let is_number = |text: &str| text.parse::<f64>().is_ok();
    match cell.parse() {
        Ok(value) => Problem::NotFinite {
            place,
            column,
            value,
        },
        Err(_) if cell.is_empty() => Problem::EmptyCell { place, column },
        Err(_) if cell.split_whitespace().all(is_number) => Problem::Spaces { place },
        Err(_) => Problem::Text {
            place,
            column,
            text: quote(cell),
        },
    }
}

/// The line that a record starts on. The reader's own count stops before the empty lines that it
/// skips.
fn line(text: &str, record: &StringRecord) -> usize {
    let start = record.position().map_or(0, |p| p.byte() as usize);
    let (before, after) = text.as_bytes().split_at(start.min(text.len()));
    let skipped = after.iter().take_while(|b| b"\r\n".contains(b));
    let ends = before.iter().chain(skipped).filter(|&&b| b == b'\n');
    1 + ends.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        parse(text).unwrap().1.0
    }

    fn error(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn headers() {
        assert_eq!(names("a,b\n1,2\n"), ["a", "b"]);
        assert_eq!(names("1,2\n3,4\n"), ["x0", "x1"]);
        assert_eq!(names(",b\n3,4\n"), ["x0", "b"]);
        assert_eq!(names("\"a, b\",\"c\"\"d\"\n1,2\n"), ["a, b", "c\"d"]);
        assert_eq!(names("\u{feff}a,b\n1,2\n"), ["a", "b"]);
        assert_eq!(names("\u{feff}1,2\n3,4\n"), ["x0", "x1"]);
        for (text, format) in [
            ("x0,x1\n1,2\n", Format::Csv),
            ("1,2\n3,4\n", Format::HeaderlessCsv),
        ] {
            assert_eq!(parse(text).unwrap().0, format);
        }
        assert_eq!(
            error("\n1.5,oops,3\n1,2,3\n"),
            "line 2: \"oops\" is not a number and \"1.5\" is one, so the line is neither a header nor a \
             row: correct the cell, or give every column a name that is no number"
        );
        // One value is missing: that makes no header.
        assert_eq!(
            error("1,,3\n1,2,3\n"),
            "line 1, column \"x1\": the cell is empty; fill in or remove missing values"
        );
        assert_eq!(error("a,b\n\n"), "has a header but no rows");
    }

    #[test]
    fn cells() {
        let expected = vec![1.0, -2.5, 3e-4, 0.5];
        for text in [
            "1,-2.5\n3e-4,.5\n",
            "a,b\r\n1,-2.5\r\n3e-4,.5",
            "1 , -2.5\n\n\"3e-4\",+0.5\n\n",
            "1;-2.5\n3e-4;0.5\n",
            "a\tb\n1\t-2.5\n3e-4\t0.5\n",
        ] {
            assert_eq!(parse(text).unwrap().1.1, expected, "{text:?}");
        }
        assert_eq!(parse("one\n1\n2\n").unwrap().1.1, [1.0, 2.0]);
    }

    #[test]
    fn bad_cells_are_named() {
        for (text, expected) in [
            (
                "a,b\n1,2\n3\n",
                "line 3: expected 2 cells as on the first line, found 1",
            ),
            (
                "1,2\n\n\n3,4,5\n",
                "line 4: expected 2 cells as on the first line, found 3",
            ),
            (
                "a,b\n1,2\n3,oops\n",
                "line 3, column \"b\": \"oops\" is not a number",
            ),
            (
                "\r\n\"a\nb\",c\n1,2\n\n1_0,4\n",
                "line 6, column \"a\\nb\": \"1_0\" is not a number",
            ),
            (
                "a\n1\nThe quick brown fox jumps over the dog\n",
                "line 3, column \"a\": \"The quick brown fox jumps over\"… is not a number",
            ),
            (
                "a,b\n1,2\n,4\n",
                "line 3, column \"a\": the cell is empty; fill in or remove missing values",
            ),
            (
                "nan,2\n3,4\n",
                "line 1, column \"x0\": NaN is not a finite number; remove or replace it",
            ),
            (
                "a,b\n1,-inf\n",
                "line 2, column \"b\": -inf is not a finite number; remove or replace it",
            ),
            (
                "a,b\n1e999,1\n",
                "line 2, column \"a\": inf is not a finite number; remove or replace it",
            ),
            (
                "# a b\n1.0 2.0\n",
                "line 2: cells are separated by spaces, expected commas, semicolons or tabs",
            ),
        ] {
            assert_eq!(error(text), expected);
        }
    }
}
