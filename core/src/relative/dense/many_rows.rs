//! R > D: T − I = U Vᵀ/R itself, a matrix no larger than the weight, and K of size D.

use super::{DenseRelative, Step};
use crate::unfused::relative_sums;
use crate::{Affine, DenseBackend, Error, Fill, Op, Side, Store};

impl<B: DenseBackend> DenseRelative<B> {
    pub(super) fn linearise_many(
        &mut self,
        b: &B,
        layer: &Affine<B::Batch>,
        delta: &B::Batch,
        anchor: &B::Batch,
    ) -> Result<(), B::Error> {
        let rows = self.shape(b).rows;
        let weight = &layer.weight;
        let (all, set, mean) = (0..rows, Store::Set, 1.0 / rows as f64);
        match self.side {
            Side::Plain => {
                let (gram, bias) = (&mut self.gram, &mut self.bias);
                relative_sums(b, layer, delta, anchor, gram, bias)
            }
            Side::Transposed => {
                let u = &mut self.u;
                b.apply(all.clone(), weight, Op::Transposed, delta, set, u)?;
                b.outer(all.clone(), mean, u, anchor, set, &mut self.gram)?;
                // Δb = W Wᵀ t
                b.sum_rows(all, mean, u, set, &mut self.mean)?;
                b.apply(0..1, weight, Op::Plain, &self.mean, set, &mut self.bias)
            }
        }
    }

    /// out ← (T − I) W (plain) or W (T − I) (transposed).
    pub(super) fn correction(
        b: &B,
        side: Side,
        gram: &B::Batch,
        weight: &B::Batch,
        out: &mut B::Batch,
    ) -> Result<(), B::Error> {
        let (w, x) = match side {
            Side::Plain => (weight, gram),
            Side::Transposed => (gram, weight),
        };
        // Row i of X Y is Yᵀ (row i of X).
        b.apply(0..b.shape(x).rows, w, Op::Transposed, x, Store::Set, out)
    }

    pub(super) fn step_many(
        &mut self,
        b: &B,
        step: &Step,
        weight: &mut B::Batch,
        inverse: Option<&mut B::Batch>,
    ) -> Result<(), Error<B::Error>> {
        let Some(inverse) = inverse else {
            self.step_weight(b, step, weight)?;
            return Ok(());
        };
        // By the elimination that the inverse will need: that of Kᵀ can meet a zero where that of K rounds
        // past one.
        self.build(b, step)?;
        b.fill(Fill::Constant(0.0), &mut self.mean)?;
        if !b.solve(&mut self.k, Op::Transposed, &mut self.mean)? {
            return Err(Error::Singular);
        }
        // Nothing is refused from here on.
        self.step_weight(b, step, weight)?;
        // K⁻¹ = I − X with X = (s K − s I)(s K)⁻¹, which is small where the step is: its rounding
        // is, too.
        let dim = self.shape(b).dim;
        self.build(b, step)?;
        b.fill_rows(step.mu, &mut self.scale)?;
        b.scale_rows(&self.scale, &mut self.gram)?;
        b.solve(&mut self.k, Op::Transposed, &mut self.gram)?;
        // W⁻¹ X (plain) or X W⁻¹ (transposed).
        let (w, x) = match self.side {
            Side::Plain => (&self.gram, &*inverse),
            Side::Transposed => (&*inverse, &self.gram),
        };
        b.apply(0..dim, w, Op::Transposed, x, Store::Set, &mut self.k)?;
        b.axpy(0..dim, -1.0, &self.k, inverse)?;
        b.fill_rows(1.0 / step.scale, &mut self.scale)?;
        b.scale_rows(&self.scale, inverse)?;
        Ok(())
    }

    /// W ← (1+μ) W + μ (T − I) W, or W (T − I).
    fn step_weight(&mut self, b: &B, step: &Step, weight: &mut B::Batch) -> Result<(), B::Error> {
        let dim = self.shape(b).dim;
        Self::correction(b, self.side, &self.gram, weight, &mut self.k)?;
        b.fill_rows(step.scale, &mut self.scale)?;
        b.scale_rows(&self.scale, weight)?;
        b.axpy(0..dim, step.mu, &self.k, weight)
    }
}
