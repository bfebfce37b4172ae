//! Capabilities beyond [`Backend`]: dense matrices, and the passes of a flow.

use core::ops::Range;

use crate::{Activation, Adam, Backend, BaseDensity, Op, Shape, Store};

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

/// The fused elementwise passes that training and sampling a flow need beyond products.
pub trait FlowBackend: DenseBackend {
    /// One bijective layer's activation, for every row r:
    /// y_r ← y_r + bias; z = σ(y); d1 = σ'(y); score = σ''(y)/σ'(y); and where `log` is given,
    /// log_r ← log_r + Σ_j log σ'(y_rj), which a gradient does not need.
    ///
    /// `score` is ∂ log σ'/∂y, the part of δ that the layer adds itself (Gresele et al. 2020, eq. 19).
    /// The sum over j accumulates in `f64`. On hosts [`Activation::scores`] gives the batches and
    /// [`Activation::add_log_slopes`] the sums.
    ///
    /// # Errors
    /// The device's.
    #[expect(
        clippy::too_many_arguments,
        reason = "one fused pass writes all of them"
    )]
    fn bijection(
        &self,
        activation: Activation,
        bias: &Self::Batch,
        y: &mut Self::Batch,
        z: &mut Self::Batch,
        d1: &mut Self::Batch,
        score: &mut Self::Batch,
        log: Option<&mut Self::Rows>,
    ) -> Result<(), Self::Error>;

    /// z_r ← σ⁻¹(z_r) − bias for every row: the inverse of [`Self::bijection`] up to the weight.
    /// On hosts σ⁻¹ is [`Activation::inverse`].
    ///
    /// # Errors
    /// The device's.
    fn inverse_bijection(
        &self,
        activation: Activation,
        bias: &Self::Batch,
        z: &mut Self::Batch,
    ) -> Result<(), Self::Error>;

    /// score = ∂ log p(z)/∂z; log_r ← log_r + Σ_j log p(z_rj), for every row. On hosts
    /// [`BaseDensity::log_density_and_score`] gives both.
    ///
    /// # Errors
    /// The device's.
    fn base_density(
        &self,
        base: BaseDensity,
        z: &Self::Batch,
        score: &mut Self::Batch,
        log: &mut Self::Rows,
    ) -> Result<(), Self::Error>;

    /// One Adam *ascent* step of the parameters along `direction` (Kingma and Ba 2015, algorithm 1):
    /// m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², w ← w + μ_t m/(√v + ε_t). On hosts it is
    /// [`Adam::ascend`].
    ///
    /// # Errors
    /// The device's.
    fn adam(
        &self,
        step: &Adam,
        direction: &Self::Batch,
        first_moment: &mut Self::Batch,
        second_moment: &mut Self::Batch,
        parameters: &mut Self::Batch,
    ) -> Result<(), Self::Error>;

    /// One Adam ascent step of a weight [n, n] along w + a Σ_r left_r right_rᵀ: [`Self::adam`] on a
    /// relative direction, which need not exist as a whole.
    ///
    /// `scratch` has the shape of [`Self::relative_adam_scratch`], and holds unspecified numbers
    /// after. The provided method forms the direction there; a backend overrides both where product
    /// and step can share one pass over the weight.
    ///
    /// # Errors
    /// The device's.
    #[expect(
        clippy::too_many_arguments,
        reason = "two factors, and the four batches of a step"
    )]
    fn relative_adam(
        &self,
        step: &Adam,
        a: f64,
        left: &Self::Batch,
        right: &Self::Batch,
        scratch: &mut Self::Batch,
        first_moment: &mut Self::Batch,
        second_moment: &mut Self::Batch,
        weight: &mut Self::Batch,
    ) -> Result<(), Self::Error> {
        let rows = 0..self.shape(left).rows;
        self.outer_onto(rows, a, left, right, weight, scratch)?;
        self.adam(step, scratch, first_moment, second_moment, weight)
    }

    /// The scratch that [`Self::relative_adam`] wants for a weight [dim, dim].
    fn relative_adam_scratch(&self, dim: usize) -> Shape {
        Shape::new(dim, dim)
    }
}
