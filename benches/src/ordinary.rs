//! The ordinary gradient of every layer, which needs the inverse of every weight.

use detfree::{Affine, Allocate, Backend, Error, Fill, FlowBackend, Op, Shape, Store};

use crate::passes::Passes;
use crate::problem;

/// W⁻ᵀ of a weight W, into a batch of its shape.
pub trait InverseTransposed<B: Backend> {
    /// out ← W⁻ᵀ
    ///
    /// # Errors
    /// [`Error::Singular`], and the device's.
    fn of(&mut self, b: &B, weight: &B::Batch, out: &mut B::Batch) -> Result<(), Error<B::Error>>;
}

/// LU, and a solve for each of the D unit vectors.
pub struct BySolve<T> {
    factors: T,
}

impl<T> BySolve<T> {
    /// Memory for weights of `dim` × `dim`.
    ///
    /// # Errors
    /// The device's.
    pub fn new<B: Allocate<Batch = T>>(b: &B, dim: usize) -> Result<Self, B::Error> {
        let factors = b.batch(Shape::new(dim, dim))?;
        Ok(Self { factors })
    }
}

impl<B: FlowBackend> InverseTransposed<B> for BySolve<B::Batch> {
    fn of(&mut self, b: &B, weight: &B::Batch, out: &mut B::Batch) -> Result<(), Error<B::Error>> {
        b.copy(weight, &mut self.factors)?;
        b.fill(Fill::Identity, out)?;
        // Row r becomes W⁻¹ e_r.
        if b.solve(&mut self.factors, Op::Plain, out)? {
            Ok(())
        } else {
            Err(Error::Singular)
        }
    }
}

/// Layers, and the memory of their ordinary gradients.
pub struct Ordinary<B: Backend, I> {
    layers: Vec<Affine<B::Batch>>,
    passes: Passes<B>,
    inverse: I,
}

impl<B: FlowBackend + Allocate, I: InverseTransposed<B>> Ordinary<B, I> {
    /// Layers from the host, for batches of `shape`.
    ///
    /// # Errors
    /// The device's.
    pub fn new(
        b: &B,
        layers: &[Affine<Vec<f64>>],
        shape: Shape,
        inverse: I,
    ) -> Result<Self, B::Error> {
        Ok(Self {
            passes: Passes::new(b, layers.len(), shape)?,
            layers: problem::upload(b, shape.dim, layers)?,
            inverse,
        })
    }

    /// ∂ℓ/∂W = W⁻ᵀ + (1/R) Σ δ zᵀ, ∂ℓ/∂b = (1/R) Σ δ
    ///
    /// # Errors
    /// [`Error::Singular`], and the device's.
    pub fn gradient(
        &mut self,
        b: &B,
        rows: &[B::Scalar],
        out: &mut [Affine<B::Batch>],
    ) -> Result<(), Error<B::Error>> {
        let Self {
            layers,
            passes,
            inverse,
        } = self;
        passes.run(b, layers, rows, |l, at| {
            let Affine { weight, bias } = &mut out[l];
            inverse.of(b, &layers[l].weight, weight)?;
            let count = b.shape(at.z).rows;
            let mean = 1.0 / count as f64;
            b.outer(0..count, mean, at.delta, at.z, Store::Add, weight)?;
            b.sum_rows(0..count, mean, at.delta, Store::Set, bias)?;
            Ok(())
        })
    }
}
