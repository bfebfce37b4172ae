//! A relative-gradient flow with the memory to train it.

use detfree::flows::relative::{FlowTape, Optimiser, OptimiserState, RelativeFlow};
use detfree::{Affine, Allocate, BaseDensity, Error, FlowBackend, Shape, Side};

use crate::passes::ACTIVATION;

/// A flow, its tape, and Adam's memory.
pub struct Relative<B: FlowBackend> {
    flow: RelativeFlow<B>,
    tape: FlowTape<B>,
    state: OptimiserState<B>,
}

impl<B: FlowBackend + Allocate> Relative<B> {
    /// A flow of host layers, for batches of `shape`.
    ///
    /// # Errors
    /// The device's.
    pub fn new(b: &B, layers: &[Affine<Vec<f64>>], shape: Shape) -> Result<Self, Error<B::Error>> {
        let base = BaseDensity::Normal;
        let flow = RelativeFlow::from_layers(b, shape.dim, layers, ACTIVATION, base)?;
        Ok(Self {
            tape: FlowTape::new(b, &flow, shape)?,
            state: OptimiserState::new(b, &flow, shape, Optimiser::Adam, Side::Plain)?,
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
        out: &mut [Affine<B::Batch>],
    ) -> Result<(), Error<B::Error>> {
        let Self { flow, tape, state } = self;
        state.gradient(b, flow, tape, rows, out)
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
        let Self { flow, tape, state } = self;
        state.step(b, flow, tape, rows, learning_rate).map(|_| ())
    }
}
