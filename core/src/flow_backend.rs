//! The fused passes of a flow.

use crate::{Activation, Adam, Affine, BaseDensity, DenseBackend, Shape, unfused};

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

    /// A layer forward, for every row r: y_r = W x_r + b, and z, d1, score and `log` as
    /// [`Self::bijection`] gives them.
    ///
    /// The provided method is [`unfused::forward_layer`]. A backend overrides it,
    /// [`Self::backward_layer`] and [`Self::weight_direction`] where rows are so short that most of
    /// the time goes into calls.
    ///
    /// # Errors
    /// The device's.
    #[expect(
        clippy::too_many_arguments,
        reason = "one fused pass writes all of them"
    )]
    fn forward_layer(
        &self,
        activation: Activation,
        layer: &Affine<Self::Batch>,
        x: &Self::Batch,
        y: &mut Self::Batch,
        z: &mut Self::Batch,
        d1: &mut Self::Batch,
        score: &mut Self::Batch,
        log: Option<&mut Self::Rows>,
    ) -> Result<(), Self::Error> {
        unfused::forward_layer(self, activation, layer, x, y, z, d1, score, log)
    }

    /// A layer backward, over all R rows: below_r = d1_r ∘ Wᵀδ_r + score_r with the slopes and scores of
    /// the layer below, and the relative gradient of [`Side::Plain`](crate::Side::Plain),
    /// gram = (1/R) Σ_r δ_r y_rᵀ and bias = b + (1/R) Σ_r δ_r + gram b.
    ///
    /// gram is [D, D], bias [1, D], everything else [R, D]. The provided method is
    /// [`unfused::backward_layer`].
    ///
    /// # Errors
    /// The device's.
    #[expect(
        clippy::too_many_arguments,
        reason = "one fused pass reads and writes all of them"
    )]
    fn backward_layer(
        &self,
        layer: &Affine<Self::Batch>,
        delta: &Self::Batch,
        y: &Self::Batch,
        d1: &Self::Batch,
        score: &Self::Batch,
        below: &mut Self::Batch,
        gram: &mut Self::Batch,
        bias: &mut Self::Batch,
    ) -> Result<(), Self::Error> {
        unfused::backward_layer(self, layer, delta, y, d1, score, below, gram, bias)
    }

    /// out = W + gram W: the direction of a weight, with the gram of [`Self::backward_layer`]; all three
    /// are [D, D]. The provided method is [`unfused::weight_direction`].
    ///
    /// # Errors
    /// The device's.
    fn weight_direction(
        &self,
        gram: &Self::Batch,
        weight: &Self::Batch,
        out: &mut Self::Batch,
    ) -> Result<(), Self::Error> {
        unfused::weight_direction(self, gram, weight, out)
    }

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
