//! Minibatches of the training rows.

use alloc::vec::Vec;

use detfree_core::{Key, Scalar, Shape};
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

impl<T> TrainingRows<T> {
    /// The shape of minibatches of `batch` rows: of all where there are fewer.
    #[must_use]
    pub fn batch_shape(&self, batch: usize) -> Shape {
        Shape::new(batch.clamp(1, self.count().max(1)), self.noise.len())
    }

    fn count(&self) -> usize {
        self.values.len() / self.noise.len().max(1)
    }
}

/// Shuffled minibatches with fresh noise.
pub(super) struct Feed<'a, T> {
    training: &'a TrainingRows<T>,
    order: Vec<usize>,
    shuffles: u32,
    /// Rows of `order` handed out since the last one.
    used: usize,
    batch: Vec<T>,
    rng: Xoshiro256PlusPlus,
}

impl<'a, T: Scalar> Feed<'a, T> {
    pub(super) fn new(training: &'a TrainingRows<T>, batch: usize, key: Key) -> Self {
        let Shape { rows, dim } = training.batch_shape(batch);
        Self {
            training,
            order: (0..training.count()).collect(),
            shuffles: 0,
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
        self.shuffles += 1;
    }

    pub(super) const fn shuffles(&self) -> u32 {
        self.shuffles
    }

    /// Rows handed out since the last shuffle.
    pub(super) const fn used(&self) -> usize {
        self.used
    }

    fn batch_rows(&self) -> usize {
        self.batch.len() / self.training.noise.len().max(1)
    }

    /// Batches of an epoch.
    pub(super) fn batches(&self) -> usize {
        self.order.len() / self.batch_rows().max(1)
    }

    /// From the beginning to `used` rows behind so many shuffles, drawing every random number on the
    /// way; `false` where there is no such place.
    pub(super) fn replay(&mut self, shuffles: u32, used: usize) -> bool {
        while self.shuffles < shuffles {
            self.shuffle();
            while (self.shuffles < shuffles || self.used < used) && self.next_batch().is_some() {}
        }
        self.shuffles == shuffles && self.used == used
    }

    pub(super) fn next_batch(&mut self) -> Option<&[T]> {
        let dim = self.training.noise.len().max(1);
        let rows = self.batch_rows();
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
