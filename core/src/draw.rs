//! The randomness of one run of an estimator.

use crate::Key;

/// Where the random numbers of one run come from: a key, and the number of the batch's first row.
///
/// Two shards of one batch share the key and differ in `first_row`: their probes are those that
/// the undivided batch would have, and their roulettes are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The stream of this run. Derive one per step and block with [`Key::fold_in`].
    pub key: Key,
    /// The number of the first row in its whole batch.
    pub first_row: u64,
}

impl Draw {
    /// A run over a whole batch.
    #[must_use]
    pub const fn new(key: Key) -> Self {
        Self { key, first_row: 0 }
    }

    /// The same run over a shard that starts at `first_row`.
    #[must_use]
    pub const fn at_row(self, first_row: u64) -> Self {
        Self { first_row, ..self }
    }

    /// The stream of the probes of pass number `pass`.
    #[must_use]
    pub fn probe(&self, pass: u32) -> Key {
        self.key.fold_in(2 * u64::from(pass))
    }

    /// The stream of the roulette of pass number `pass`, another one for every shard.
    #[must_use]
    pub fn roulette(&self, pass: u32) -> Key {
        self.key
            .fold_in(2 * u64::from(pass) + 1)
            .fold_in(self.first_row)
    }
}
