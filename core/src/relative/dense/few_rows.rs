//! R ≤ D: the tangent by its factors, and K of size R.

use super::{DenseRelative, Step};
use crate::{Affine, DenseBackend, Error, Fill, Op, Side, Store};

impl<B: DenseBackend> DenseRelative<B> {
    /// Of the plain side, from U and V; and below_r ← Wᵀδ_r, where it is asked for.
    pub(super) fn pull_plain(
        &mut self,
        b: &B,
        layer: &Affine<B::Batch>,
        below: Option<&mut B::Batch>,
    ) -> Result<(), B::Error> {
        let Affine { weight, bias } = layer;
        let (all, op, image) = (0..self.shape(b).rows, Op::Transposed, &mut self.image);
        match below {
            Some(below) => b.apply_to_both(weight, op, [&self.u, &self.v], [below, image])?,
            None => b.apply(all.clone(), weight, op, &self.v, Store::Set, image)?,
        }
        b.fill(Fill::Constant(1.0), &mut self.lever)?;
        b.apply(all, bias, Op::Plain, &self.v, Store::Add, &mut self.lever)?;
        b.copy(bias, &mut self.bias)?;
        self.average_bias(b, Store::Add)
    }

    /// Of the transposed side, from δ and V.
    pub(super) fn pull_transposed(
        &mut self,
        b: &B,
        layer: &Affine<B::Batch>,
        delta: &B::Batch,
    ) -> Result<(), B::Error> {
        let (all, set) = (0..self.shape(b).rows, Store::Set);
        let (weight, u, image) = (&layer.weight, &mut self.u, &mut self.image);
        b.apply(all.clone(), weight, Op::Transposed, delta, set, u)?;
        b.apply(all, weight, Op::Plain, u, set, image)?;
        b.fill(Fill::Constant(1.0), &mut self.lever)?;
        self.average_bias(b, Store::Set)
    }

    /// Δb ← [Δb +] (1/R) Σ_r lever_r left_r, which ends a linearisation.
    fn average_bias(&mut self, b: &B, store: Store) -> Result<(), B::Error> {
        self.has_gram = false;
        let rows = self.shape(b).rows;
        let (left, _) = self.side.factors(&self.u, &self.v, &self.image);
        let mean = 1.0 / rows as f64;
        b.outer(0..rows, mean, &self.lever, left, store, &mut self.bias)
    }

    /// x ← x + a Σ_r left_r right_rᵀ
    pub(super) fn add_correction(&self, b: &B, a: f64, x: &mut B::Batch) -> Result<(), B::Error> {
        let rows = self.shape(b).rows;
        let (left, right) = self.side.factors(&self.u, &self.v, &self.image);
        b.outer(0..rows, a, left, right, Store::Add, x)
    }

    /// gram ← VᵀU, where it is not that already.
    pub(super) fn require_gram(&mut self, b: &B) -> Result<(), B::Error> {
        if !self.has_gram {
            let (all, set) = (0..self.shape(b).rows, Store::Set);
            b.apply(all, &self.u, Op::Plain, &self.v, set, &mut self.gram)?;
            self.has_gram = true;
        }
        Ok(())
    }

    pub(super) fn step_few(
        &mut self,
        b: &B,
        step: &Step,
        weight: &mut B::Batch,
        inverse: Option<&mut B::Batch>,
    ) -> Result<(), Error<B::Error>> {
        if inverse.is_some() && !self.invert(b, step)? {
            return Err(Error::Singular);
        }
        // Nothing is refused from here on.
        b.fill_rows(step.scale, &mut self.scale)?;
        b.scale_rows(&self.scale, weight)?;
        self.add_correction(b, step.share, weight)?;
        let Some(inverse) = inverse else {
            return Ok(());
        };
        // The factors of the step have done their part, and one after the other makes room for those of the
        // inverse's: U K⁻¹ first, of which W⁻¹ makes a factor (plain), or last (transposed).
        let (all, set) = (0..self.shape(b).rows, Store::Set);
        let (u, v, image, rows) = (&mut self.u, &mut self.v, &mut self.image, &self.gram);
        match self.side {
            Side::Plain => {
                b.apply(all.clone(), u, Op::Transposed, rows, set, image)?;
                b.apply(all.clone(), inverse, Op::Plain, image, set, u)?;
            }
            Side::Transposed => {
                b.apply(all.clone(), inverse, Op::Transposed, v, set, image)?;
                b.apply(all.clone(), u, Op::Transposed, rows, set, v)?;
            }
        }
        let (left, right) = match self.side {
            Side::Plain => (&self.u, &self.v),
            Side::Transposed => (&self.v, &self.image),
        };
        b.fill_rows(1.0 / step.scale, &mut self.scale)?;
        b.scale_rows(&self.scale, inverse)?;
        let share = -step.share / step.scale;
        b.outer(all, share, left, right, Store::Add, inverse)?;
        Ok(())
    }

    /// Row r of gram ← (s K)⁻¹ e_r, so that their products with U are the rows of U (s I + a VᵀU)⁻¹ =
    /// (s I + a U Vᵀ)⁻¹ U; `false` where there is none.
    fn invert(&mut self, b: &B, step: &Step) -> Result<bool, B::Error> {
        self.build(b, step)?;
        self.has_gram = false;
        b.fill(Fill::Identity, &mut self.gram)?;
        b.solve(&mut self.k, Op::Plain, &mut self.gram)
    }
}
