//! Adam and the running average of one block.

use alloc::vec::Vec;

use detfree_core::{Activation, Adam, Affine, Allocate, Backend, Fill, FlowBackend};

use super::Block;
use super::BlockGradient;
use crate::fit::State;
use crate::norm::squared_norm;

/// What training remembers of a block.
pub(super) struct Ascent<B: Backend> {
    layers: Vec<LayerAscent<B>>,
    /// Of s, t and the logarithms of the sharpnesses, one after the other.
    numbers: Moments<Vec<f64>>,
    host: Vec<f64>,
}

struct LayerAscent<B: Backend> {
    weight: Moments<B::Batch>,
    bias: Moments<B::Batch>,
    products: PerRow<B>,
}

struct Moments<T> {
    first: T,
    second: T,
}

impl<B: FlowBackend + Allocate> Ascent<B> {
    pub(super) fn new(b: &B, block: &Block<B>) -> Result<Self, B::Error> {
        let zeros = |like: &B::Batch| -> Result<B::Batch, B::Error> {
            let mut zeros = b.batch(b.shape(like))?;
            b.fill(Fill::Constant(0.0), &mut zeros)?;
            Ok(zeros)
        };
        let moments = |like: &B::Batch| -> Result<_, B::Error> {
            Ok(Moments {
                first: zeros(like)?,
                second: zeros(like)?,
            })
        };
        let mut layers = Vec::new();
        for Affine { weight, bias } in &block.net.layers {
            layers.push(LayerAscent {
                weight: moments(weight)?,
                bias: moments(bias)?,
                products: PerRow {
                    weight: b.rows(b.shape(weight).rows)?,
                    bias: b.rows(1)?,
                },
            });
        }
        let count = numbers(block).len();
        Ok(Self {
            layers,
            numbers: Moments {
                first: alloc::vec![0.0; count],
                second: alloc::vec![0.0; count],
            },
            host: Vec::new(),
        })
    }
}

impl<B: FlowBackend> Ascent<B> {
    /// The squared Frobenius norm of a block's gradient.
    pub(super) fn squared_norm(
        &mut self,
        b: &B,
        gradient: &BlockGradient<B>,
    ) -> Result<f64, B::Error> {
        let mut sum: f64 = gradient.numbers().map(|g| g * g).sum();
        for (layer, gradient) in self.layers.iter_mut().zip(&gradient.net.layers) {
            let PerRow { weight, bias } = &mut layer.products;
            sum += squared_norm(b, &gradient.weight, weight, &mut self.host)?;
            sum += squared_norm(b, &gradient.bias, bias, &mut self.host)?;
        }
        Ok(sum)
    }

    /// One Adam step along `factor` times the gradient.
    pub(super) fn step(
        &mut self,
        b: &B,
        adam: &Adam,
        factor: f64,
        gradient: &mut BlockGradient<B>,
        block: &mut Block<B>,
    ) -> Result<(), B::Error> {
        let layers = block.net.layers.iter_mut().zip(&mut gradient.net.layers);
        for (memory, (layer, gradient)) in self.layers.iter_mut().zip(layers) {
            if factor < 1.0 {
                memory.products.scale(b, factor, gradient)?;
            }
            let Moments { first, second } = &mut memory.weight;
            b.adam(adam, &gradient.weight, first, second, &mut layer.weight)?;
            let Moments { first, second } = &mut memory.bias;
            b.adam(adam, &gradient.bias, first, second, &mut layer.bias)?;
        }
        let direction: Vec<f64> = gradient.numbers().map(|g| factor * g).collect();
        let mut parameters = numbers(block);
        let Moments { first, second } = &mut self.numbers;
        adam.ascend(&direction, first, second, &mut parameters);
        set_numbers(block, &parameters);
        Ok(())
    }

