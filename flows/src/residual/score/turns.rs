//! Which row an estimate is of.

use alloc::vec::Vec;

use detfree_core::Key;

/// The numbers of rows, each as often as its estimates are needed, and then of some again, up to whole
/// pieces: what is run in a piece costs the same whether it is wanted or not.
///
/// One turn of every row that needs one comes after the other, in an order drawn anew. Rows of a piece share a
/// stratified draw of their numbers of terms, and neighbours in it have similar ones. In the order of their
/// need, what similar rows have in common would add up in the mean over rows; in a random order of n rows
/// the mean's variance is at most n/(n − 1) of that of independent ones.
pub(super) struct Turns {
    /// How many each row needs and its number, the neediest first: those that still need some are a prefix.
    rows: Vec<(u64, usize)>,
    key: Key,
    /// How many more rows come.
    left: u64,
    /// The turns that have begun.
    begun: u64,
    turn: Vec<usize>,
}

impl Turns {
    pub(super) fn new(needed: &[u64], piece: usize, key: Key) -> Self {
        let mut rows: Vec<(u64, usize)> = needed.iter().copied().zip(0..).collect();
        rows.sort_unstable_by(|x, y| y.cmp(x));
        let all = needed.iter().fold(0, |sum: u64, &n| sum.saturating_add(n));
        Self {
            rows,
            key,
            left: all.checked_next_multiple_of(piece as u64).unwrap_or(all),
            begun: 0,
            turn: Vec::new(),
        }
    }
}

impl Iterator for Turns {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        if self.turn.is_empty() {
            let needy = self.rows.partition_point(|&(n, _)| n > self.begun);
            // Once nobody needs more, the last piece has room for anybody.
            let of = if needy == 0 { self.rows.len() } else { needy };
            self.turn
                .extend(self.rows.iter().take(of).map(|&(_, row)| row));
            self.key.fold_in(self.begun).shuffle(&mut self.turn);
            self.begun += 1;
        }
        self.turn.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_its_turns_and_the_last_piece_is_full() {
        let needed = [3, 1, 0, 5, 1];
        let turns: Vec<usize> = Turns::new(&needed, 4, Key::new(1)).collect();
        assert_eq!(turns.len(), 12);
        let mut counts = [0; 5];
        turns.iter().for_each(|&row| counts[row] += 1);
        for (count, needed) in counts.into_iter().zip(needed) {
            assert!((needed..=needed + 1).contains(&count), "{counts:?}");
        }
        assert_eq!(Turns::new(&[], 4, Key::new(1)).count(), 0);
    }

    /// A turn of all comes before another, in another order.
    #[test]
    fn turns_are_shuffled() {
        let turns: Vec<usize> = Turns::new(&[2; 50], 1, Key::new(1)).collect();
        let (first, second) = turns.split_at(50);
        for turn in [first, second] {
            let mut sorted = turn.to_vec();
            sorted.sort_unstable();
            assert!(sorted.iter().copied().eq(0..50));
        }
        assert_ne!(first, second);
    }
}
