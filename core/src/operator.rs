//! Batches of Jacobians, known by their products with vectors.

use core::ops::Range;

use crate::{Backend, DenseBackend, Error, Op, Shape, Store};

/// A batch of D×D Jacobians J_r, one per row, already linearised at a point and never formed.
///
/// The value of a log-determinant needs `vjp` alone; its gradient needs both products.
pub trait Operator<B: Backend> {
    /// Rows and dimension of the batches that the products take and give.
    fn shape(&self, b: &B) -> Shape;

    /// out_r ← J_r v_r for r in `rows`; rows outside stay as they are.
    ///
    /// # Errors
    /// The device's.
    fn jvp(
        &mut self,
        b: &B,
        rows: Range<usize>,
        v: &B::Batch,
        out: &mut B::Batch,
    ) -> Result<(), B::Error>;

    /// out_r ← J_rᵀ w_r for r in `rows`; rows outside stay as they are.
    ///
    /// # Errors
    /// The device's.
    fn vjp(
        &mut self,
        b: &B,
        rows: Range<usize>,
        w: &B::Batch,
        out: &mut B::Batch,
    ) -> Result<(), B::Error>;
}

/// An operator whose bilinear forms can be differentiated.
pub trait BilinearGradient<B: Backend>: Operator<B> {
    /// Where gradients with respect to parameters θ and input x are summed.
    type Gradient: ?Sized;

    /// gradient ← gradient + ∂/∂(θ,x) Σ_r s_rᵀ J_r v_r, with s and v held fixed, over all rows.
    ///
    /// This is the contraction of Residual Flows, theorem 2: one jvp, one vjp and one more backward
    /// pass, in which second derivatives of activations appear. What several calls can share, such
    /// as that backward pass, may wait for [`Self::finish`]: the sum is complete only after it.
    ///
    /// # Errors
    /// The device's.
    fn accumulate(
        &mut self,
        b: &B,
        s: &B::Batch,
        v: &B::Batch,
        gradient: &mut Self::Gradient,
    ) -> Result<(), B::Error>;

    /// Adds to `gradient` what earlier calls held back. The provided method is for operators that
    /// hold nothing back.
    ///
    /// # Errors
    /// The device's.
    fn finish(&mut self, b: &B, gradient: &mut Self::Gradient) -> Result<(), B::Error> {
        let _ = (b, gradient);
        Ok(())
    }
}

/// An operator whose trace has a closed form that costs about one product (ours).
///
/// The first and largest term of the series then needs no probe: k = 1 drops out of the value,
/// k = 0 out of the gradient.
pub trait FirstTrace<B: Backend>: BilinearGradient<B> {
    /// out_r ← a tr J_r
    ///
    /// # Errors
    /// The device's.
    fn trace(&mut self, b: &B, a: f64, out: &mut B::Rows) -> Result<(), B::Error>;

    /// gradient ← gradient + ∂/∂(θ,x) Σ_r c_r tr J_r; without weights every c_r is 1. Complete, as
    /// the sums of [`BilinearGradient::accumulate`], after [`BilinearGradient::finish`].
    ///
    /// # Errors
    /// The device's.
    fn accumulate_trace(
        &mut self,
        b: &B,
        weights: Option<&B::Rows>,
        gradient: &mut Self::Gradient,
    ) -> Result<(), B::Error>;
}

/// An operator from two closures over batches of the backend's, each `(rows, input, output)`.
///
/// ```
/// use detfree_core::{reference, Backend, Closures, Operator, Shape};
/// # use core::convert::Infallible;
/// let b = reference::Arrays::<f64, 4, 2>::new();
/// // J = ½ I for both rows.
/// let half = |rows: core::ops::Range<usize>, x: &_, out: &mut _| -> Result<(), Infallible> {
///     b.copy(x, out)?;
///     b.axpy(rows, -0.5, x, out)
/// };
/// let op = Closures::new(Shape::new(2, 2), half, half);
/// assert_eq!(Operator::<reference::Arrays<f64, 4, 2>>::shape(&op, &b), Shape::new(2, 2));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Closures<F, G> {
    shape: Shape,
    jvp: F,
    vjp: G,
}

impl<F, G> Closures<F, G> {
    /// The operator with these products.
    pub const fn new(shape: Shape, jvp: F, vjp: G) -> Self {
        Self { shape, jvp, vjp }
    }
}

impl<B, F, G> Operator<B> for Closures<F, G>
where
    B: Backend,
    F: FnMut(Range<usize>, &B::Batch, &mut B::Batch) -> Result<(), B::Error>,
    G: FnMut(Range<usize>, &B::Batch, &mut B::Batch) -> Result<(), B::Error>,
{
    fn shape(&self, _: &B) -> Shape {
        self.shape
    }

    fn jvp(
        &mut self,
        _: &B,
        rows: Range<usize>,
        v: &B::Batch,
        out: &mut B::Batch,
    ) -> Result<(), B::Error> {
        (self.jvp)(rows, v, out)
    }

    fn vjp(
        &mut self,
        _: &B,
        rows: Range<usize>,
        w: &B::Batch,
        out: &mut B::Batch,
    ) -> Result<(), B::Error> {
        (self.vjp)(rows, w, out)
    }
}

/// One explicit D×D matrix as the Jacobian of every row: J_r = W.
///
/// For a dense matrix of moderate size an LU factorisation is faster and exact
/// ([`DenseBackend::log_abs_det`]); this operator serves sums with parts that are not explicit, and
/// tests.
#[derive(Clone, Debug)]
pub struct Matrix<W> {
    weight: W,
    rows: usize,
}

impl<W> Matrix<W> {
    /// The operator of `weight` for batches of `rows` rows.
    ///
    /// # Errors
    /// [`Error::Shape`] where `weight` is not square.
    pub fn new<B: Backend<Batch = W>>(
        b: &B,
        weight: W,
        rows: usize,
    ) -> Result<Self, Error<B::Error>> {
        let found = b.shape(&weight);
        Error::check_shape("the weight", Shape::new(found.rows, found.rows), found)?;
        Ok(Self { weight, rows })
    }
}

impl<B: DenseBackend> Operator<B> for Matrix<B::Batch> {
    fn shape(&self, b: &B) -> Shape {
        Shape::new(self.rows, b.shape(&self.weight).dim)
    }

    fn jvp(
        &mut self,
        b: &B,
        rows: Range<usize>,
        v: &B::Batch,
        out: &mut B::Batch,
    ) -> Result<(), B::Error> {
        b.apply(rows, &self.weight, Op::Plain, v, Store::Set, out)
    }

    fn vjp(
        &mut self,
        b: &B,
        rows: Range<usize>,
        w: &B::Batch,
        out: &mut B::Batch,
    ) -> Result<(), B::Error> {
        b.apply(rows, &self.weight, Op::Transposed, w, Store::Set, out)
    }
}

/// ∂ sᵀ W v/∂W = Σ_r s_r v_rᵀ; the gradient is a batch of the weight's shape.
impl<B: DenseBackend> BilinearGradient<B> for Matrix<B::Batch> {
    type Gradient = B::Batch;

    fn accumulate(
        &mut self,
        b: &B,
        s: &B::Batch,
        v: &B::Batch,
        gradient: &mut B::Batch,
    ) -> Result<(), B::Error> {
        b.outer(0..self.rows, 1.0, s, v, Store::Add, gradient)
    }
}
