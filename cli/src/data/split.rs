use detfree::Key;

use super::error::{DataError, Problem, quote};
use super::{Format, Table};

/// A table's rows in random order: eight tenths to train on, a tenth each to validate
/// and to hold out. A tenth is rounded down, but is one row at least.
///
/// With a test table, that one is held out, and nine tenths of the data train.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    /// Row numbers of `data`.
    pub(crate) train: Vec<usize>,
    /// Row numbers of `data`.
    pub(crate) validation: Vec<usize>,
    /// Row numbers of the test table where there is one, of `data` otherwise.
    pub(crate) held_out: Vec<usize>,
    pub(crate) data: Table,
    pub(crate) test: Option<Table>,
}

impl Parts {
    /// Splits `data`, with as many rows to validate as asked for, or a tenth. To the columns `noisy`
    /// the caller will add noise, so they may be constant.
    ///
    /// # Errors
    ///
    /// Fewer rows than columns + 2, or than validate and are held out and two to train on; a column that has
    /// one value in every training row; a test table of other columns, or with fractions where there will be
    /// noise.
    pub(crate) fn new(
        data: Table,
        test: Option<Table>,
        validation: Option<usize>,
        noisy: &[usize],
        key: Key,
    ) -> Result<Self, DataError> {
        if let Some(test) = &test {
            test.expect_columns_of(&data)?;
            test.expect_whole(noisy)?;
        }
        let rows = data.rows();
        let tenth = (rows / 10).max(1);
        let validation = validation.unwrap_or(tenth);
        let held_out = if test.is_some() { 0 } else { tenth };
        let needed = data.dim() + 2;
        if rows < needed {
            return Err(Problem::TooFewRows { rows, needed }.of(data.origin()));
        }
        // One row has no spread.
        if rows.saturating_sub(validation).saturating_sub(held_out) < 2 {
            let problem = Problem::TooFewToTrainOn {
                rows,
                validation,
                held_out,
            };
            return Err(problem.of(data.origin()));
        }
        let mut train = permutation(rows, key);
        let held_out = match &test {
            Some(test) => (0..test.rows()).collect(),
            None => train.split_off(train.len() - held_out),
        };
        let validation = train.split_off(train.len() - validation);
        let constant = constant_columns(&data, &train, noisy);
        if !constant.is_empty() {
            let (rows, names) = (train.len(), data.quoted_names(&constant));
            return Err(Problem::Constant { rows, names }.of(data.origin()));
        }
        Ok(Self {
            train,
            validation,
            held_out,
            data,
            test,
        })
    }

    /// The number of levels of whole numbers: 256 of an image file, else one more than the largest.
    pub(crate) fn levels(&self) -> f64 {
        match self.data.format() {
            Format::Idx => 256.0,
            _ => 1.0 + self.data.values().iter().fold(0.0, |m: f64, &x| m.max(x)),
        }
    }

    /// Refuses numbers that are not whole, or outside the levels: a logit cannot take them.
    ///
    /// # Errors
    ///
    /// The first such number.
    pub(crate) fn expect_levels(&self) -> Result<(), DataError> {
        let levels = self.levels();
        for table in [Some(&self.data), self.test.as_ref()].into_iter().flatten() {
            let outside = |&x: &f64| x.fract() != 0.0 || x < 0.0 || x >= levels;
            if let Some(first) = table.values().iter().position(outside) {
                let problem = Problem::NotALevel {
                    row: 1 + first / table.dim(),
                    column: quote(&table.names()[first % table.dim()]),
                    value: table.values()[first],
                    levels,
                };
                return Err(problem.of(table.origin()));
            }
        }
        Ok(())
    }

    /// The table that `held_out` counts the rows of.
    pub(crate) fn held_out_table(&self) -> &Table {
        self.test.as_ref().unwrap_or(&self.data)
    }
}

/// 0..rows shuffled (Fisher and Yates), each order equally likely.
fn permutation(rows: usize, key: Key) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows).collect();
    key.shuffle(&mut order);
    order
}

