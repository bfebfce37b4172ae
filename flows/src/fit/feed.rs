//! Minibatches of the training rows.

use alloc::vec::Vec;

use detfree_core::{Key, Scalar};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::{Squash, Standardisation};

/// Rows to train on, and what happens to them afresh in each epoch.
#[derive(Clone, Debug)]
pub struct TrainingRows<T> {
    /// Row-major: standardised, or with `squash` in the data's own units.
    pub values: Vec<T>,
    /// Per column, the width w of uniform noise on [0, w); zero for none. Its length is the
    /// dimension.
    pub noise: Vec<T>,
    /// What turns rows with their noise into the flow's inputs, where that depends on the noise.
    pub squash: Option<(Squash, Standardisation)>,
}

/// Shuffled minibatches with fresh noise.
pub(super) struct Feed<'a, T> {
    training: &'a TrainingRows<T>,
    order: Vec<usize>,
    /// Rows of `order` handed out.
    used: usize,
    batch: Vec<T>,
    rng: Xoshiro256PlusPlus,
}

impl<'a, T: Scalar> Feed<'a, T> {
    pub(super) fn new(training: &'a TrainingRows<T>, rows: usize, key: Key) -> Self {
        let dim = training.noise.len();
        Self {
            training,
            order: (0..training.values.len() / dim.max(1)).collect(),
            used: 0,
            batch: alloc::vec![T::default(); rows * dim],
            rng: Xoshiro256PlusPlus::seed_from_u64(key.bits()),
        }
    }

    /// Fisher and Yates; a 64-bit product's high half is uniform to 2⁻⁶⁴ of the range.
    pub(super) fn shuffle(&mut self) {
        for last in (1..self.order.len()).rev() {
            let product = u128::from(self.rng.next_u64()) * (last as u128 + 1);
            self.order.swap(last, (product >> 64) as usize);
        }
        self.used = 0;
    }

    pub(super) fn next_batch(&mut self) -> Option<&[T]> {
        let dim = self.training.noise.len().max(1);
        let rows = self.batch.len() / dim;
        let chosen = self.order.get(self.used..self.used + rows)?;
        self.used += rows;
        for (to_row, &row) in self.batch.chunks_exact_mut(dim).zip(chosen) {
            let from = self.training.values.iter().skip(row * dim);
            for ((to, &from), &noise) in to_row.iter_mut().zip(from).zip(&self.training.noise) {
                *to = from;
                if noise != T::zero() {
                    let u = (self.rng.next_u64() >> 11) as f64 * (f64::EPSILON / 2.0);
                    *to += noise * T::from_f64(u);
                }
            }
            if let Some((squash, Standardisation { mean, scale })) = &self.training.squash {
                squash.apply(to_row);
                for ((x, &mean), &scale) in to_row.iter_mut().zip(mean).zip(scale) {
                    *x = (*x - T::from_f64(mean)) / T::from_f64(scale);
                }
            }
        }
        Some(&self.batch)
    }
}
