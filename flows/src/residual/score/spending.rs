//! Estimates of log-densities, as many as each row needs.

use alloc::vec::Vec;

use detfree_core::{Allocate, FlowBackend, Key, Moments};

use super::turns::Turns;
use super::{RowScore, ScoreError};
use crate::residual::{Estimator, Evaluator, ResidualFlow};

/// The most numbers of rows that are evaluated at once: 32 MiB in double precision.
const NUMBERS: usize = 1 << 22;

/// Estimates, row by row as many as it needs.
pub(super) struct Spending<'a, B: FlowBackend> {
    pub(super) evaluator: Evaluator<B>,
    pub(super) flow: &'a ResidualFlow<B>,
    pub(super) estimator: Estimator,
    pub(super) tolerance: f64,
    pub(super) most: u64,
    pub(super) products: u64,
}

impl<B: FlowBackend + Allocate + Sync> Spending<'_, B> {
    /// The scores, and of how many rows the products allow fewer estimates than they need.
    pub(super) fn run(
        &mut self,
        b: &B,
        rows: &[B::Scalar],
        key: Key,
    ) -> Result<(Vec<RowScore>, usize), ScoreError<B::Error>> {
        let count = rows.len() / self.flow.dim.max(1);
        let (flow, estimator, key_of_fit) = (self.flow, self.estimator, key.fold_in(2));
        let controls = self
            .evaluator
            .fit_controls(b, flow, estimator, rows, key_of_fit)?;
        let needed = alloc::vec![Moments::PILOT; count];
        let pilot = self.estimate(b, rows, &needed, key.fold_in(0))?;
        let taken: u64 = pilot.iter().map(Moments::count).sum();
        let per_estimate = self.products as f64 / taken as f64;
        self.products += controls;
        let left = self.most as f64 - self.products as f64 / count as f64;
        // What fills up the last piece. A NaN saturates to 0, and more than can be counted to the most.
        let more = self.evaluator.piece() as f64 / count as f64;
        let affordable = ((left / per_estimate - more) as u64).max(1);
        let needed: Vec<u64> = pilot
            .iter()
            .map(|moments| (moments.needed(self.tolerance) as u64).max(1))
            .collect();
        let limited = needed.iter().filter(|&&n| n > affordable).count();
        let granted: Vec<u64> = needed.iter().map(|&n| n.min(affordable)).collect();
        let fresh = self.estimate(b, rows, &granted, key.fold_in(1))?;
        let score = |(pilot, fresh): (&Moments, &Moments)| RowScore {
            log_density: fresh.mean(),
            standard_error: libm::sqrt(pooled(pilot, fresh) / fresh.count() as f64),
            rounding: 0.0,
        };
        Ok((pilot.iter().zip(&fresh).map(score).collect(), limited))
    }

    /// The moments of so many estimates of every row, and of what fills up the last piece.
    fn estimate(
        &mut self,
        b: &B,
        rows: &[B::Scalar],
        needed: &[u64],
        key: Key,
    ) -> Result<Vec<Moments>, ScoreError<B::Error>> {
        let dim = self.flow.dim.max(1);
        let piece = self.evaluator.piece();
        let at_once = (NUMBERS / (piece * dim)).max(1) * piece;
        let mut turns = Turns::new(needed, piece, key.fold_in(0));
        let mut found = alloc::vec![Moments::default(); needed.len()];
        let (mut numbers, mut inputs, mut figures) = (Vec::new(), Vec::new(), Vec::new());
        for time in 0.. {
            numbers.clear();
            numbers.extend(turns.by_ref().take(at_once));
            if numbers.is_empty() {
                break;
            }
            inputs.clear();
            for row in &numbers {
                inputs.extend(rows.iter().skip(row * dim).take(dim));
            }
            figures.clear();
            let key = key.fold_in(1).fold_in(time);
            let flow = self.flow;
            let run = self
                .evaluator
                .log_density(b, flow, &inputs, key, &mut figures);
            self.products += run?;
            for (&row, &figure) in numbers.iter().zip(&figures) {
                if let Some(moments) = found.get_mut(row) {
                    moments.push(figure);
                }
            }
        }
        Ok(found)
    }
}

/// The variance of one estimate from two sets of them: few fresh ones alone would tell it badly.
fn pooled(pilot: &Moments, fresh: &Moments) -> f64 {
    let (m, n) = (pilot.count() as f64 - 1.0, fresh.count() as f64 - 1.0);
    let fresh = if n > 0.0 { n * fresh.variance() } else { 0.0 };
    (m * pilot.variance() + fresh) / (m + n)
}
