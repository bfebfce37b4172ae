//! The relative gradient of a dense layer: products with its weights, and one small matrix K.

use super::step::Step;
use super::{Affine, RelativeGradient, Side};
use crate::error::{check_rows, check_shape};
use crate::{Allocate, Backend, DenseBackend, Error, Fill, Op, Shape, Store};

/// The relative gradient of a dense D×D layer over batches of R rows.
///
/// Products of size D×D×R: one to linearise (two where [`Side::Transposed`]; the first of them is
/// the Wᵀδ of back-propagation), one for the direction or the step, two more for the inverse. K has
/// min(R, D) rows and is built, from a product of its size times max(R, D), only when asked for.
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
    /// U, one column a row.
    u: B::Batch,
    /// V, one column a row.
    v: B::Batch,
    /// The factor of ΔW that the layer makes of the other: Wᵀ y_r (plain) or W Wᵀ δ_r (transposed).
    image: B::Batch,
    /// (I + c U Vᵀ)⁻¹ U
    solved: B::Batch,
    /// VᵀU, or U Vᵀ where that is smaller; unspecified unless `has_gram`.
    gram: B::Batch,
    has_gram: bool,
    /// K; destroyed by whoever factorises it.
    k: B::Batch,
    /// 1 + y_rᵀ b (plain) or 1 (transposed).
    lever: B::Batch,
    /// Δb
    bias: B::Batch,
    /// The factor of every row of W, or of W⁻¹.
    scale: B::Rows,
}

impl<B: DenseBackend> DenseRelative<B> {
    /// A tangent over buffers of the caller's: `per_row` of shape [R, D], `square` of shape
    /// [n, n] with n = min(R, D), `lever` of shape [R, 1], `bias` of shape [1, D], and `scale`
    /// with D numbers. What they hold does not matter.
    ///
    /// Until it is linearised it is that of δ = 0: ΔW = W, Δb = 0.
    ///
    /// # Errors
    /// [`Error::Shape`] where a buffer does not fit the first one, or the device's.
    pub fn new(
        b: &B,
        per_row: [B::Batch; 4],
        square: [B::Batch; 2],
        lever: B::Batch,
        bias: B::Batch,
        scale: B::Rows,
    ) -> Result<Self, Error<B::Error>> {
        let [u, v, image, solved] = per_row;
        let [gram, k] = square;
        let mut tangent = Self {
            side: Side::Transposed,
            u,
            v,
            image,
            solved,
            gram,
            has_gram: false,
            k,
            lever,
            bias,
            scale,
        };
        let shape = tangent.shape(b);
        let smaller = shape.rows.min(shape.dim);
        for (what, expected, buffer) in [
            ("the second factor", shape, &tangent.v),
            ("the image of a factor", shape, &tangent.image),
            ("the solved factor", shape, &tangent.solved),
            (
                "the first square",
                Shape::new(smaller, smaller),
                &tangent.gram,
            ),
            (
                "the second square",
                Shape::new(smaller, smaller),
                &tangent.k,
            ),
            ("the lever", Shape::new(shape.rows, 1), &tangent.lever),
            (
                "the bias of a direction",
                Shape::new(1, shape.dim),
                &tangent.bias,
            ),
        ] {
            check_shape(what, expected, b.shape(buffer))?;
        }
        check_rows("the scale", shape.dim, b.row_count(&tangent.scale))?;
        for buffer in [
            &mut tangent.u,
            &mut tangent.v,
            &mut tangent.image,
            &mut tangent.bias,
        ] {
            b.fill(Fill::Constant(0.0), buffer)?;
        }
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
        let shape = Shape::new(rows, dim);
        let square = Shape::new(rows.min(dim), rows.min(dim));
        Self::new(
            b,
            [
                b.batch(shape)?,
                b.batch(shape)?,
                b.batch(shape)?,
                b.batch(shape)?,
            ],
            [b.batch(square)?, b.batch(square)?],
            b.batch(Shape::new(rows, 1))?,
            b.batch(Shape::new(1, dim))?,
            b.rows(dim)?,
        )
    }

    /// R rows of D numbers.
    fn shape(&self, b: &B) -> Shape {
        b.shape(&self.u)
    }

    fn check(&self, b: &B, layer: &Affine<B::Batch>) -> Result<(), Error<B::Error>> {
        let dim = self.shape(b).dim;
        check_shape("the weight", Shape::new(dim, dim), b.shape(&layer.weight))?;
        check_shape("the bias", Shape::new(1, dim), b.shape(&layer.bias))
    }

    /// K ← I + c VᵀU, or I + c U Vᵀ where R > D.
    fn build(&mut self, b: &B, c: f64) -> Result<(), B::Error> {
        let Shape { rows, dim } = self.shape(b);
        if !self.has_gram {
            if rows > dim {
                b.outer(0..rows, 1.0, &self.u, &self.v, Store::Set, &mut self.gram)?;
            } else {
                b.apply(
                    0..rows,
                    &self.u,
                    Op::Plain,
                    &self.v,
                    Store::Set,
                    &mut self.gram,
                )?;
            }
            self.has_gram = true;
        }
        b.fill(Fill::Identity, &mut self.k)?;
        b.axpy(0..rows.min(dim), c, &self.gram, &mut self.k)
    }

