use detfree::Key;
use detfree::flows::toy::Toy;

use super::error::{DataError, Problem};
use super::{Format, Table};

const FRESH: usize = 10_000;

/// `rows` points of the toy with this name.
pub(crate) fn toy(name: &str, rows: usize, key: Key) -> Result<Table, DataError> {
    let origin = format!("toy:{name}");
    let toy = Toy::from_name(name).ok_or_else(|| Problem::UnknownToy.of(&origin))?;
    let names = ["x", "y"].map(str::to_owned).to_vec();
    let values = (0..rows as u64)
        .flat_map(|row| toy.sample(key, row))
        .collect();
    Ok(Table::new(origin, Format::Toy, (names, values)))
}

/// `rows` points to train on and 10,000 fresh ones to hold out, the same for any `rows`.
pub(crate) fn toy_pair(name: &str, rows: usize, key: Key) -> Result<(Table, Table), DataError> {
    Ok((
        toy(name, rows, key.fold_in(0))?,
        toy(name, FRESH, key.fold_in(1))?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_out_points_are_fresh() {
        let (data, fresh) = toy_pair("rings", 20_000, Key::new(5)).unwrap();
        assert_eq!((data.rows(), fresh.rows(), data.dim()), (20_000, 10_000, 2));
        assert_ne!(data.row(0), fresh.row(0));
        let (less, same) = toy_pair("rings", 7, Key::new(5)).unwrap();
        assert_eq!(less.values(), &data.values()[..14]);
        assert_eq!(same, fresh);
    }

    #[test]
    fn unknown_toys_list_the_known() {
        assert_eq!(
            toy("donut", 9, Key::new(0)).unwrap_err().to_string(),
            "toy:donut: there is no such toy, expected one of 8gaussians, moons, half-moons, sine, \
             trimodal, 2spirals, checkerboard, rings"
        );
    }
}
