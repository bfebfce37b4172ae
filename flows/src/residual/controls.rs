//! Control variates of the values of a flow's log-determinants, fitted to some rows.

use alloc::vec::Vec;

use detfree_core::{DenseBackend, Draw, Error, FlowBackend, LogDet, RouletteSchedule, Work};

use super::turn::{Memory, Turn};
use super::{Estimator, ResidualFlow, Tape};
use crate::mlp::MlpOperator;

/// Draws that the weight of a control variate is fitted to, for every row.
const DRAWS: u64 = 8;

/// The products a row that fitting a block's control variate takes, of estimates that take `estimate`.
pub(super) fn fitting(estimator: Estimator, estimate: f64) -> f64 {
    match estimator {
        Estimator::Series(series) if series.exact_first => DRAWS as f64 * (1.0 + estimate),
        _ => 0.0,
    }
}

impl<B: FlowBackend> Tape<B> {
    /// Fits the control variate of every block's value ([`ExactFirst`](detfree_core::ExactFirst)) to `rows`,
    /// for the estimates from now on, whose draws must be other ones; the products it took, of a row
    /// about those of twelve estimates. Does nothing where the estimator does not know tr J.
    ///
    /// # Errors
    /// [`Error::Shape`] where `rows` do not fit; the device's.
    pub fn fit_controls(
        &mut self,
        b: &B,
        flow: &ResidualFlow<B>,
        rows: &[B::Scalar],
        draw: Draw,
    ) -> Result<Work, Error<B::Error>> {
        let mut log = alloc::vec![0.0; self.shape.rows];
        self.load(b, flow, rows, &mut log)?;
        let mut work = Work::default();
        for (i, block) in flow.blocks.iter().enumerate() {
            if let (Some(z), Some(control)) = (self.z.get(i), self.controls.get_mut(i)) {
                let op = self.net.linearise(b, &block.net, z, &mut self.g)?;
                let turn = Turn::new(block, i, draw, &[]);
                let (out, rows) = (&mut self.log_det, self.shape.rows);
                let (fitted, products) = self.memory.control(b, turn, op, out, rows)?;
                *control = fitted;
                work += products;
            }
            self.ascend(b, i, block, None, None, &mut log)?;
        }
        Ok(work)
    }

    /// The weights of the control variates, a block's each; 0 at first.
    #[must_use]
    pub fn controls(&self) -> &[f64] {
        &self.controls
    }

    /// Takes over what [`Self::fit_controls`] of another tape of the same flow has found.
    pub(super) fn set_controls(&mut self, controls: &[f64]) {
        self.controls.clear();
        self.controls.extend_from_slice(controls);
    }
}

impl<B: DenseBackend> Memory<B> {
    /// The weight of the control variate that would have served these rows best in a few draws: with
    /// A = ⟨Jᵀv, v⟩ and X the value without control, c = −Σ δA δX/Σ δA² over the differences of
    /// successive draws, in which a row's expectations drop out. 0 where tr J is not known.
    fn control(
        &mut self,
        b: &B,
        turn: Turn<'_, B>,
        op: MlpOperator<'_, B>,
        out: &mut B::Rows,
        rows: usize,
    ) -> Result<(f64, Work), Error<B::Error>> {
        let mut work = Work::default();
        let Self::ExactFirst(series, workspace, trace) = self else {
            return Ok((0.0, work));
        };
        trace.refresh(b, turn.net)?;
        let mut op = op.with_trace(trace);
        let value = turn.log_det(series)?.with_exact_first();
        let first = LogDet {
            schedule: RouletteSchedule::truncated(1).map_err(Error::Schedule)?,
            trace: series.trace,
        };
        let (mut covariance, mut variance) = (0.0, 0.0);
        let mut before: Option<[Vec<f64>; 2]> = None;
        for sample in 0..DRAWS {
            let key = turn.draw.key.fold_in(sample);
            let draw = Draw { key, ..turn.draw };
            let mut now = [alloc::vec![0.0; rows], alloc::vec![0.0; rows]];
            let [a, x] = &mut now;
            work += first.value(b, &mut op, &draw, workspace, out)?;
            b.download_rows(out, a)?;
            work += value.value(b, &mut op, &draw, workspace, out)?;
            b.download_rows(out, x)?;
            if let Some([a_before, x_before]) = &before {
                let a = a.iter().zip(a_before).map(|(now, before)| now - before);
                let x = x.iter().zip(x_before).map(|(now, before)| now - before);
                for (a, x) in a.zip(x) {
                    covariance += a * x;
                    variance += a * a;
                }
            }
            before = Some(now);
        }
        let control = -covariance / variance;
        Ok((if control.is_finite() { control } else { 0.0 }, work))
    }
}
