use detfree::Key;
use detfree::flows::Model;

use super::Table;

/// Sets this noise apart from everything else that a seed is for.
const NOISE: u64 = 0x6465_7175_616e_7469;

/// The columns that hold whole numbers only.
///
/// A continuous density is unbounded on them: narrow spikes at the whole numbers have any
/// likelihood one likes.
pub(crate) fn integer_columns(table: &Table) -> Vec<usize> {
    let whole = |&c: &usize| {
        let mut column = table.values().iter().skip(c).step_by(table.dim());
        column.all(|value| value.fract() == 0.0)
    };
    (0..table.dim()).filter(whole).collect()
}

/// What to tell someone who fits a density to these columns as they are.
pub(crate) fn integer_warning(table: &Table, columns: &[usize]) -> String {
    let hold = if columns.len() == 1 { "holds" } else { "hold" };
    format!(
        "{} {hold} only whole numbers: their density can grow without bound, and a likelihood means \
         little; --dequantize adds uniform noise of one unit to them",
        table.named(columns),
    )
}

/// Uniform noise of one unit, x ← x + u in the columns c that hold whole numbers.
///
/// u is a function of (seed, row, column), the row as its file counts: scoring is repeatable.
/// The mean of log p(x + u) is a lower bound of the log-probability of the whole numbers
/// (Theis et al. 2016, section 3.1).
#[derive(Clone, Debug)]
pub(crate) struct Noise {
    key: Key,
    columns: Vec<usize>,
}

impl Noise {
    pub(crate) fn new(seed: u64, columns: Vec<usize>) -> Self {
        Self {
            key: Key::new(seed).fold_in(NOISE),
            columns,
        }
    }

    /// The noise that a model was trained with.
    pub(crate) fn of(model: &Model) -> Self {
        Self::new(model.seed, model.dequantized.clone())
    }

    pub(crate) fn columns(&self) -> &[usize] {
        &self.columns
    }

    pub(crate) fn add(&self, row: usize, values: &mut [f64]) {
        for &c in &self.columns {
            values[c] += self.key.uniform(row as u64, c as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::*;

    fn table(names: &[&str], values: &[f64]) -> Table {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        Table::new("t.csv".to_owned(), Format::Csv, (names, values.to_vec()))
    }

    #[test]
    fn whole_columns_are_found_and_named() {
        let two = table(&["a", "b", "c"], &[1.0, 2.5, 3.0, -4.0, 5.0, 6.0]);
        assert_eq!(integer_columns(&two), [0, 2]);
        assert_eq!(
            integer_warning(&two, &[0, 2]).split(':').next(),
            Some("columns \"a\", \"c\" of t.csv hold only whole numbers")
        );
        assert!(integer_warning(&two, &[2]).starts_with("column \"c\" of t.csv holds only"));
        let names = ["a", "b", "c", "d", "e", "f"];
        let six = table(&names, &[0.0; 6]);
        assert_eq!(integer_columns(&six).len(), 6);
        assert!(
            integer_warning(&six, &integer_columns(&six))
                .starts_with("columns \"a\", \"b\", \"c\", \"d\" and 2 more of t.csv hold")
        );
    }

    /// 20,000 draws: a mean or variance off by 3% (4 standard errors of the variance) fails.
    #[test]
    fn noise_is_repeatable_uniform_and_only_where_it_belongs() {
        let noise = Noise::new(42, vec![0, 2]);
        let noisy = |noise: &Noise, row| {
            let mut values = [3.0, 4.0, 5.0];
            noise.add(row, &mut values);
            values
        };
        assert_eq!(noisy(&noise, 8), noisy(&Noise::new(42, vec![0, 2]), 8));
        assert_ne!(noisy(&noise, 8), noisy(&Noise::new(43, vec![0, 2]), 8));
        // A column's noise does not depend on which others have some.
        assert_eq!(noisy(&noise, 8)[2], noisy(&Noise::new(42, vec![2]), 8)[2]);
        let (mut sum, mut squares) = (0.0, 0.0);
        for row in 0..10_000 {
            let [a, b, c] = noisy(&noise, row);
            assert_eq!(b, 4.0);
            assert_ne!(a - 3.0, c - 5.0);
            for u in [a - 3.0, c - 5.0] {
                assert!((0.0..=1.0).contains(&u));
                sum += u - 0.5;
                squares += (u - 0.5) * (u - 0.5);
            }
        }
        let n: f64 = 20_000.0;
        assert!((sum / n).abs() < 4.0 * (1.0 / 12.0 / n).sqrt());
        assert!((squares / n - 1.0 / 12.0).abs() < 4.0 * (1.0 / 180.0 / n).sqrt());
    }
}
