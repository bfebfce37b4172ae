//! The gradient of a truncated series by differentiating it term by term, as a reference: its memory grows
//! with the number of terms.

use detfree::{Allocate, Backend, BilinearGradient, Error, Operator, Shape};

/// Keeps the powers (Jᵀ)ᵏ v of one block for its way back.
pub struct Naive<B: Backend> {
    /// w₀ = v, w_k = Jᵀ w_{k−1}
    powers: Vec<B::Batch>,
    /// ∂X/∂w_k
    adjoint: B::Batch,
    next: B::Batch,
}

/// a_k = (−1)^{k+1}/k
fn coefficient(k: usize) -> f64 {
    let sign = if k % 2 == 1 { 1.0 } else { -1.0 };
    sign / k as f64
}

impl<B: Allocate> Naive<B> {
    /// Memory for so many terms.
    ///
    /// # Errors
    /// The device's.
    pub fn new(b: &B, shape: Shape, terms: usize) -> Result<Self, B::Error> {
        let powers = (0..=terms).map(|_| b.batch(shape));
        Ok(Self {
            powers: powers.collect::<Result<_, _>>()?,
            adjoint: b.batch(shape)?,
            next: b.batch(shape)?,
        })
    }

    /// out_r ← X_r = Σ_k a_k ⟨w_k, v⟩ for the probe v.
    ///
    /// # Errors
    /// The device's.
    pub fn value<O: Operator<B>>(
        &mut self,
        b: &B,
        op: &mut O,
        probe: &B::Batch,
        out: &mut B::Rows,
    ) -> Result<(), Error<B::Error>> {
        let all = 0..op.shape(b).rows;
        b.fill_rows(0.0, out)?;
        b.copy(probe, &mut self.powers[0])?;
        for k in 1..self.powers.len() {
            let (before, after) = self.powers.split_at_mut(k);
            op.vjp(b, all.clone(), &before[k - 1], &mut after[0])?;
            b.dot_rows(all.clone(), coefficient(k), &after[0], probe, out)?;
        }
        Ok(())
    }

    /// gradient ← gradient + ∂ Σ_r X_r of the value before, which waits in the operator too: with
    /// ŵ_k = a_k v + J ŵ_{k+1}, it is Σ_k w_{k−1}ᵀ ∂J ŵ_k.
    ///
    /// # Errors
    /// The device's.
    pub fn gradient<O: BilinearGradient<B>>(
        &mut self,
        b: &B,
        op: &mut O,
        gradient: &mut O::Gradient,
    ) -> Result<(), Error<B::Error>> {
        let all = 0..op.shape(b).rows;
        b.fill(detfree::Fill::Constant(0.0), &mut self.adjoint)?;
        for k in (1..self.powers.len()).rev() {
            op.jvp(b, all.clone(), &self.adjoint, &mut self.next)?;
            std::mem::swap(&mut self.adjoint, &mut self.next);
            b.axpy(
                all.clone(),
                coefficient(k),
                &self.powers[0],
                &mut self.adjoint,
            )?;
            op.accumulate(b, &self.powers[k - 1], &self.adjoint, gradient)?;
        }
        Ok(())
    }
}
