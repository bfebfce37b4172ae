//! A relative-gradient flow with the memory to train it.

use detfree::flows::relative::{
    FlowTape, Optimiser, OptimiserState, RelativeFlow, ShardedGradient,
};
use detfree::{Affine, Allocate, BaseDensity, Error, FlowBackend, Shape, Side};

use crate::passes::ACTIVATION;
use crate::problem;

/// A flow, its tape, and Adam's memory.
pub struct Relative<B: FlowBackend> {
    flow: RelativeFlow<B>,
    tape: FlowTape<B>,
    state: OptimiserState<B>,
    sharded: Option<ShardedGradient<B>>,
    directions: Vec<Affine<B::Batch>>,
}

impl<B: FlowBackend + Allocate + Sync> Relative<B> {
    /// A flow of host layers, for batches of `shape` in as many shards.
    ///
    /// # Errors
    /// The device's.
    pub fn new(
        b: &B,
        layers: &[Affine<Vec<f64>>],
        shape: Shape,
        shards: usize,
    ) -> Result<Self, Error<B::Error>> {
        let (base, side) = (BaseDensity::Normal, Side::Plain);
        let flow = RelativeFlow::from_layers(b, shape.dim, layers, ACTIVATION, base)?;
        let sharded = (shards > 1).then(|| ShardedGradient::new(b, &flow, shape, side, shards));
        Ok(Self {
            tape: FlowTape::new(b, &flow, shape, side)?,
            state: OptimiserState::new(b, &flow, shape, Optimiser::Adam, side)?,
            sharded: sharded.transpose()?,
            directions: problem::directions(b, shape.dim, layers.len())?,
            flow,
        })
    }

    /// The relative gradient of every layer.
    ///
    /// # Errors
    /// [`Error::Shape`] where `rows` does not fit; the device's.
    pub fn gradient(
        &mut self,
        b: &B,
        rows: &[B::Scalar],
    ) -> Result<&[Affine<B::Batch>], Error<B::Error>> {
        let (flow, tape, out) = (&self.flow, &mut self.tape, &mut self.directions);
        if let Some(sharded) = &mut self.sharded {
            sharded.compute(b, flow, rows)?;
            return Ok(sharded.directions());
        }
        self.state.gradient(b, flow, tape, rows, out)?;
        Ok(out)
    }

    /// One step of Adam.
    ///
    /// # Errors
    /// [`Error::Shape`] where `rows` does not fit; the device's.
    pub fn step(
        &mut self,
        b: &B,
        rows: &[B::Scalar],
        learning_rate: f64,
    ) -> Result<(), Error<B::Error>> {
        let Self {
            flow, tape, state, ..
        } = self;
        if let Some(sharded) = &mut self.sharded {
            sharded.compute(b, flow, rows)?;
            return state.ascend(b, flow, sharded.directions(), learning_rate);
        }
        state.step(b, flow, tape, rows, learning_rate).map(|_| ())
    }
}
