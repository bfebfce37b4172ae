//! Points to fit a density to: where they come from, what is wrong with them, and who gets which.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use detfree_core::Key;
use detfree_flows::toy::Toy;

/// Fewer points say nothing of a density.
pub const LEAST: usize = 20;

/// More would leave no time between two pictures.
pub const MOST: usize = 20_000;

/// `count` points of a toy distribution, x and y by turns; none where there is no such toy.
#[must_use]
pub fn toy(number: usize, count: usize, seed: u32) -> Vec<f64> {
    let Some(toy) = Toy::ALL.get(number) else {
        return Vec::new();
    };
    let key = Key::new(u64::from(seed));
    let rows = 0..count.min(MOST) as u64;
    rows.flat_map(|row| toy.sample(key, row)).collect()
}

/// Points in random order: eight tenths to train on, a tenth each to tell when to stop and to report on.
pub(crate) struct Parts {
    /// x and y by turns, as all of these.
    pub(crate) train: Vec<f64>,
    /// The points that choose the best weights.
    pub(crate) validation: Vec<f64>,
    /// The points that nothing else has seen.
    pub(crate) held_out: Vec<f64>,
}

impl Parts {
    /// Shuffles and splits points.
    ///
    /// # Errors
    /// A sentence for the user: too few or too many points, or one that is not finite.
    pub(crate) fn new(points: &[f64], key: Key) -> Result<Self, String> {
        let count = points.len() / 2;
        if count < LEAST {
            return Err(format!(
                "There are {count} points, and a density wants at least {LEAST}: add some."
            ));
        }
        if count > MOST {
            return Err(format!(
                "There are {count} points, and this page takes at most {MOST}: leave some out, or use the \
                 command, which takes any number."
            ));
        }
        let (points, _) = points.as_chunks::<2>();
        if let Some(row) = points.iter().position(|p| p.iter().any(|x| !x.is_finite())) {
            return Err(format!(
                "Point {} is not two finite numbers: remove or correct it.",
                row + 1
            ));
        }
        let mut order = points.to_vec();
        key.shuffle(&mut order);
        let tenth = count / 10;
        let (rest, held_out) = order.split_at(count - tenth);
        let (train, validation) = rest.split_at(rest.len() - tenth);
        Ok(Self {
            train: train.as_flattened().to_vec(),
            validation: validation.as_flattened().to_vec(),
            held_out: held_out.as_flattened().to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(count: usize) -> Vec<f64> {
        (0..2 * count).map(|i| i as f64).collect()
    }

    #[test]
    fn every_point_is_in_one_part() {
        let parts = Parts::new(&points(99), Key::new(1)).unwrap();
        let sizes = [&parts.train, &parts.validation, &parts.held_out].map(Vec::len);
        assert_eq!(sizes, [162, 18, 18]);
        let mut all = [parts.train, parts.validation, parts.held_out].concat();
        // Neighbours stay together.
        assert!(all.as_chunks::<2>().0.iter().all(|[x, y]| x + 1.0 == *y));
        all.sort_unstable_by(f64::total_cmp);
        assert_eq!(all, points(99));
    }

    #[test]
    fn points_that_make_no_density() {
        let error = |points: &[f64]| Parts::new(points, Key::new(1)).err().unwrap();
        assert!(error(&points(LEAST - 1)).contains("at least 20"));
        assert!(error(&points(MOST + 1)).contains("at most 20000"));
        let mut bad = points(30);
        bad[41] = f64::NAN;
        assert!(error(&bad).starts_with("Point 21 is not"));
        assert!(Parts::new(&points(LEAST), Key::new(1)).is_ok());
    }

    #[test]
    fn a_number_without_a_toy_has_no_points() {
        assert!(toy(Toy::ALL.len(), 9, 0).is_empty());
        assert_eq!(toy(0, 9, 3)[..2], Toy::ALL[0].sample(Key::new(3), 0));
    }
}
