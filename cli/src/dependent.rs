//! Columns that are linear combinations of others: the data lies in a plane, where a density is infinite.

use faer::{Mat, Scale};

use crate::data::Table;

/// The share of a column's variance that the columns before it leave open, below which it counts as their
/// linear combination: a hundred-thousandth of its deviation. Rounded sums leave shares of about 10⁻¹⁵;
/// columns that were measured, or rounded to four digits, leave more than this.
const LEAST_SHARE: f64 = 1e-10;

/// The columns that are linear combinations of those before them.
pub(crate) fn dependent_columns(rows: &[f64], dim: usize) -> Vec<usize> {
    let mut rest = covariance(rows, dim);
    let variances: Vec<f64> = (0..dim).map(|c| rest[(c, c)]).collect();
    let mut dependent = Vec::new();
    // Cholesky's decomposition; what depends on others explains nothing more of those behind it.
    for k in 0..dim {
        let pivot = rest[(k, k)];
        // A column without a spread, or too large to have one, is told of elsewhere.
        if !variances[k].is_normal() || !pivot.is_finite() {
            continue;
        }
        if pivot <= LEAST_SHARE * variances[k] {
            dependent.push(k);
            continue;
        }
        for j in k + 1..dim {
            let share = rest[(j, k)] / pivot;
            for i in j..dim {
                let explained = share * rest[(i, k)];
                rest[(i, j)] -= explained;
            }
        }
    }
    dependent
}

/// What is wrong with a table that has such columns.
pub(crate) fn dependence_warning(table: &Table, columns: &[usize]) -> String {
    let are = match columns.len() {
        1 => "is a linear combination",
        _ => "are linear combinations",
    };
    format!(
        "{} {are} of columns before: the rows lie in a plane, where a density is infinite, \
         and a likelihood only says how near training came to that; remove what depends on other columns",
        table.named(columns),
    )
}

/// Of columns in units of their own size, so that none overflows beside another.
fn covariance(rows: &[f64], dim: usize) -> Mat<f64> {
    let count = rows.len() / dim;
    let mut means = vec![0.0; dim];
    let mut sizes = vec![0.0_f64; dim];
    for row in rows.chunks_exact(dim) {
        for (mean, x) in means.iter_mut().zip(row) {
            *mean += x / count as f64;
        }
    }
    for row in rows.chunks_exact(dim) {
        for (c, size) in sizes.iter_mut().enumerate() {
            *size = size.max((row[c] - means[c]).abs());
        }
    }
    let centred = Mat::from_fn(count, dim, |r, c| {
        (rows[r * dim + c] - means[c]) / sizes[c].max(f64::MIN_POSITIVE)
    });
    centred.transpose() * &centred * Scale(1.0 / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Multiples and sums are found, far from zero too; a sum that is rounded to four digits is a column of
    /// its own, and so is all that only looks alike.
    #[test]
    fn multiples_and_sums() {
        let rows = |last: fn(f64, f64) -> f64| -> Vec<f64> {
            let row = |r: u32| {
                let [a, b] = [7919, 104_729].map(|n| f64::from(r * n % 1009) / 1009.0);
                [a, 1e6 + 1e3 * b, last(a, b)]
            };
            (0..50).flat_map(row).collect()
        };
        assert_eq!(dependent_columns(&rows(|a, _| -3.0 * a), 3), [2]);
        assert_eq!(
            dependent_columns(&rows(|a, b| 1e-9 * (a + b) + 0.1), 3),
            [2]
        );
        assert!(dependent_columns(&rows(|a, _| a * a), 3).is_empty());
        let rounded = |a: f64, b: f64| ((a + b) * 1e4).round() / 1e4;
        assert!(dependent_columns(&rows(rounded), 3).is_empty());
        // Of three that are multiples of one another the first one stays.
        let line: Vec<f64> = (0..9)
            .flat_map(|r| [1.0, 2.0, -1.0].map(|x| x * f64::from(r)))
            .collect();
        assert_eq!(dependent_columns(&line, 3), [1, 2]);
    }
}
