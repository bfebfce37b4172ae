//! Estimates of log-densities, as many as each row needs.

use alloc::vec::Vec;

use detfree_core::{Allocate, FlowBackend, Key, Moments};

use super::{RowScore, ScoreError, above};
use crate::residual::{Evaluator, ResidualFlow};

/// Estimates, row by row as many as it needs.
pub(super) struct Spending<'a, B: FlowBackend> {
    pub(super) evaluator: &'a mut Evaluator<B>,
    pub(super) flow: &'a ResidualFlow<B>,
    pub(super) tolerance: f64,
    pub(super) most: u64,
    pub(super) products: u64,
}

impl<B: FlowBackend + Allocate + Sync> Spending<'_, B> {
    /// The scores, and how many are above the tolerance.
    pub(super) fn run(
        &mut self,
        b: &B,
        rows: &[B::Scalar],
        key: Key,
    ) -> Result<(Vec<RowScore>, usize), ScoreError<B::Error>> {
        let dim = self.flow.dim.max(1);
        let count = rows.len() / dim;
        let mut pilot = alloc::vec![Moments::default(); count];
        let mut figures = Vec::new();
        let controls = self
            .evaluator
            .fit_controls(b, self.flow, rows, key.fold_in(2))?;
        for sample in 0..Moments::PILOT {
            figures.clear();
            let key = key.fold_in(0).fold_in(sample);
            self.products += self
                .evaluator
                .log_density(b, self.flow, rows, key, &mut figures)?;
            let pairs = pilot.iter_mut().zip(&figures);
            pairs.for_each(|(moments, &figure)| moments.push(figure));
        }
        let per_row = self.products as f64 / count.max(1) as f64;
        let affordable = (self.most as f64 - per_row - controls as f64 / count.max(1) as f64)
            / (per_row / Moments::PILOT as f64);
        let affordable = (affordable as u64).max(1);
        // A NaN saturates to 0, and more than can be counted to the most.
        let needs =
            |moments: &Moments| (moments.needed(self.tolerance) as u64).clamp(1, affordable);
        // The neediest first: those that still need estimates are then a prefix.
        let mut order: Vec<(u64, usize)> = pilot.iter().map(needs).zip(0..).collect();
        order.sort_unstable_by(|x, y| y.cmp(x));
        let mut sorted: Vec<B::Scalar> = Vec::with_capacity(rows.len());
        for &(_, row) in &order {
            sorted.extend(rows.iter().skip(row * dim).take(dim));
        }
        let mut fresh = alloc::vec![Moments::default(); count];
        let mut sample = 0;
        let mut left = count;
        while left > 0 {
            figures.clear();
            let rows = sorted.get(..left * dim).unwrap_or_default();
            let key = key.fold_in(1).fold_in(sample);
            self.products += self
                .evaluator
                .log_density(b, self.flow, rows, key, &mut figures)?;
            for (moments, &figure) in fresh.iter_mut().zip(&figures) {
                moments.push(figure);
            }
            sample += 1;
            left = order.partition_point(|&(needed, _)| needed > sample);
        }
        self.products += controls;
        let nothing = RowScore {
            log_density: f64::NAN,
            standard_error: f64::INFINITY,
            rounding: 0.0,
        };
        let mut scores = alloc::vec![nothing; count];
        for (fresh, &(_, row)) in fresh.iter().zip(&order) {
            if let (Some(score), Some(pilot)) = (scores.get_mut(row), pilot.get(row)) {
                score.log_density = fresh.mean();
                score.standard_error = libm::sqrt(pooled(pilot, fresh) / fresh.count() as f64);
            }
        }
        let above = above(&scores, self.tolerance);
        Ok((scores, above))
    }
}

/// The variance of one estimate from two sets of them: few fresh ones alone would tell it badly.
fn pooled(pilot: &Moments, fresh: &Moments) -> f64 {
    let (m, n) = (pilot.count() as f64 - 1.0, fresh.count() as f64 - 1.0);
    let fresh = if n > 0.0 { n * fresh.variance() } else { 0.0 };
    (m * pilot.variance() + fresh) / (m + n)
}