    /// average ← decay · average + (1 − decay) · block, number by number; of the sharpnesses, their
    /// logarithms. The norm of an average is at most the average of the norms.
    pub(super) fn average(
        &mut self,
        b: &B,
        decay: f64,
        block: &Block<B>,
        average: &mut Block<B>,
    ) -> Result<(), B::Error> {
        let layers = average.net.layers.iter_mut().zip(&block.net.layers);
        for (memory, (average, layer)) in self.layers.iter_mut().zip(layers) {
            memory.products.scale(b, decay, average)?;
            let rows = 0..b.shape(&layer.weight).rows;
            b.axpy(rows, 1.0 - decay, &layer.weight, &mut average.weight)?;
            b.axpy(0..1, 1.0 - decay, &layer.bias, &mut average.bias)?;
        }
        let mut mean = numbers(average);
        for (mean, x) in mean.iter_mut().zip(numbers(block)) {
            *mean = decay * *mean + (1.0 - decay) * x;
        }
        set_numbers(average, &mean);
        Ok(())
    }

    /// Everything here, for a checkpoint.
    pub(super) fn visit<E>(
        &mut self,
        visit: &mut impl FnMut(State<'_, B>) -> Result<(), E>,
    ) -> Result<(), E> {
        for layer in &mut self.layers {
            for Moments { first, second } in [&mut layer.weight, &mut layer.bias] {
                visit(State::Batch(first))?;
                visit(State::Batch(second))?;
            }
        }
        let Moments { first, second } = &mut self.numbers;
        first
            .iter_mut()
            .chain(second)
            .try_for_each(|x| visit(State::Number(x)))
    }
}

/// One number per row of a weight, and one for its bias.
struct PerRow<B: Backend> {
    weight: B::Rows,
    bias: B::Rows,
}

impl<B: FlowBackend> PerRow<B> {
    /// layer ← factor · layer
    fn scale(&mut self, b: &B, factor: f64, layer: &mut Affine<B::Batch>) -> Result<(), B::Error> {
        b.fill_rows(factor, &mut self.weight)?;
        b.scale_rows(&self.weight, &mut layer.weight)?;
        b.fill_rows(factor, &mut self.bias)?;
        b.scale_rows(&self.bias, &mut layer.bias)
    }
}

/// Σ x²
/// s, t and the logarithms of the sharpnesses.
fn numbers<B: Backend>(block: &Block<B>) -> Vec<f64> {
    let sharpness = block
        .net
        .activations
        .iter()
        .filter_map(|sigma| match sigma {
            Activation::LipSwish { beta } => Some(libm::log(*beta)),
            _ => None,
        });
    let norm = block.log_scale.iter().chain(&block.shift).copied();
    norm.chain(sharpness).collect()
}

fn set_numbers<B: Backend>(block: &mut Block<B>, numbers: &[f64]) {
    let mut numbers = numbers.iter().copied();
    for (to, from) in block
        .log_scale
        .iter_mut()
        .chain(&mut block.shift)
        .zip(&mut numbers)
    {
        *to = from;
    }
    for sigma in &mut block.net.activations {
        if let Activation::LipSwish { beta } = sigma
            && let Some(log) = numbers.next()
        {
            *beta = libm::exp(log);
        }
    }
}

impl<B: Backend> Block<B> {
    /// Every number of the block, for a checkpoint.
    pub(super) fn visit<E>(
        &mut self,
        visit: &mut impl FnMut(State<'_, B>) -> Result<(), E>,
    ) -> Result<(), E> {
        for Affine { weight, bias } in &mut self.net.layers {
            visit(State::Batch(weight))?;
            visit(State::Batch(bias))?;
        }
        for bound in &mut self.bounds {
            let (bound, vectors) = bound.state_mut();
            visit(State::Number(bound))?;
            visit(State::Batch(vectors))?;
        }
        for x in self.log_scale.iter_mut().chain(&mut self.shift) {
            visit(State::Number(x))?;
        }
        for sigma in &mut self.net.activations {
            if let Activation::LipSwish { beta } = sigma {
                visit(State::Number(beta))?;
            }
        }
        Ok(())
    }
}
