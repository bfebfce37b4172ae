use super::error::{Problem, quote};

/// Where a table came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Csv,
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

    /// Refuses a table that has not as many columns as `whose`, a model or another table.
    pub(crate) fn expect_columns(
        &self,
        expected: usize,
        whose: &str,
    ) -> Result<(), super::DataError> {
        if self.dim() == expected {
            return Ok(());
        }
        let problem = Problem::Columns {
            found: self.dim(),
            expected,
            whose: whose.to_owned(),
        };
        Err(problem.of(&self.origin))
    }

    /// The names of these columns in quotes, of many the first few and how many more there are.
    pub(super) fn quoted_names(&self, columns: &[usize]) -> String {
        const SHOWN: usize = 4;
        let shown = columns.iter().take(SHOWN).map(|&c| quote(&self.names[c]));
        let mut text = shown.collect::<Vec<_>>().join(", ");
        if columns.len() > SHOWN {
            text += &format!(" and {} more", columns.len() - SHOWN);
        }
        text
    }
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
