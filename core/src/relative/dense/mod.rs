//! The relative gradient of a dense layer: products with its weights, and one small matrix K.

mod few_rows;
mod many_rows;

use core::mem;

use super::step::Step;
use super::{RelativeGradient, Side};
use crate::{Affine, Allocate, Backend, DenseBackend, Error, Fill, FlowBackend, Shape};

/// The relative gradient of a dense D×D layer over batches of R rows.
///
/// With R ≤ D rows the tangent is kept by its factors, and nothing of size D×D×D is done: one product
/// of size D×D×R to linearise (two where [`Side::Transposed`]; the first of them is the Wᵀδ of
/// back-propagation), one for the direction or the step, two more for the inverse. With more rows
/// T − I = U Vᵀ/R itself is formed, in one product of size D×D×R, and the rest costs D×D×D.
/// K has min(R, D) rows and is built only when asked for.
///
/// ```
/// use detfree_core::reference::Heap;
/// use detfree_core::{Affine, Dense, DenseRelative, RelativeGradient, Shape, Side};
/// let batch = |rows, dim, values: &[f64]| Dense::new(Shape::new(rows, dim), values.to_vec());
/// let mut layer = Affine { weight: batch(2, 2, &[2.0, 0.0, 0.0, 1.0])?, bias: batch(1, 2, &[0.0; 2])? };
/// let (b, delta, y) = (Heap::<f64>::new(), batch(1, 2, &[-1.0, 0.0])?, batch(1, 2, &[1.0, 0.0])?);
/// let mut tangent = DenseRelative::allocate(&b, 1, 2)?;
/// tangent.linearise(&b, Side::Plain, &layer, &delta, &y)?; // T = diag(0, 1)
/// let step = tangent.guard(&b, 0.5)?.expect("a small step");
/// tangent.step(&b, step.mu, &mut layer, None)?;
/// assert_eq!(layer.weight.as_slice(), [2.0, 0.0, 0.0, 1.5]);
/// assert!((step.log_det_change - 1.5_f64.ln()).abs() < 1e-15);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DenseRelative<B: Backend> {
    side: Side,
    /// U, one column a row; of many rows only where the side is transposed, and room for a δ where it is plain.
    u: B::Batch,
    /// V, one column a row; of few rows only.
    v: B::Batch,
    /// The factor of ΔW that the layer makes of the other, of few rows: Wᵀ y_r (plain) or W Wᵀ δ_r
    /// (transposed).
    image: B::Batch,
    /// VᵀU of few rows, unspecified unless `has_gram`; U Vᵀ/R of many.
    gram: B::Batch,
    has_gram: bool,
    /// s K; destroyed by whoever factorises it.
    k: B::Batch,
    /// Of few rows: 1 + y_rᵀ b (plain) or 1 (transposed).
    lever: B::Batch,
    /// Δb
    bias: B::Batch,
    /// (1/R) Σ_r u_r, of many rows where the side is transposed.
    mean: B::Batch,
    /// The factor of every row of W, or of W⁻¹.
    scale: B::Rows,
    /// The factor of every row of K.
    scale_k: B::Rows,
}

impl<B: DenseBackend> DenseRelative<B> {
    /// A tangent over buffers of the caller's: `per_row` of shape [R, D], `square` of shape
    /// [n, n] with n = min(R, D), `lever` of shape [R, 1], `single` of shape [1, D], and `scales`
    /// with D and with n numbers. What they hold does not matter.
    ///
    /// Until it is linearised it is that of δ = 0: ΔW = W, Δb = 0.
    ///
    /// # Errors
    /// [`Error::Shape`] where a buffer does not fit the first one, or the device's.
    pub fn new(
        b: &B,
        per_row: [B::Batch; 3],
        square: [B::Batch; 2],
        lever: B::Batch,
        single: [B::Batch; 2],
        scales: [B::Rows; 2],
    ) -> Result<Self, Error<B::Error>> {
        let [scale, scale_k] = scales;
        let [u, v, image] = per_row;
        let [gram, k] = square;
        let [bias, mean] = single;
        let mut tangent = Self {
            side: Side::Transposed,
            u,
            v,
            image,
            gram,
            has_gram: true,
            k,
            lever,
            bias,
            mean,
            scale,
            scale_k,
        };
        let shape = tangent.shape(b);
        let smaller = shape.rows.min(shape.dim);
        let (square, single) = (Shape::new(smaller, smaller), Shape::new(1, shape.dim));
        let lever = Shape::new(shape.rows, 1);
        // One by one, not in a loop: where the shapes are known nothing of this is left.
        Error::check_shape("the second factor", shape, b.shape(&tangent.v))?;
        Error::check_shape("the image of a factor", shape, b.shape(&tangent.image))?;
        Error::check_shape("the first square", square, b.shape(&tangent.gram))?;
        Error::check_shape("the second square", square, b.shape(&tangent.k))?;
        Error::check_shape("the lever", lever, b.shape(&tangent.lever))?;
        Error::check_shape("the bias of a direction", single, b.shape(&tangent.bias))?;
        Error::check_shape("the mean of a factor", single, b.shape(&tangent.mean))?;
        Error::check_rows("the scale", shape.dim, b.row_count(&tangent.scale))?;
        Error::check_rows("the scale of K", smaller, b.row_count(&tangent.scale_k))?;
        b.fill(Fill::Constant(0.0), &mut tangent.u)?;
        b.fill(Fill::Constant(0.0), &mut tangent.v)?;
        b.fill(Fill::Constant(0.0), &mut tangent.image)?;
        b.fill(Fill::Constant(0.0), &mut tangent.gram)?;
        b.fill(Fill::Constant(0.0), &mut tangent.bias)?;
        Ok(tangent)
    }

