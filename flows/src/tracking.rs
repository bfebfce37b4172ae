//! log|det W| and W⁻¹ of a layer, followed through its steps and refreshed by LU.

use detfree_core::{
    Affine, Allocate, Backend, DenseRelative, Error, Fill, FlowBackend, Op, RelativeGradient,
};

use crate::fit::{Drift, State};
use crate::norm::largest;
use crate::transfer::download;

pub(crate) struct Tracking<B: Backend> {
    log_det: f64,
    inverse: B::Batch,
}

impl<B: FlowBackend + Allocate> Tracking<B> {
    /// (log|det W|, W⁻¹) by LU.
    pub(crate) fn start(b: &B, weight: &B::Batch) -> Result<Self, Error<B::Error>> {
        let shape = b.shape(weight);
        let mut factors = b.batch(shape)?;
        b.copy(weight, &mut factors)?;
        let (sign, log_det) = b.log_abs_det(&mut factors)?;
        b.copy(weight, &mut factors)?;
        let mut inverse = b.batch(shape)?;
        b.fill(Fill::Identity, &mut inverse)?;
        // Row r becomes W⁻ᵀ e_r, row r of W⁻¹.
        if sign == 0.0 || !b.solve(&mut factors, Op::Transposed, &mut inverse)? {
            return Err(Error::Singular);
        }
        Ok(Self { log_det, inverse })
    }

    /// One guarded step of the layer that `tangent` linearises: (change of log|det W|, halvings).
    pub(crate) fn step(
        &mut self,
        b: &B,
        tangent: &mut DenseRelative<B>,
        learning_rate: f64,
        layer: &mut Affine<B::Batch>,
    ) -> Result<(f64, u32), Error<B::Error>> {
        let safe = tangent.guard(b, learning_rate)?.ok_or(Error::Singular)?;
        tangent.step(b, safe.mu, layer, Some(&mut self.inverse))?;
        self.log_det += safe.log_det_change;
        Ok((safe.log_det_change, safe.shrinks))
    }

    /// Starts anew from LU of `weight`.
    pub(crate) fn refresh(&mut self, b: &B, weight: &B::Batch) -> Result<Drift, Error<B::Error>> {
        let fresh = Self::start(b, weight)?;
        let mut tracked = core::mem::replace(self, fresh);
        let shape = b.shape(weight);
        let size = |batch| download(b, batch).map(largest);
        b.axpy(0..shape.rows, -1.0, &self.inverse, &mut tracked.inverse)?;
        Ok(Drift {
            log_det: (tracked.log_det - self.log_det).abs(),
            inverse: size(&tracked.inverse)? / size(&self.inverse)?,
        })
    }
}

impl<B: Backend> Tracking<B> {
    pub(crate) fn visit<E>(
        &mut self,
        mut visit: impl FnMut(State<'_, B>) -> Result<(), E>,
    ) -> Result<(), E> {
        visit(State::Number(&mut self.log_det))?;
        visit(State::Batch(&mut self.inverse))
    }

    pub(crate) const fn log_abs_det(&self) -> f64 {
        self.log_det
    }

    pub(crate) const fn inverse(&self) -> &B::Batch {
        &self.inverse
    }
}
