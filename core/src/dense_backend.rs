//! What a backend with dense matrices offers.

use core::ops::Range;

use crate::{Activation, Backend, Op, Store};

/// Products with dense weights and the elementwise passes of a multilayer perceptron.
///
/// A weight W is a batch of shape [out, in].
pub trait DenseBackend: Backend {
    /// out_r ← [out_r +] op(W) x_r for r in `rows`. x and out have equally many rows.
    ///
    /// # Errors
    /// The device's.
    fn apply(
        &self,
        rows: Range<usize>,
        w: &Self::Batch,
        op: Op,
        x: &Self::Batch,
        store: Store,
        out: &mut Self::Batch,
    ) -> Result<(), Self::Error>;

    /// out_r ← op(W) x_r for every row of two batches, as two calls of [`Self::apply`].
    ///
    /// A backend overrides it where one pass over a large weight can serve both.
    ///
    /// # Errors
    /// The device's.
    fn apply_to_both(
        &self,
        w: &Self::Batch,
        op: Op,
        x: [&Self::Batch; 2],
        out: [&mut Self::Batch; 2],
    ) -> Result<(), Self::Error> {
        for (x, out) in x.into_iter().zip(out) {
            self.apply(0..self.shape(x).rows, w, op, x, Store::Set, out)?;
        }
        Ok(())
    }

    /// G ← [G +] a Σ_{r in rows} s_r v_rᵀ, G of shape [dim s, dim v]; s and v have equally many rows.
    /// An empty range is a sum of zero: [`Store::Set`] writes zeros.
    ///
    /// # Errors
    /// The device's.
    fn outer(
        &self,
        rows: Range<usize>,
        a: f64,
        s: &Self::Batch,
        v: &Self::Batch,
        store: Store,
        g: &mut Self::Batch,
    ) -> Result<(), Self::Error>;

    /// G ← base + a Σ_{r in rows} s_r v_rᵀ, as [`Backend::copy`] and [`Self::outer`].
    ///
    /// A backend overrides it where copy and sum can share one pass over a large G.
    ///
    /// # Errors
    /// The device's.
    fn outer_onto(
        &self,
        rows: Range<usize>,
        a: f64,
        s: &Self::Batch,
        v: &Self::Batch,
        base: &Self::Batch,
        g: &mut Self::Batch,
    ) -> Result<(), Self::Error> {
        self.copy(base, g)?;
        self.outer(rows, a, s, v, Store::Add, g)
    }

    /// g ← [g +] a Σ_{r in rows} x_r, g of shape [1, dim]. An empty range is a sum of zero, as in
    /// [`Self::outer`].
    ///
    /// # Errors
    /// The device's.
    fn sum_rows(
        &self,
        rows: Range<usize>,
        a: f64,
        x: &Self::Batch,
        store: Store,
        g: &mut Self::Batch,
    ) -> Result<(), Self::Error>;

    /// out_r ← [out_r +] x_r ∘ y_r for r in `rows`.
    ///
    /// # Errors
    /// The device's.
    fn hadamard(
        &self,
        rows: Range<usize>,
        x: &Self::Batch,
        y: &Self::Batch,
        store: Store,
        out: &mut Self::Batch,
    ) -> Result<(), Self::Error>;

    /// x_r ← scale_r ∘ x_r [+ shift_r] for r in `rows`.
    ///
    /// # Errors
    /// The device's.
    fn scale_shift(
        &self,
        rows: Range<usize>,
        scale: &Self::Batch,
        shift: Option<&Self::Batch>,
        x: &mut Self::Batch,
    ) -> Result<(), Self::Error>;

    /// x_r ← x_r + bias for every row; bias is [1, dim].
    ///
    /// # Errors
    /// The device's.
    fn add_bias(&self, bias: &Self::Batch, x: &mut Self::Batch) -> Result<(), Self::Error>;

    /// h_r ← h_r + bias, then z = σ(h), d1 = σ'(h), d2 = σ''(h), for every row; bias is [1, dim].
    /// On hosts [`Activation::jets`] gives the three.
    ///
    /// # Errors
    /// The device's.
    fn bias_activate(
        &self,
        activation: Activation,
        bias: &Self::Batch,
        h: &mut Self::Batch,
        z: &mut Self::Batch,
        d1: &mut Self::Batch,
        d2: &mut Self::Batch,
    ) -> Result<(), Self::Error>;

    /// out ← xᵀ, out of shape [dim, rows].
    ///
    /// # Errors
    /// The device's.
    fn transpose(&self, x: &Self::Batch, out: &mut Self::Batch) -> Result<(), Self::Error>;

    /// (sign, log|det a|) of a square batch, by LU with row pivoting; (0, −∞) where a pivot
    /// vanishes or is not finite. Destroys `a`.
    ///
    /// # Errors
    /// The device's.
    fn log_abs_det(&self, a: &mut Self::Batch) -> Result<(f64, f64), Self::Error>;

    /// x_r ← op(A)⁻¹ x_r for every row r of x, A square; `false`, with unspecified numbers in x, where
    /// A is singular to working precision: a pivot vanishes or is not finite. Destroys `a`.
    ///
    /// # Errors
    /// The device's.
    fn solve(&self, a: &mut Self::Batch, op: Op, x: &mut Self::Batch) -> Result<bool, Self::Error>;

    /// Whether the symmetric part (A + Aᵀ)/2 of a square batch is positive definite, by Cholesky:
    /// true where every pivot d_k = l_kk² has n ε max_i a_ii < d_k < ∞, and false where one is NaN.
    /// Destroys `a`.
    ///
    /// ε is [`Scalar::EPSILON`](crate::Scalar::EPSILON) of the batch's numbers, even where pivots are
    /// computed in wider ones. A matrix with an element that is NaN or infinite is not definite.
    ///
    /// # Errors
    /// The device's.
    fn is_positive_definite(&self, a: &mut Self::Batch) -> Result<bool, Self::Error>;
}