    /// A tangent for batches of `rows` rows and a layer of `dim` × `dim` weights.
    ///
    /// # Errors
    /// The device's.
    pub fn allocate(b: &B, rows: usize, dim: usize) -> Result<Self, Error<B::Error>>
    where
        B: Allocate,
    {
        let per_row = || b.batch(Shape::new(rows, dim));
        let square = || b.batch(Shape::new(rows.min(dim), rows.min(dim)));
        let single = || b.batch(Shape::new(1, dim));
        Self::new(
            b,
            [per_row()?, per_row()?, per_row()?],
            [square()?, square()?],
            b.batch(Shape::new(rows, 1))?,
            [single()?, single()?],
            [b.rows(dim)?, b.rows(rows.min(dim))?],
        )
    }

    /// (left, right) with ΔW = W + (1/R) Σ_r left_r right_rᵀ; `None` of more rows than dimensions,
    /// where [`RelativeGradient::direction`] costs less than such a sum.
    pub fn weight_factors(&self, b: &B) -> Option<(&B::Batch, &B::Batch)> {
        (!self.many_rows(b)).then(|| self.side.factors(&self.u, &self.v, &self.image))
    }

    /// Δb
    #[must_use]
    pub const fn bias_direction(&self) -> &B::Batch {
        &self.bias
    }

    /// R rows of D numbers.
    pub(super) fn shape(&self, b: &B) -> Shape {
        b.shape(&self.u)
    }

    fn many_rows(&self, b: &B) -> bool {
        let Shape { rows, dim } = self.shape(b);
        rows > dim
    }

    fn check(&self, b: &B, layer: &Affine<B::Batch>) -> Result<(), Error<B::Error>> {
        let dim = self.shape(b).dim;
        Error::check_shape("the weight", Shape::new(dim, dim), b.shape(&layer.weight))?;
        Error::check_shape("the bias", Shape::new(1, dim), b.shape(&layer.bias))
    }

    /// out ← ΔW, without a fused pass.
    fn combine(&self, b: &B, weight: &B::Batch, out: &mut B::Batch) -> Result<(), B::Error> {
        let Shape { rows, dim } = self.shape(b);
        if self.many_rows(b) {
            Self::correction(b, self.side, &self.gram, weight, out)?;
            return b.axpy(0..dim, 1.0, weight, out);
        }
        let (left, right) = self.side.factors(&self.u, &self.v, &self.image);
        b.outer_onto(0..rows, 1.0 / rows as f64, left, right, weight, out)
    }

    fn check_operands(
        &self,
        b: &B,
        layer: &Affine<B::Batch>,
        delta: &B::Batch,
        anchor: &B::Batch,
    ) -> Result<(), Error<B::Error>> {
        let shape = self.shape(b);
        self.check(b, layer)?;
        Error::check_shape("delta", shape, b.shape(delta))?;
        Error::check_shape("the anchor", shape, b.shape(anchor))
    }

    /// k ← s K = s I + a VᵀU of few rows, s I + μ U Vᵀ/R of many.
    fn build(&mut self, b: &B, step: &Step) -> Result<(), B::Error> {
        let Shape { rows, dim } = self.shape(b);
        let share = if self.many_rows(b) {
            // The gram has its 1/R already.
            step.mu
        } else {
            self.require_gram(b)?;
            step.share
        };
        b.fill(Fill::Identity, &mut self.k)?;
        b.fill_rows(step.scale, &mut self.scale_k)?;
        b.scale_rows(&self.scale_k, &mut self.k)?;
        b.axpy(0..rows.min(dim), share, &self.gram, &mut self.k)
    }
}

