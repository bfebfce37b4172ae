use super::Table;

/// One value in a twentieth of the rows is an atom, unless the rows are so few that chance made it.
const ATOM_SHARE: usize = 20;
const ATOM_ROWS: usize = 5;

/// Values of this many rows each lie on a grid, unless it is finer than any flow resolves.
const GRID_ROWS: usize = 5;
const GRID_VALUES: usize = 1_000;

/// The columns, but for those left out, in which many rows share a value: an atom (half the rows zero), or
/// a grid (rounded to a quarter).
///
/// A continuous density is unbounded at such a value, as it is at whole numbers. Measurements of several
/// digits have some ties too, but few for each value.
pub(crate) fn repeated_columns(table: &Table, left_out: &[usize]) -> Vec<usize> {
    let repeats = |&c: &usize| {
        let column = table.values().iter().skip(c).step_by(table.dim());
        !left_out.contains(&c) && is_repeated(column.copied().collect())
    };
    (0..table.dim()).filter(repeats).collect()
}

fn is_repeated(mut values: Vec<f64>) -> bool {
    let rows = values.len();
    values.sort_unstable_by(f64::total_cmp);
    let (mut distinct, mut most) = (0, 0);
    for equal in values.chunk_by(|a, b| a == b) {
        distinct += 1;
        most = most.max(equal.len());
    }
    most >= (rows / ATOM_SHARE).max(ATOM_ROWS) || distinct <= (rows / GRID_ROWS).min(GRID_VALUES)
}

/// What to tell someone who fits a density to these columns.
pub(crate) fn repeated_warning(table: &Table, columns: &[usize]) -> String {
    let (hold, them) = match columns.len() {
        1 => ("holds", "it"),
        _ => ("hold", "them"),
    };
    format!(
        "{} {hold} the same values in many rows: a density can grow without bound at a repeated value, and \
         a likelihood means little; add noise of the width of the rounding to {them}, or leave {them} out",
        table.named(columns),
    )
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::*;

    /// The fractional parts of multiples of the golden ratio: no two are equal.
    fn distinct(row: usize) -> f64 {
        (row as f64 * 0.618_033_988_749_895).fract()
    }

    fn is(rows: usize, value: impl Fn(usize) -> f64) -> bool {
        is_repeated((0..rows).map(value).collect())
    }

    #[test]
    fn atoms() {
        let zero_in_one_of = |n: usize| move |row| if row % n == 0 { 0.0 } else { distinct(row) };
        for rows in [30, 100, 1000] {
            assert!(is(rows, zero_in_one_of(2)), "{rows}");
            assert!(!is(rows, distinct), "{rows}");
        }
        assert!(is(1000, zero_in_one_of(20)));
        assert!(!is(1000, zero_in_one_of(21)));
        // Four of 19 rows may be chance.
        assert!(!is(19, zero_in_one_of(5)));
        assert!(is(19, zero_in_one_of(4)));
        // The two zeros are one value.
        let zeros = |row| {
            if row < 6 {
                [0.0, -0.0][row % 2]
            } else {
                distinct(row)
            }
        };
        assert!(is(100, zeros));
    }

    #[test]
    fn grids() {
        for width in [0.5, 0.25, 0.1] {
            let rounded = |row| (10.0 * distinct(row) / width).round() * width;
            assert!(is(1000, rounded), "{width}");
        }
        let levels = |n: f64| move |row| (distinct(row) * n).floor() / n;
        // Each value in four rows, in ten, and in ten of a grid that looks continuous.
        assert!(!is(2_000, levels(500.0)));
        assert!(is(5_000, levels(500.0)));
        assert!(!is(20_000, levels(2_000.0)));
    }

    #[test]
    fn columns_are_found_and_named() {
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        let values = (0..100).flat_map(|row| [0.5, distinct(row), (row % 3) as f64]);
        let table = Table::new("t.csv".to_owned(), Format::Csv, (names, values.collect()));
        assert_eq!(repeated_columns(&table, &[]), [0, 2]);
        assert_eq!(repeated_columns(&table, &[2]), [0]);
        let warning = repeated_warning(&table, &[0]);
        assert!(warning.starts_with("column \"a\" of t.csv holds the same values in many rows: "));
        assert!(warning.ends_with("rounding to it, or leave it out"));
        let warning = repeated_warning(&table, &[0, 2]);
        assert!(warning.starts_with("columns \"a\", \"c\" of t.csv hold the same values"));
        assert!(warning.ends_with("rounding to them, or leave them out"));
    }
}
