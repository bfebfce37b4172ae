use std::iter;

use ::csv::{ReaderBuilder, StringRecord, Trim};

use super::error::{Place, Problem, quote};
use super::table::{Cells, Format};
use super::{cell, first_line};

/// Reads rows of numbers. The first line is a header if none of its cells is a number, and one is a name;
/// its separator (comma, semicolon, tab or bar) holds for the whole file.
pub(super) fn parse(text: &str) -> Result<(Format, Cells), Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(Problem::Empty);
    }
    let text = without_blank_end(text);
    first_line::refuse_note(text)?;
    let mut reader = ReaderBuilder::new()
        .delimiter(first_line::delimiter(text))
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
    let place = Place::Line(line(text, &record));
    let header = first_line::is_header(&record, place)?;
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
            break;
        }
    }
    if header {
        return Ok((Format::Csv, (names, values)));
    }
    first_line::refuse_numbered(&values, names.len(), place)?;
    Ok((Format::HeaderlessCsv, (names, values)))
}

/// Empty lines at the end hold nothing, with spaces in them or without.
fn without_blank_end(mut text: &str) -> &str {
    while let Some((rest, last)) = text.rsplit_once('\n')
        && last.trim_matches([' ', '\r']).is_empty()
    {
        text = rest;
    }
    text
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
    // In rows of several cells, an empty line stands for no value.
    if let [name] = names
        && let Some(place) = empty_line(text, record)
    {
        return Err(cell::problem("", place, quote(name)));
    }
    for (cell, name) in iter::zip(record, names) {
        match cell.parse::<f64>() {
            Ok(value) if value.is_finite() => values.push(value),
            _ => return Err(cell::problem(cell, place(), quote(name))),
        }
    }
    Ok(())
}

/// The line that a record starts on. The reader's own count stops before the empty lines that it
/// skips.
fn line(text: &str, record: &StringRecord) -> usize {
    let (before, skipped) = before(text, record);
    1 + ends(before) + ends(skipped)
}

/// The first of the empty lines that were skipped before a record.
fn empty_line(text: &str, record: &StringRecord) -> Option<Place> {
    let (before, skipped) = before(text, record);
    // The rest of \r\n ends the line before.
    let end = usize::from(before.ends_with(b"\r") && skipped.starts_with(b"\n"));
    (ends(&skipped[end..]) > 0).then(|| Place::Line(1 + ends(before) + end))
}

/// The text before a record, and the ends of lines that the reader skips from there.
fn before<'a>(text: &'a str, record: &StringRecord) -> (&'a [u8], &'a [u8]) {
    let start = record.position().map_or(0, |p| p.byte() as usize);
    let (before, after) = text.as_bytes().split_at(start.min(text.len()));
    let skipped = after.iter().take_while(|b| b"\r\n".contains(b)).count();
    (before, &after[..skipped])
}

fn ends(text: &[u8]) -> usize {
    text.iter().filter(|&&b| b == b'\n').count()
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
        // Sodium is a name where there are other names.
        assert_eq!(names("NA,MG\n1,2\n"), ["NA", "MG"]);
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
            "a|b\n1|-2.5\n3e-4|0.5\n",
            "\"a,b\";\"c\"\n1;-2.5\n3e-4;0.5\n",
            "1,-2.5\n3e-4,.5\n\n\n",
            "1,-2.5\r\n3e-4,.5\r\n  \r\n\r\n ",
        ] {
            assert_eq!(parse(text).unwrap().1.1, expected, "{text:?}");
        }
        for text in ["one\n1\n2\n", "\none\r\n1\r\n2\r\n\r\n  \n", "1\n2"] {
            assert_eq!(parse(text).unwrap().1.1, [1.0, 2.0], "{text:?}");
        }
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
                "a\n1\n\n\n2\n",
                "line 3, column \"a\": the cell is empty; fill in or remove missing values",
            ),
            (
                "a\r\n1\r\n\r\n2\r\n",
                "line 3, column \"a\": the cell is empty; fill in or remove missing values",
            ),
            (
                "\n1\n2\n",
                "line 1, column \"x0\": the cell is empty; fill in or remove missing values",
            ),
            (
                "a,b\n1,2\nNA,2\n",
                "line 3, column \"a\": \"NA\" stands for a missing value; fill in or remove missing values",
            ),
            (
                "2,NA\n1,2\n",
                "line 1, column \"x1\": \"NA\" stands for a missing value; fill in or remove missing values",
            ),
            (
                "NA,\n1,2\n",
                "line 1, column \"x0\": \"NA\" stands for a missing value; fill in or remove missing values",
            ),
            (
                "1,5;2,5\n3,5;4,5\n",
                "line 1, column \"x0\": \"1,5\" has a comma in a number; write decimals with a point, as \
                 in 1.5, and thousands without a comma",
            ),
            (
                "a\tb\n1,5\t2,5\n",
                "line 2, column \"a\": \"1,5\" has a comma in a number; write decimals with a point, as \
                 in 1.5, and thousands without a comma",
            ),
            (
                "sep=;\n1;2\n",
                "line 1: \"sep=;\" is a note for spreadsheets, expected a header or a row: remove the line",
            ),
            (
                "# a b\n1.0 2.0\n",
                "line 2: cells are separated by spaces, expected commas, semicolons, tabs or bars (|)",
            ),
        ] {
            assert_eq!(error(text), expected);
        }
    }
}
