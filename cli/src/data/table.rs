use super::error::{DataError, Problem, quote};

/// Where a table came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// With names of its columns in the first line.
    Csv,
    HeaderlessCsv,
    Npy,
    Idx,
    Toy,
}

/// Finite numbers in rows and named columns, at least one of each.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Table {
    origin: String,
    format: Format,
    names: Vec<String>,
    values: Vec<f64>,
}

/// Column names, and the values row by row.
pub(super) type Cells = (Vec<String>, Vec<f64>);

impl Table {
    pub(super) fn new(origin: String, format: Format, (names, values): Cells) -> Self {
        Self {
            origin,
            format,
            names,
            values,
        }
    }

    /// The file or toy, as errors name it.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Every value, row by row.
    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }

    pub(crate) fn rows(&self) -> usize {
        self.values.len() / self.dim()
    }

    pub(crate) fn dim(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.dim()..][..self.dim()]
    }

    /// What its first line was taken for, after the number of columns.
    pub(crate) const fn heading(&self) -> &'static str {
        match self.format {
            Format::Csv => " named by its first line",
            Format::HeaderlessCsv => " without names, its first line is a row",
            Format::Npy | Format::Idx | Format::Toy => "",
        }
    }

    /// Whether its columns have names, be they those of columns without.
    const fn is_named(&self) -> bool {
        matches!(self.format, Format::Csv | Format::Toy)
    }

    /// Refuses a table that has not the columns of another: as many, and where both have names, the same
    /// ones in the same order.
    pub(crate) fn expect_columns_of(&self, other: &Self) -> Result<(), DataError> {
        self.expect(&other.names, other.is_named(), &other.origin)
    }

    /// Refuses a table that has not the columns of a model, which does not know whether default names come
    /// from a header.
    pub(crate) fn expect_columns(&self, expected: &[String], model: &str) -> Result<(), DataError> {
        self.expect(expected, !are_default(expected), model)
    }

    fn expect(&self, expected: &[String], named: bool, whose: &str) -> Result<(), DataError> {
        let whose = whose.to_owned();
        let sorted = |names: &[String]| {
            let mut names = names.to_vec();
            names.sort();
            names
        };
        let found = self.names.as_slice();
        let problem = if found.len() != expected.len() {
            Problem::Columns {
                found: found.len(),
                expected: expected.len(),
                whose,
            }
        } else if !self.is_named() || !(named || sorted(found) == sorted(expected)) {
            return Ok(());
        } else {
            let same = found.iter().zip(expected).take_while(|(f, e)| f == e);
            let start = same.count();
            let from = start + 1;
            let [found_rest, expected_rest] = [found, expected].map(|names| &names[start..]);
            match (found_rest, expected_rest) {
                ([found, ..], [expected, ..]) if sorted(found_rest) != sorted(expected_rest) => {
                    Problem::Name {
                        whose,
                        from,
                        expected: quote(expected),
                        found: quote(found),
                    }
                }
                ([_, ..], _) => Problem::Order {
                    whose,
                    from,
                    expected: quoted(expected_rest.iter()),
                    found: quoted(found_rest.iter()),
                },
                _ => return Ok(()),
            }
        };
        Err(problem.of(&self.origin))
    }

    /// Refuses fractions in columns of whole numbers.
    pub(crate) fn expect_whole(&self, columns: &[usize]) -> Result<(), DataError> {
        for (row, values) in self.values.chunks_exact(self.dim()).enumerate() {
            if let Some(&column) = columns.iter().find(|&&c| values[c].fract() != 0.0) {
                let problem = Problem::NotWhole {
                    row: row + 1,
                    column: quote(&self.names[column]),
                    value: values[column],
                };
                return Err(problem.of(&self.origin));
            }
        }
        Ok(())
    }

    /// These columns and the table they are of, as a sentence begins.
    pub(crate) fn named(&self, columns: &[usize]) -> String {
        let these = if columns.len() == 1 {
            "column"
        } else {
            "columns"
        };
        format!("{these} {} of {}", self.quoted_names(columns), self.origin)
    }

    /// The names of these columns in quotes, of many the first few and how many more there are.
    pub(crate) fn quoted_names(&self, columns: &[usize]) -> String {
        quoted(columns.iter().map(|&c| &self.names[c]))
    }
}

fn quoted<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    const SHOWN: usize = 4;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names.take(SHOWN).map(|name| quote(name));
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if more > 0 {
        text += &format!(" and {more} more");
    }
    text
}

/// "1 column", "2 columns" and so on.
pub(crate) fn columns(count: usize) -> String {
    match count {
        1 => "1 column".to_owned(),
        _ => format!("{count} columns"),
    }
}

/// Whether these are the names of columns that have none.
fn are_default(names: &[String]) -> bool {
    let last = names.last().and_then(|name| name.strip_prefix('p'));
    let width = last
        .and_then(|place| place.split_once('_'))
        .and_then(|(_, column)| column.parse::<usize>().ok()?.checked_add(1));
    let of_image = |width: usize| {
        names.len().is_multiple_of(width) && default_names(&[names.len() / width, width]) == names
    };
    default_names(&[names.len()]) == names || width.is_some_and(of_image)
}

/// `p{row}_{column}` for pixels of images, `x{index}` otherwise.
pub(super) fn default_names(axes: &[usize]) -> Vec<String> {
    let dim = axes.iter().product();
    match *axes {
        [_, width] => (0..dim)
            .map(|i| format!("p{}_{}", i / width, i % width))
            .collect(),
        _ => (0..dim).map(|i| format!("x{i}")).collect(),
    }
}