fn constant_columns(data: &Table, train: &[usize], noisy: &[usize]) -> Vec<usize> {
    let constant = |&c: &usize| {
        let mut column = train.iter().map(|&row| data.row(row)[c]);
        let first = column.next();
        !noisy.contains(&c) && column.all(|value| Some(value) == first)
    };
    (0..data.dim()).filter(constant).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns r, r², … of the row number r.
    fn table(origin: &str, dim: usize, rows: usize) -> Table {
        let names = (0..dim).map(|c| format!("c{c}")).collect();
        let value = |i: usize| ((i / dim) as f64).powi((i % dim + 1) as i32);
        let values = (0..rows * dim).map(value).collect();
        Table::new(origin.to_owned(), Format::Csv, (names, values))
    }

    fn sorted(lists: &[&[usize]]) -> Vec<usize> {
        let mut all = lists.concat();
        all.sort_unstable();
        all
    }

    #[test]
    fn every_row_is_in_exactly_one_part() {
        let key = Key::new(1);
        for (rows, tenth) in [(4, 1), (5, 1), (19, 1), (20, 2), (99, 9), (1000, 100)] {
            let parts = Parts::new(table("d", 2, rows), None, None, &[], key).unwrap();
            assert_eq!(parts.validation.len(), tenth);
            assert_eq!(parts.held_out.len(), tenth);
            assert_eq!(parts.held_out_table(), &parts.data);
            let all = sorted(&[&parts.train, &parts.validation, &parts.held_out]);
            assert!(all.into_iter().eq(0..rows));

            let test = table("t", 2, 7);
            let parts =
                Parts::new(table("d", 2, rows), Some(test.clone()), None, &[], key).unwrap();
            assert_eq!(parts.validation.len(), tenth);
            assert!(parts.held_out.iter().copied().eq(0..7));
            assert_eq!(parts.held_out_table(), &test);
            assert!(
                sorted(&[&parts.train, &parts.validation])
                    .into_iter()
                    .eq(0..rows)
            );
        }
    }

    #[test]
    fn as_many_rows_validate_as_are_asked_for() {
        let parts = |rows, test: Option<Table>| {
            Parts::new(table("d", 2, 20), test, Some(rows), &[], Key::new(1))
        };
        let split = parts(7, None).unwrap();
        let sizes = [&split.train, &split.validation, &split.held_out].map(Vec::len);
        assert_eq!(sizes, [11, 7, 2]);
        assert!(parts(16, None).is_ok() && parts(18, Some(table("t", 2, 3))).is_ok());
        for validation in [17, 18, 19] {
            assert_eq!(
                parts(validation, None).unwrap_err().to_string(),
                format!(
                    "d: 20 rows, less {validation} to validate and 2 to hold out, leave too few to train on: \
                     expected at least 2; add rows, or lower --validation"
                )
            );
        }
        assert!(parts(19, Some(table("t", 2, 3))).is_err());
        // A single row has no spread, and is not to blame for it.
        let three = Parts::new(table("d", 1, 3), None, None, &[], Key::new(1));
        assert!(three.unwrap_err().to_string().contains("too few to train"));
    }

    /// Images' levels are 256 whatever they hold; a table's end with its largest number.
    #[test]
    fn levels_are_whole_numbers_in_a_range() {
        let with = |format, values: &[f64]| {
            let data = Table::new(
                "d".to_owned(),
                format,
                (vec!["a".to_owned()], values.to_vec()),
            );
            Parts::new(data, None, None, &[0], Key::new(1)).unwrap()
        };
        assert_eq!(with(Format::Idx, &[3.0, 0.0, 9.0, 1.0]).levels(), 256.0);
        let good = with(Format::Csv, &[3.0, 0.0, 15.0, 1.0]);
        assert_eq!(good.levels(), 16.0);
        assert!(good.expect_levels().is_ok());
        for bad in [-1.0, 0.5] {
            let error = with(Format::Csv, &[3.0, bad, 15.0, 1.0]).expect_levels();
            let message = format!(
                "d: row 2, column \"a\": {bad} is none of the whole numbers from 0 to 15 that --logit and \
                 the presets for MNIST expect; multiply fractions to whole numbers, or leave the option out"
            );
            assert_eq!(error.unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn the_key_decides_the_order() {
        let train = |bits| {
            Parts::new(table("d", 2, 50), None, None, &[], Key::new(bits))
                .unwrap()
                .train
        };
        assert_eq!(train(3), train(3));
        assert_ne!(train(3), train(4));
        assert_ne!(train(3), sorted(&[&train(3)]));
    }

    /// All 24 orders of four rows, 200 expected of each: χ² with 23 degrees of freedom is above
    /// 56.6 with probability 1e-4; shuffling by swaps with any row, a common slip, gives 200.
    #[test]
    fn every_order_is_equally_likely() {
        let mut counts = std::collections::HashMap::<_, f64>::new();
        for seed in 0..4800 {
            *counts.entry(permutation(4, Key::new(seed))).or_default() += 1.0;
        }
        assert_eq!(counts.len(), 24);
        let chi2: f64 = counts.values().map(|c| (c - 200.0).powi(2) / 200.0).sum();
        assert!(chi2 < 56.6, "{chi2}");
    }

    #[test]
    fn tables_that_cannot_be_split() {
        let error = |data: Table, test, noisy: &[usize]| {
            Parts::new(data, test, None, noisy, Key::new(1))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            error(table("d.csv", 3, 4), None, &[]),
            "d.csv: too few rows: expected at least 5 (columns + 2), found 4"
        );
        assert!(Parts::new(table("d.csv", 3, 5), None, None, &[], Key::new(1)).is_ok());
        assert_eq!(
            error(table("d.csv", 3, 9), Some(table("t.csv", 2, 9)), &[]),
            "t.csv: expected 3 columns as in d.csv, found 2"
        );
    }

    #[test]
    fn constant_columns_are_named_unless_they_get_noise() {
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        let values = (0..20).flat_map(|row| [7.0, f64::from(row), 0.5]).collect();
        let data = Table::new("d.csv".to_owned(), Format::Csv, (names, values));
        let split = |noisy: &[usize]| Parts::new(data.clone(), None, None, noisy, Key::new(1));
        for (noisy, named) in [([].as_slice(), "\"a\", \"c\""), (&[0, 1], "\"c\"")] {
            assert_eq!(
                split(noisy).unwrap_err().to_string(),
                format!(
                    "d.csv: has no spread among its 16 training rows in {named}: remove constant \
                     columns (whole numbers may stay with --dequantize), or add rows in which they vary"
                )
            );
        }
        assert!(split(&[0, 2]).is_ok());

        // A column that varies in one row only is constant where that row is not trained on.
        let key = Key::new(1);
        let odd = permutation(20, key)[19];
        let names = vec!["a".to_owned()];
        let values = (0..20).map(|row| f64::from(row == odd)).collect();
        let data = Table::new("d.csv".to_owned(), Format::Csv, (names, values));
        assert!(Parts::new(data, None, None, &[], key).is_err());
    }
}
