//! Which rows of a batch are alive at term k.

use core::ops::Range;

use crate::{Key, RouletteSchedule};

/// The number of terms of every row of a batch, as one draw.
///
/// **Stratified** (ours): with u uniform in (0, 1) and a rotation s uniform in 0..R, row r gets the
/// quantile u_r = (((r+s) mod R) + u)/R and N_r = max{k : S(k) > u_r}. Each u_r is uniform, so every
/// row's estimate stays exactly unbiased, while ⌊R·S(k)⌋ or ⌈R·S(k)⌉ rows are alive at term k: the
/// roulette noise that a shared N leaves in the mean over the batch all but vanishes, and the work
/// is the expected work. Rows become dependent: standard errors of a mean come from independent
/// batches, and rows in systematic order should be shuffled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Terms {
    /// The same number for every row.
    Same(u32),
    /// Stratified over the rows.
    Stratified {
        /// u, in the open interval (0, 1).
        uniform: f64,
        /// s, in 0..R.
        rotation: usize,
    },
}

/// At most two row ranges that make one cyclic interval.
pub(crate) type Alive = [Range<usize>; 2];

impl Terms {
    /// A stratified draw for a batch of `rows` rows, from the stream of a
    /// [`Draw::roulette`](crate::Draw::roulette).
    #[must_use]
    pub fn stratified(key: Key, rows: usize) -> Self {
        Self::Stratified {
            uniform: key.uniform(0, 0),
            rotation: key.below(0, rows),
        }
    }

    /// N_r of row `row` in a batch of `rows` rows.
    #[must_use]
    pub fn of_row(&self, schedule: &RouletteSchedule, row: usize, rows: usize) -> u32 {
        match *self {
            Self::Same(terms) => terms,
            Self::Stratified { uniform, rotation } => {
                let rows = rows.max(1);
                schedule.terms(quantile((row + rotation) % rows, uniform, rows))
            }
        }
    }

    /// The rows with N_r ≥ k. They only ever shrink as k grows.
    pub(crate) fn alive(&self, schedule: &RouletteSchedule, k: u32, rows: usize) -> Alive {
        match *self {
            Self::Same(terms) => [0..if k <= terms { rows } else { 0 }, 0..0],
            Self::Stratified { uniform, rotation } => {
                let count = count_above(schedule.survival(k), uniform, rows);
                // One product with all of them is quicker than two with what lies on either side of a row.
                if count == rows {
                    return [0..rows, 0..0];
                }
                // The row whose quantile is the smallest, and so lives longest.
                let start = rows.saturating_sub(rotation) % rows.max(1);
                let end = start + count;
                [start..end.min(rows), 0..end.saturating_sub(rows)]
            }
        }
    }
}

/// (i + u)/R, kept below 1 where it rounds up.
fn quantile(i: usize, uniform: f64, rows: usize) -> f64 {
    let quantile = (i as f64 + uniform) / rows as f64;
    if quantile < 1.0 {
        quantile
    } else {
        1.0 - f64::EPSILON / 2.0
    }
}

/// How many quantiles lie below `survival`: from a number that is safely none too many, by the
/// comparison that defines N_r.
fn count_above(survival: f64, uniform: f64, rows: usize) -> usize {
    let mut count = ((rows as f64 * survival) as usize).saturating_sub(1);
    while count < rows && quantile(count, uniform, rows) < survival {
        count += 1;
    }
    count
}
