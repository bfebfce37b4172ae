//! Gradients with respect to the parameters of a residual flow.

use alloc::vec::Vec;

use detfree_core::{Allocate, Backend, Error, FlowBackend, Shape};

use super::{Block, ResidualFlow, Sweep};
use crate::mlp::MlpGradient;

/// The gradient of a mean log-likelihood with respect to the parameters of every block.
pub struct Gradients<B: Backend> {
    /// From the input's.
    pub blocks: Vec<BlockGradient<B>>,
}

/// The same of one block.
pub struct BlockGradient<B: Backend> {
    /// With respect to the net's parameters. Its `input` is of use to [`Sweep::Forward`] alone.
    pub net: MlpGradient<B>,
    /// With respect to s.
    pub log_scale: Vec<f64>,
    /// With respect to t.
    pub shift: Vec<f64>,
    /// With respect to the logarithms of the sharpnesses β that are learned.
    pub log_sharpness: Vec<f64>,
}

impl<B: FlowBackend + Allocate> Gradients<B> {
    /// Memory for the gradients of `flow` from batches of `rows` rows.
    ///
    /// # Errors
    /// The device's.
    pub fn new(b: &B, flow: &ResidualFlow<B>, rows: usize, sweep: Sweep) -> Result<Self, B::Error> {
        let mut blocks = Vec::new();
        for block in &flow.blocks {
            let mut net = MlpGradient::zeros(b, &block.net, rows)?;
            if sweep == Sweep::Reverse {
                net.input = b.batch(Shape::new(1, flow.dim))?;
            }
            let learned = net.sharpness.iter().flatten().count();
            blocks.push(BlockGradient {
                net,
                log_sharpness: alloc::vec![0.0; learned],
                log_scale: alloc::vec![0.0; flow.dim],
                shift: alloc::vec![0.0; flow.dim],
            });
        }
        Ok(Self { blocks })
    }
}

impl<B: FlowBackend> Gradients<B> {
    /// Refuses gradients that were made for another flow, another sweep or batches of another shape.
    pub(super) fn check(
        &self,
        b: &B,
        flow: &ResidualFlow<B>,
        sweep: Sweep,
        shape: Shape,
    ) -> Result<(), Error<B::Error>> {
        let mut pairs = flow.blocks.iter().zip(&self.blocks);
        let alike = |(block, gradient): (&Block<B>, &BlockGradient<B>)| {
            block.net.layers.len() == gradient.net.layers.len()
        };
        if self.blocks.len() != flow.blocks.len() || !pairs.all(alike) {
            return Err(Error::Invalid(
                "the gradients are for a flow of other blocks or layers: make some for this one",
            ));
        }
        let input = match sweep {
            Sweep::Reverse => Shape::new(1, flow.dim),
            Sweep::Forward => shape,
        };
        for (block, gradient) in flow.blocks.iter().zip(&self.blocks) {
            let net = &gradient.net;
            Error::check_shape("the gradients' input", input, b.shape(&net.input))?;
            for derivatives in net.sharpness.iter().flatten() {
                let found = b.row_count(derivatives);
                Error::check_rows("the gradients' rows", shape.rows, found)?;
            }
            for (layer, found) in block.net.layers.iter().zip(&net.layers) {
                Error::check_shape(
                    "the gradient of a weight",
                    b.shape(&layer.weight),
                    b.shape(&found.weight),
                )?;
            }
        }
        Ok(())
    }

    /// gradients ← gradients + other, of another shard.
    ///
    /// # Errors
    /// The device's.
    pub fn add(&mut self, b: &B, other: &Self) -> Result<(), B::Error> {
        let plus = |sum: &mut B::Batch, x: &B::Batch| b.axpy(0..b.shape(x).rows, 1.0, x, sum);
        for (sum, x) in self.blocks.iter_mut().zip(&other.blocks) {
            for (sum, x) in sum.net.layers.iter_mut().zip(&x.net.layers) {
                plus(&mut sum.weight, &x.weight)?;
                plus(&mut sum.bias, &x.bias)?;
            }
            let numbers = sum.log_scale.iter_mut().chain(&mut sum.shift);
            let numbers = numbers.chain(&mut sum.log_sharpness);
            numbers.zip(x.numbers()).for_each(|(sum, x)| *sum += x);
        }
        Ok(())
    }
}

impl<B: Backend> BlockGradient<B> {
    /// With respect to what lives on the host: s, t and the logarithms of the sharpnesses.
    pub(super) fn numbers(&self) -> impl Iterator<Item = f64> {
        let norm = self.log_scale.iter().chain(&self.shift);
        norm.chain(&self.log_sharpness).copied()
    }
}
