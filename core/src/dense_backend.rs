//! What a backend with dense matrices offers.

use core::ops::Range;

use crate::{Activation, Backend, Op, Store, unfused};

/// One product of a chain, x ↦ scale ∘ op(W) x, and where it goes.
///
/// [`DenseBackend::chain`] takes them in order, each with the `out` of the one before as its x.
///
/// ```
/// use detfree_core::{Backend, DenseBackend, Dense, Link, Op, Shape, reference::Heap};
/// let matrix = |rows, dim, numbers: &[f64]| Dense::new(Shape::new(rows, dim), numbers.to_vec()).unwrap();
/// let (w, x, scale) = (matrix(1, 2, &[3.0, 4.0]), matrix(1, 2, &[1.0, 2.0]), matrix(1, 1, &[0.5]));
/// let (mut wx, mut out) = (matrix(1, 1, &[0.0]), matrix(1, 2, &[0.0; 2]));
/// let scaled = Link { weight: &w, op: Op::Plain, scale: Some(&scale), out: &mut wx };
/// let back = Link { weight: &w, op: Op::Transposed, scale: None, out: &mut out };
/// let Ok(()) = Heap::<f64>::new().chain(0..1, &x, [scaled, back]);
/// assert_eq!(out.as_slice(), [0.5 * 11.0 * 3.0, 0.5 * 11.0 * 4.0]);
/// ```
#[derive(Debug)]
pub struct Link<'a, X> {
    /// W
    pub weight: &'a X,
    /// Whether the product is with W or Wᵀ.
    pub op: Op,
    /// A factor of every element of the product, of its shape; none is a factor of one.
    pub scale: Option<&'a X>,
    /// Where the product goes.
    pub out: &'a mut X,
}

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

    /// out_r ← scale_r ∘ op(W) x_r for r in `rows`, link after link, the x of a link being the `out` of
    /// the one before: with the links of a net, the product with its Jacobian or its transpose.
    ///
    /// Of the links' `out` only the last one's holds anything specified afterwards; the others are
    /// scratch. Rows outside `rows` stay as they are in all of them. Without links nothing happens.
    ///
    /// The provided method is [`unfused::chain`]. A backend overrides it where a product
    /// can be scaled as it is stored, or where results can stay where they were computed.
    ///
    /// # Errors
    /// The device's.
    fn chain<'a>(
        &self,
        rows: Range<usize>,
        x: &'a Self::Batch,
        links: impl IntoIterator<Item = Link<'a, Self::Batch>>,
    ) -> Result<(), Self::Error>
    where
        Self::Batch: 'a,
    {
        unfused::chain(self, rows, x, links)
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
