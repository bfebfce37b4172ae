//! One forward and backward pass of a flow over a batch.

use alloc::vec::Vec;

use detfree_core::{
    Allocate, Backend, DenseRelative, Error, FlowBackend, Op, RelativeGradient, Shape, Side, Store,
};

use super::RelativeFlow;

/// What a layer keeps of the forward pass, each [rows, dim].
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
    /// σ(y)
    z: B::Batch,
    /// σ'(y)
    d1: B::Batch,
    /// σ''(y)/σ'(y)
    score: B::Batch,
}

/// The memory of passes over batches of one number of rows.
#[derive(Debug)]
pub struct FlowTape<B: Backend> {
    pub(super) input: B::Batch,
    layers: Vec<LayerTape<B>>,
    /// δ_l = ∂ℓ/∂y_l of the layer at hand.
    pub(super) delta: B::Batch,
    /// δ_{l−1}
    pub(super) delta_below: B::Batch,
    /// log p without the layers' log|det W|.
    pub(super) log: B::Rows,
}

impl<B: FlowBackend + Allocate> FlowTape<B> {
    /// Memory for `flow` at batches of `rows` rows of `dim` numbers.
    ///
    /// # Errors
    /// The device's.
    pub fn new(b: &B, flow: &RelativeFlow<B>, shape: Shape) -> Result<Self, B::Error> {
        let mut layers = Vec::new();
        for l in 0..flow.depth() {
            let activated = if l + 1 == flow.depth() {
                None
            } else {
                Some(Activated {
                    z: b.batch(shape)?,
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
            delta_below: b.batch(shape)?,
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
        let mut z = &self.input;
        for (layer, LayerTape { y, activated }) in flow.layers.iter().zip(&mut self.layers) {
            let Some(Activated { z: next, d1, score }) = activated else {
                let rows = 0..shape.rows;
                b.apply(rows, &layer.weight, Op::Plain, z, Store::Set, y)?;
                b.add_bias(&layer.bias, y)?;
                z = y;
                continue;
            };
            let log = log_slopes.then_some(&mut self.log);
            b.forward_layer(flow.activation, layer, z, y, next, d1, score, log)?;
            z = next;
        }
        // The last layer has no activation, so the base's score is already δ_L.
        b.base_density(flow.base, z, &mut self.delta, &mut self.log)?;
        b.download_rows(&self.log, log)?;
        Ok(())
    }
}

impl<B: Backend> FlowTape<B> {
    /// The flow's outputs, of the last forward pass.
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
        let (Some(layer), Some(here)) = (flow.layers.get(l), self.layers.get(l)) else {
            return Ok(());
        };
        let below = l.checked_sub(1).and_then(|below| self.layers.get(below));
        let below = below.and_then(|below| below.activated.as_ref());
        let anchor = match side {
            Side::Plain => &here.y,
            Side::Transposed => below.map_or(&self.input, |below| &below.z),
        };
        let Some(below) = below else {
            return tangent.linearise(b, side, layer, &self.delta, anchor);
        };
        let (slopes, out) = ([&below.d1, &below.score], &mut self.delta_below);
        tangent.linearise_and_propagate(b, side, layer, &self.delta, anchor, slopes, out)?;
        core::mem::swap(&mut self.delta, &mut self.delta_below);
        Ok(())
    }
}
