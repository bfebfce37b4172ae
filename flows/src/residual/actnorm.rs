//! The affine map behind a block, in every row of a batch.

use alloc::vec::Vec;

use detfree_core::{Allocate, Backend, DenseBackend, Fill, Scalar, Shape, Store};

use super::Block;

/// exp(s) and t of a block, in every row: a batch's affine map is then one elementwise pass.
pub(super) struct ActNorm<B: Backend> {
    /// exp(s)
    pub(super) scale: B::Batch,
    /// t
    pub(super) shift: B::Batch,
    /// [1, D]
    row: B::Batch,
    staging: Vec<B::Scalar>,
}

impl<B: Allocate> ActNorm<B> {
    pub(super) fn new(b: &B, shape: Shape) -> Result<Self, B::Error> {
        Ok(Self {
            scale: b.batch(shape)?,
            shift: b.batch(shape)?,
            row: b.batch(Shape::new(1, shape.dim))?,
            staging: alloc::vec![B::Scalar::default(); shape.dim],
        })
    }
}

impl<B: DenseBackend> ActNorm<B> {
    /// Takes the numbers of a block.
    pub(super) fn set(&mut self, b: &B, block: &Block<B>) -> Result<(), B::Error> {
        self.stage(b, block.log_scale.iter().map(|&s| libm::exp(s)))?;
        b.fill(Fill::Constant(0.0), &mut self.scale)?;
        b.add_bias(&self.row, &mut self.scale)?;
        self.stage(b, block.shift.iter().copied())?;
        b.fill(Fill::Constant(0.0), &mut self.shift)?;
        b.add_bias(&self.row, &mut self.shift)
    }

    /// Takes the numbers of the inverse map: exp(−s) and −t exp(−s).
    pub(super) fn set_inverse(&mut self, b: &B, block: &Block<B>) -> Result<(), B::Error> {
        self.stage(b, block.log_scale.iter().map(|&s| libm::exp(-s)))?;
        b.fill(Fill::Constant(0.0), &mut self.scale)?;
        b.add_bias(&self.row, &mut self.scale)?;
        let pairs = block.shift.iter().zip(&block.log_scale);
        self.stage(b, pairs.map(|(&t, &s)| -t * libm::exp(-s)))?;
        b.fill(Fill::Constant(0.0), &mut self.shift)?;
        b.add_bias(&self.row, &mut self.shift)
    }

    /// sum_j ← Σ_r x_rj
    pub(super) fn sum(&mut self, b: &B, x: &B::Batch, sum: &mut [f64]) -> Result<(), B::Error> {
        let rows = 0..b.shape(x).rows;
        b.sum_rows(rows, 1.0, x, Store::Set, &mut self.row)?;
        b.download(&self.row, &mut self.staging)?;
        for (to, from) in sum.iter_mut().zip(&self.staging) {
            *to = from.to_f64();
        }
        Ok(())
    }

    fn stage(&mut self, b: &B, numbers: impl Iterator<Item = f64>) -> Result<(), B::Error> {
        for (to, from) in self.staging.iter_mut().zip(numbers) {
            *to = Scalar::from_f64(from);
        }
        b.upload(&self.staging, &mut self.row)
    }
}
