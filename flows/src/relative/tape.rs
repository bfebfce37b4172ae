//! One forward and backward pass of a flow over a batch.

use alloc::vec::Vec;
use core::mem;

use detfree_core::{
    Allocate, Backend, DenseRelative, Error, FlowBackend, Op, RelativeGradient, Shape, Side, Store,
};

use super::RelativeFlow;

/// What a layer keeps of the forward pass for the backward pass, each [rows, dim].
#[derive(Debug)]
struct LayerTape<B: Backend> {
    /// W z + b
    y: B::Batch,
    /// Of all but the last layer, which has no activation.
    activated: Option<Activated<B>>,
}

/// What the activation behind a layer made of y.
#[derive(Debug)]
struct Activated<B: Backend> {
    /// σ(y), which nobody but the layer behind reads where the side is plain.
    z: Option<B::Batch>,
    /// σ'(y)
    d1: B::Batch,
    /// σ''(y)/σ'(y)
    score: B::Batch,
}

/// The memory of passes over batches of one number of rows.
#[derive(Debug)]
pub struct FlowTape<B: Backend> {
    /// On the way forward also every other σ(y) that is not kept, with `delta` for those between.
    pub(super) input: B::Batch,
    layers: Vec<LayerTape<B>>,
    /// δ_l = ∂ℓ/∂y_l of the layer at hand.
    delta: B::Batch,
    /// log p without the layers' log|det W|.
    pub(super) log: B::Rows,
}

impl<B: FlowBackend + Allocate> FlowTape<B> {
    /// Memory for `flow` at batches of `shape`, and relative gradients of a group that acts on `side`.
    ///
    /// # Errors
    /// The device's.
    pub fn new(b: &B, flow: &RelativeFlow<B>, shape: Shape, side: Side) -> Result<Self, B::Error> {
        let mut layers = Vec::new();
        for l in 0..flow.depth() {
            let activated = if l + 1 == flow.depth() {
                None
            } else {
                Some(Activated {
                    z: match side {
                        Side::Plain => None,
                        Side::Transposed => Some(b.batch(shape)?),
                    },
                    d1: b.batch(shape)?,
                    score: b.batch(shape)?,
                })
            };
            let y = b.batch(shape)?;
            layers.push(LayerTape { y, activated });
        }
        Ok(Self {
            input: b.batch(shape)?,
            layers,
            delta: b.batch(shape)?,
            log: b.rows(shape.rows)?,
        })
    }

    /// The rows' log-densities, less Σ_l log|det W_l|, into `log`; row-major `rows` in.
    ///
    /// Leaves δ_L, the score at the flow's output, for a backward pass.
    ///
    /// # Errors
    /// [`Error::Shape`] where `rows` or `log` do not fit the tape; the device's.
    pub fn forward(
        &mut self,
        b: &B,
        flow: &RelativeFlow<B>,
        rows: &[B::Scalar],
        log: &mut [f64],
    ) -> Result<(), Error<B::Error>> {
        self.run(b, flow, rows, log, true)
    }

    /// The same for a backward pass alone: `log` is that of the base at the flow's output, not
    /// finite where anything before was not.
    pub(super) fn forward_to_base(
        &mut self,
        b: &B,
        flow: &RelativeFlow<B>,
        rows: &[B::Scalar],
        log: &mut [f64],
    ) -> Result<(), Error<B::Error>> {
        self.run(b, flow, rows, log, false)
    }

    fn run(
        &mut self,
        b: &B,
        flow: &RelativeFlow<B>,
        rows: &[B::Scalar],
        log: &mut [f64],
        log_slopes: bool,
    ) -> Result<(), Error<B::Error>> {
        let shape = b.shape(&self.input);
        Error::check_numbers("the flow's input", shape, rows.len())?;
        Error::check_rows("the log-densities", shape.rows, log.len())?;
        b.upload(rows, &mut self.input)?;
        b.fill_rows(0.0, &mut self.log)?;
        let [mut here, mut there] = [&mut self.input, &mut self.delta];
        let mut kept: Option<&B::Batch> = None;
        for (layer, LayerTape { y, activated }) in flow.layers.iter().zip(&mut self.layers) {
            let x = kept.unwrap_or(here);
            let Some(Activated { z, d1, score }) = activated else {
                let rows = 0..shape.rows;
                b.apply(rows, &layer.weight, Op::Plain, x, Store::Set, y)?;
                b.add_bias(&layer.bias, y)?;
                continue;
            };
            let log = log_slopes.then_some(&mut self.log);
            if let Some(z) = z {
                b.forward_layer(flow.activation, layer, x, y, z, d1, score, log)?;
                kept = Some(z);
            } else {
                b.forward_layer(flow.activation, layer, x, y, there, d1, score, log)?;
                mem::swap(&mut here, &mut there);
            }
        }
        // The last layer has no activation, so the base's score is already δ_L.
        if let Some(last) = self.layers.last() {
            b.base_density(flow.base, &last.y, &mut self.delta, &mut self.log)?;
        }
        b.download_rows(&self.log, log)?;
        Ok(())
    }
}

impl<B: Backend> FlowTape<B> {
    /// The flow's outputs, from a forward pass to the next backward pass.
    pub(super) fn outputs_mut(&mut self) -> &mut B::Batch {
        match self.layers.last_mut() {
            Some(last) => &mut last.y,
            None => &mut self.input,
        }
    }
}

impl<B: FlowBackend> FlowTape<B> {
    /// About how many multiply-adds a step takes: four products a layer.
    pub(super) fn work(&self, b: &B) -> usize {
        let Shape { rows, dim } = b.shape(&self.input);
        let product = rows.saturating_mul(dim).saturating_mul(dim);
        product.saturating_mul(4 * self.layers.len())
    }

    /// `tangent` ← the relative gradient of layer l, and
    /// δ ← δ_{l−1} = σ'(y_{l−1}) ∘ W_lᵀ δ_l + (log σ')'(y_{l−1}), Gresele et al. 2020, eq. 19.
    ///
    /// To be called from the last layer to the first; the layer may be changed after its call.
    pub(super) fn backward(
        &mut self,
        b: &B,
        flow: &RelativeFlow<B>,
        l: usize,
        side: Side,
        tangent: &mut DenseRelative<B>,
    ) -> Result<(), Error<B::Error>> {
        let Some(layer) = flow.layers.get(l) else {
            return Ok(());
        };
        let Some(([.., below], [here, ..])) = self.layers.split_at_mut_checked(l) else {
            let anchor = match (side, self.layers.first()) {
                (Side::Plain, Some(here)) => &here.y,
                _ => &self.input,
            };
            return tangent.linearise(b, side, layer, &self.delta, anchor);
        };
        let Some(Activated { z, d1, score }) = &mut below.activated else {
            return Ok(());
        };
        let anchor = match side {
            Side::Plain => &mut here.y,
            Side::Transposed => z.as_mut().ok_or(Error::Invalid(
                "the tape is for the plain relative gradient: make one for the transposed side",
            ))?,
        };
        let taken = [&mut self.delta, anchor];
        tangent.linearise_and_propagate(b, side, layer, taken, [d1, score])
    }
}