impl<B: FlowBackend> DenseRelative<B> {
    /// As [`RelativeGradient::linearise`], and delta_r ← d1_r ∘ Wᵀδ_r + score_r: the δ of the layer before,
    /// whose σ' and score d1 and `score` are (Gresele et al. 2020, eq. 19).
    ///
    /// The tangent takes δ and the anchor and leaves memory of its own: `anchor` holds unspecified numbers
    /// afterwards.
    ///
    /// # Errors
    /// As [`RelativeGradient::linearise`].
    pub fn linearise_and_propagate(
        &mut self,
        b: &B,
        side: Side,
        layer: &Affine<B::Batch>,
        [delta, anchor]: [&mut B::Batch; 2],
        [d1, score]: [&B::Batch; 2],
    ) -> Result<(), Error<B::Error>> {
        let shape = self.shape(b);
        Error::check_shape("the slopes below", shape, b.shape(d1))?;
        Error::check_shape("the scores below", shape, b.shape(score))?;
        self.check_operands(b, layer, delta, anchor)?;
        self.side = side;
        match (side, self.many_rows(b)) {
            (Side::Plain, true) => {
                let (below, gram, bias) = (&mut self.u, &mut self.gram, &mut self.bias);
                b.backward_layer(layer, delta, anchor, d1, score, below, gram, bias)?;
                mem::swap(delta, &mut self.u);
                return Ok(());
            }
            (Side::Plain, false) => {
                mem::swap(delta, &mut self.u);
                mem::swap(anchor, &mut self.v);
                self.pull_plain(b, layer, Some(delta))?;
            }
            (Side::Transposed, many_rows) => {
                if many_rows {
                    self.linearise_many(b, layer, delta, anchor)?;
                } else {
                    mem::swap(anchor, &mut self.v);
                    self.pull_transposed(b, layer, delta)?;
                }
                b.copy(&self.u, delta)?;
            }
        }
        b.scale_shift(0..shape.rows, d1, Some(score), delta)?;
        Ok(())
    }

    /// out ← ΔW, for the weight as it was linearised.
    ///
    /// # Errors
    /// [`Error::Shape`] where an operand does not fit, or the device's.
    pub fn weight_direction(
        &self,
        b: &B,
        weight: &B::Batch,
        out: &mut B::Batch,
    ) -> Result<(), Error<B::Error>> {
        let dim = self.shape(b).dim;
        for batch in [weight, &*out] {
            Error::check_shape("the weight", Shape::new(dim, dim), b.shape(batch))?;
        }
        if self.side == Side::Plain && self.many_rows(b) {
            b.weight_direction(&self.gram, weight, out)?;
        } else {
            self.combine(b, weight, out)?;
        }
        Ok(())
    }
}

impl<B: DenseBackend> RelativeGradient<B> for DenseRelative<B> {
    fn linearise(
        &mut self,
        b: &B,
        side: Side,
        layer: &Affine<B::Batch>,
        delta: &B::Batch,
        anchor: &B::Batch,
    ) -> Result<(), Error<B::Error>> {
        self.check_operands(b, layer, delta, anchor)?;
        self.side = side;
        if self.many_rows(b) {
            self.linearise_many(b, layer, delta, anchor)?;
            return Ok(());
        }
        b.copy(anchor, &mut self.v)?;
        match side {
            Side::Plain => {
                b.copy(delta, &mut self.u)?;
                self.pull_plain(b, layer, None)?;
            }
            Side::Transposed => self.pull_transposed(b, layer, delta)?,
        }
        Ok(())
    }

    fn direction(
        &mut self,
        b: &B,
        layer: &Affine<B::Batch>,
        out: &mut Affine<B::Batch>,
    ) -> Result<(), Error<B::Error>> {
        self.check(b, layer)?;
        self.check(b, out)?;
        self.combine(b, &layer.weight, &mut out.weight)?;
        b.copy(&self.bias, &mut out.bias)?;
        Ok(())
    }

    fn log_det_change(&mut self, b: &B, mu: f64) -> Result<Option<f64>, Error<B::Error>> {
        let Shape { rows, dim } = self.shape(b);
        let Some(step) = Step::new::<B::Scalar>(mu, rows) else {
            return Ok(None);
        };
        self.build(b, &step)?;
        if !b.is_positive_definite(&mut self.k)? {
            return Ok(None);
        }
        self.build(b, &step)?;
        let (sign, log) = b.log_abs_det(&mut self.k)?;
        // n of the D factors s are in the determinant of s K.
        let rest = dim - rows.min(dim);
        let change = rest as f64 * libm::log(step.scale) + log;
        Ok((sign > 0.0 && change.is_finite()).then_some(change))
    }

    fn step(
        &mut self,
        b: &B,
        mu: f64,
        layer: &mut Affine<B::Batch>,
        inverse: Option<&mut B::Batch>,
    ) -> Result<(), Error<B::Error>> {
        let Shape { rows, dim } = self.shape(b);
        self.check(b, layer)?;
        if let Some(inverse) = &inverse {
            Error::check_shape("the inverse", Shape::new(dim, dim), b.shape(inverse))?;
        }
        let step = Step::new::<B::Scalar>(mu, rows).ok_or(Error::Singular)?;
        if self.many_rows(b) {
            self.step_many(b, &step, &mut layer.weight, inverse)?;
        } else {
            self.step_few(b, &step, &mut layer.weight, inverse)?;
        }
        b.axpy(0..1, step.mu, &self.bias, &mut layer.bias)?;
        Ok(())
    }
}
