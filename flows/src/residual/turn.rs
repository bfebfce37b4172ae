//! One block's turn: its log-determinants, and their gradients, by the estimator that was chosen.

use detfree_core::{Allocate, Backend, DenseBackend, Draw, Error, LogDet, Shape, Work, Workspace};

use super::explicit::Explicit;
use super::{Block, Estimator, SeriesEstimator};
use crate::mlp::{Mlp, MlpGradient, MlpOperator, TraceTape};

/// An estimator, and what it needs beside the net's tape.
pub(super) enum Memory<B: Backend> {
    Explicit(Explicit<B>),
    Series(SeriesEstimator, Workspace<B>),
    ExactFirst(SeriesEstimator, Workspace<B>, TraceTape<B>),
}

/// The block whose turn it is.
#[derive(Clone, Copy)]
pub(super) struct Turn<'a, B: Backend> {
    /// A bound of the block's Lipschitz constant.
    pub(super) contraction: f64,
    pub(super) net: &'a Mlp<B>,
    pub(super) draw: Draw,
    /// The weight of the control variate of [`detfree_core::ExactFirst`].
    control: f64,
}

impl<'a, B: Backend> Turn<'a, B> {
    /// The turn of block number `i`, with a stream of its own, and with its control variate of those of
    /// all blocks.
    pub(super) fn new(block: &'a Block<B>, i: usize, draw: Draw, controls: &[f64]) -> Self {
        let key = draw.key.fold_in(i as u64);
        Self {
            contraction: block.bound(),
            net: &block.net,
            draw: Draw { key, ..draw },
            control: controls.get(i).copied().unwrap_or(0.0),
        }
    }

    pub(super) fn log_det(&self, series: &SeriesEstimator) -> Result<LogDet, Error<B::Error>> {
        series.log_det(self.contraction).map_err(Error::Schedule)
    }
}

impl<B: DenseBackend + Allocate> Memory<B> {
    pub(super) fn new(
        b: &B,
        estimator: Estimator,
        net: &Mlp<B>,
        shape: Shape,
    ) -> Result<Self, Error<B::Error>> {
        let series = match estimator {
            Estimator::Explicit => return Ok(Self::Explicit(Explicit::new(b, shape)?)),
            Estimator::Series(series) => series,
        };
        let workspace = Workspace::allocate(b, shape)?;
        Ok(if series.exact_first {
            Self::ExactFirst(series, workspace, TraceTape::new(b, net)?)
        } else {
            Self::Series(series, workspace)
        })
    }
}

impl<B: DenseBackend> Memory<B> {
    /// out_r ← an estimate of log det(I + J_r).
    pub(super) fn value(
        &mut self,
        b: &B,
        turn: Turn<'_, B>,
        mut op: MlpOperator<'_, B>,
        out: &mut B::Rows,
    ) -> Result<Work, Error<B::Error>> {
        match self {
            Self::Explicit(explicit) => explicit.value(b, &mut op, out),
            Self::Series(series, workspace) => turn
                .log_det(series)?
                .value(b, &mut op, &turn.draw, workspace, out),
            Self::ExactFirst(series, workspace, trace) => {
                trace.refresh(b, turn.net)?;
                let mut op = op.with_trace(trace);
                turn.log_det(series)?
                    .with_exact_first()
                    .with_control(turn.control)
                    .value(b, &mut op, &turn.draw, workspace, out)
            }
        }
    }

    /// The same, and gradient ← gradient + its weighted gradient, with what waited in the operator.
    pub(super) fn value_and_gradient(
        &mut self,
        b: &B,
        turn: Turn<'_, B>,
        mut op: MlpOperator<'_, B>,
        weights: &B::Rows,
        out: &mut B::Rows,
        gradient: &mut MlpGradient<B>,
    ) -> Result<Work, Error<B::Error>> {
        let (draw, weights) = (&turn.draw, Some(weights));
        match self {
            Self::Explicit(explicit) => {
                explicit.value_and_gradient(b, &mut op, weights, out, gradient)
            }
            Self::Series(series, workspace) => turn
                .log_det(series)?
                .value_and_gradient(b, &mut op, draw, weights, workspace, out, gradient),
            Self::ExactFirst(series, workspace, trace) => {
                trace.refresh(b, turn.net)?;
                let mut op = op.with_trace(trace);
                turn.log_det(series)?
                    .with_exact_first()
                    .with_control(turn.control)
                    .value_and_gradient(b, &mut op, draw, weights, workspace, out, gradient)
            }
        }
    }
}
