//! R ≤ D: the tangent by its factors, and K of size R.

use super::{DenseRelative, Step};
use crate::{Affine, DenseBackend, Error, Fill, Op, Shape, Side, Store};

impl<B: DenseBackend> DenseRelative<B> {
    /// With below_r ← Wᵀδ_r, where it is asked for and the side is plain.
    pub(super) fn linearise_few(
        &mut self,
        b: &B,
        layer: &Affine<B::Batch>,
        delta: &B::Batch,
        anchor: &B::Batch,
        below: Option<&mut B::Batch>,
    ) -> Result<(), B::Error> {
        let rows = self.shape(b).rows;
        let Affine { weight, bias } = layer;
        let (all, set) = (0..rows, Store::Set);
        self.has_gram = false;
        b.copy(anchor, &mut self.v)?;
        b.fill(Fill::Constant(1.0), &mut self.lever)?;
        let kept = match self.side {
            Side::Plain => {
                b.copy(delta, &mut self.u)?;
                let (op, image) = (Op::Transposed, &mut self.image);
                match below {
                    Some(below) => b.apply_to_both(weight, op, [delta, anchor], [below, image])?,
                    None => b.apply(all.clone(), weight, op, anchor, set, image)?,
                }
                let (add, lever) = (Store::Add, &mut self.lever);
                b.apply(all.clone(), bias, Op::Plain, anchor, add, lever)?;
                b.copy(bias, &mut self.bias)?;
                Store::Add
            }
            Side::Transposed => {
                let (u, image) = (&mut self.u, &mut self.image);
                b.apply(all.clone(), weight, Op::Transposed, delta, set, u)?;
                b.apply(all.clone(), weight, Op::Plain, u, set, image)?;
                Store::Set
            }
        };
        // Δb = [b +] (1/R) Σ_r lever_r left_r
        let (left, _) = self.side.factors(&self.u, &self.v, &self.image);
        let mean = 1.0 / rows as f64;
        b.outer(all, mean, &self.lever, left, kept, &mut self.bias)
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
        if inverse.is_some() && !self.solve(b, step)? {
            return Err(Error::Singular);
        }
        // Nothing is refused from here on.
        b.fill_rows(step.scale, &mut self.scale)?;
        b.scale_rows(&self.scale, weight)?;
        self.add_correction(b, step.share, weight)?;
        let Some(inverse) = inverse else {
            return Ok(());
        };
        // The image has done its part, and its buffer takes the product with the old inverse.
        let Shape { rows, .. } = self.shape(b);
        let (op, x) = match self.side {
            Side::Plain => (Op::Plain, &self.solved),
            Side::Transposed => (Op::Transposed, &self.v),
        };
        b.apply(0..rows, inverse, op, x, Store::Set, &mut self.image)?;
        let (left, right) = match self.side {
            Side::Plain => (&self.image, &self.v),
            Side::Transposed => (&self.solved, &self.image),
        };
        b.fill_rows(1.0 / step.scale, &mut self.scale)?;
        b.scale_rows(&self.scale, inverse)?;
        let share = -step.share / step.scale;
        b.outer(0..rows, share, left, right, Store::Add, inverse)?;
        Ok(())
    }

    /// solved ← (s I + a U Vᵀ)⁻¹ U = U (s I + a VᵀU)⁻¹; `false` where there is none.
    fn solve(&mut self, b: &B, step: &Step) -> Result<bool, B::Error> {
        let rows = self.shape(b).rows;
        self.build(b, step)?;
        // Row r of the square becomes K⁻¹ e_r, and row r of the result U K⁻¹ e_r.
        self.has_gram = false;
        b.fill(Fill::Identity, &mut self.gram)?;
        let solvable = b.solve(&mut self.k, Op::Plain, &mut self.gram)?;
        if solvable {
            let (op, set) = (Op::Transposed, Store::Set);
            b.apply(0..rows, &self.u, op, &self.gram, set, &mut self.solved)?;
        }
        Ok(solvable)
    }
}