    /// solved ← (I + c U Vᵀ)⁻¹ U = U (I + c VᵀU)⁻¹; `false` where there is none.
    fn solve(&mut self, b: &B, c: f64) -> Result<bool, B::Error> {
        let Shape { rows, dim } = self.shape(b);
        self.build(b, c)?;
        if rows > dim {
            b.copy(&self.u, &mut self.solved)?;
            return b.solve(&mut self.k, Op::Plain, &mut self.solved);
        }
        // Row r of the square becomes K⁻¹ e_r, and row r of the result U K⁻¹ e_r.
        self.has_gram = false;
        b.fill(Fill::Identity, &mut self.gram)?;
        let solvable = b.solve(&mut self.k, Op::Plain, &mut self.gram)?;
        if solvable {
            b.apply(
                0..rows,
                &self.u,
                Op::Transposed,
                &self.gram,
                Store::Set,
                &mut self.solved,
            )?;
        }
        Ok(solvable)
    }

    /// x ← scale x + a Σ_r left_r right_rᵀ
    fn update(
        b: &B,
        scales: &mut B::Rows,
        scale: f64,
        a: f64,
        (left, right): (&B::Batch, &B::Batch),
        x: &mut B::Batch,
    ) -> Result<(), B::Error> {
        let rows = b.shape(left).rows;
        b.fill_rows(scale, scales)?;
        b.scale_rows(scales, x)?;
        b.outer(0..rows, a, left, right, Store::Add, x)
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
        let shape = self.shape(b);
        self.check(b, layer)?;
        check_shape("delta", shape, b.shape(delta))?;
        check_shape("the anchor", shape, b.shape(anchor))?;
        let rows = 0..shape.rows;
        let Affine { weight, bias } = layer;

        (self.side, self.has_gram) = (side, false);
        b.copy(anchor, &mut self.v)?;
        b.fill(Fill::Constant(1.0), &mut self.lever)?;
        let kept = match side {
            Side::Plain => {
                b.copy(delta, &mut self.u)?;
                b.apply(
                    rows.clone(),
                    weight,
                    Op::Transposed,
                    anchor,
                    Store::Set,
                    &mut self.image,
                )?;
                b.apply(
                    rows.clone(),
                    bias,
                    Op::Plain,
                    anchor,
                    Store::Add,
                    &mut self.lever,
                )?;
                b.copy(bias, &mut self.bias)?;
                Store::Add
            }
            Side::Transposed => {
                b.apply(
                    rows.clone(),
                    weight,
                    Op::Transposed,
                    delta,
                    Store::Set,
                    &mut self.u,
                )?;
                b.apply(
                    rows.clone(),
                    weight,
                    Op::Plain,
                    &self.u,
                    Store::Set,
                    &mut self.image,
                )?;
                Store::Set
            }
        };
        // Δb = [b +] (1/R) Σ_r lever_r left_r
        let (left, _) = side.factors(&self.u, &self.v, &self.image);
        let mean = 1.0 / shape.rows as f64;
        b.outer(rows, mean, &self.lever, left, kept, &mut self.bias)?;
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
        let rows = self.shape(b).rows;
        let (left, right) = self.side.factors(&self.u, &self.v, &self.image);
        b.copy(&layer.weight, &mut out.weight)?;
        b.outer(
            0..rows,
            1.0 / rows as f64,
            left,
            right,
            Store::Add,
            &mut out.weight,
        )?;
        b.copy(&self.bias, &mut out.bias)?;
        Ok(())
    }

    fn log_det_change(&mut self, b: &B, mu: f64) -> Result<Option<f64>, Error<B::Error>> {
        let Shape { rows, dim } = self.shape(b);
        let Some(step) = Step::new::<B::Scalar>(mu, rows) else {
            return Ok(None);
        };
        self.build(b, step.c)?;
        if !b.is_positive_definite(&mut self.k)? {
            return Ok(None);
        }
        self.build(b, step.c)?;
        let (sign, log) = b.log_abs_det(&mut self.k)?;
        let change = dim as f64 * libm::log1p(step.mu) + log;
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
            check_shape("the inverse", Shape::new(dim, dim), b.shape(inverse))?;
        }
        let Step { mu, c } = Step::new::<B::Scalar>(mu, rows).ok_or(Error::Singular)?;
        if inverse.is_some() && !self.solve(b, c)? {
            return Err(Error::Singular);
        }

        // Nothing is refused from here on.
        let factors = self.side.factors(&self.u, &self.v, &self.image);
        let mean = mu / rows as f64;
        Self::update(
            b,
            &mut self.scale,
            1.0 + mu,
            mean,
            factors,
            &mut layer.weight,
        )?;
        b.axpy(0..1, mu, &self.bias, &mut layer.bias)?;

        let Some(inverse) = inverse else {
            return Ok(());
        };
        // The image has done its part, and its buffer takes the product with the old inverse.
        let factors = match self.side {
            Side::Plain => {
                b.apply(
                    0..rows,
                    inverse,
                    Op::Plain,
                    &self.solved,
                    Store::Set,
                    &mut self.image,
                )?;
                (&self.image, &self.v)
            }
            Side::Transposed => {
                b.apply(
                    0..rows,
                    inverse,
                    Op::Transposed,
                    &self.v,
                    Store::Set,
                    &mut self.image,
                )?;
                (&self.solved, &self.image)
            }
        };
        let scale = 1.0 / (1.0 + mu);
        Self::update(b, &mut self.scale, scale, -c * scale, factors, inverse)?;
        Ok(())
    }
}
