//! The forward and backward pass that both kinds of gradient begin with.

use detfree::{
    Activation, Affine, Allocate, Backend, BaseDensity, Error, FlowBackend, Op, Shape, Store,
};

/// What the flows here have between layers.
pub const ACTIVATION: Activation = Activation::LeakySoftplus { alpha: 0.3 };

/// What a layer keeps of the forward pass.
struct Tape<B: Backend> {
    y: B::Batch,
    z: B::Batch,
    d1: B::Batch,
    score: B::Batch,
}

/// The memory of passes over batches of one shape.
pub struct Passes<B: Backend> {
    input: B::Batch,
    tapes: Vec<Tape<B>>,
    delta: B::Batch,
    below: B::Batch,
    log: B::Rows,
}

/// δ of a layer, its output y and its input z.
pub struct At<'a, T> {
    /// ∂ℓ/∂y
    pub delta: &'a T,
    /// W z + b
    pub y: &'a T,
    /// The activations of the layer below, or the data.
    pub z: &'a T,
}

impl<B: FlowBackend + Allocate> Passes<B> {
    /// Memory for `depth` layers.
    ///
    /// # Errors
    /// The device's.
    pub fn new(b: &B, depth: usize, shape: Shape) -> Result<Self, B::Error> {
        let batch = || b.batch(shape);
        let tapes = (0..depth).map(|_| {
            Ok(Tape {
                y: batch()?,
                z: batch()?,
                d1: batch()?,
                score: batch()?,
            })
        });
        Ok(Self {
            input: batch()?,
            tapes: tapes.collect::<Result<_, _>>()?,
            delta: batch()?,
            below: batch()?,
            log: b.rows(shape.rows)?,
        })
    }

    /// Runs forward over row-major `rows`, then calls `at` at every layer from the last to the
    /// first.
    ///
    /// # Errors
    /// The device's.
    pub fn run(
        &mut self,
        b: &B,
        layers: &[Affine<B::Batch>],
        rows: &[B::Scalar],
        mut at: impl FnMut(usize, At<'_, B::Batch>) -> Result<(), Error<B::Error>>,
    ) -> Result<(), Error<B::Error>> {
        self.forward(b, layers, rows)?;
        let all = 0..b.shape(&self.input).rows;
        for (l, layer) in layers.iter().enumerate().rev() {
            let z = match l.checked_sub(1) {
                Some(below) => {
                    let tape = &self.tapes[below];
                    let (op, out) = (Op::Transposed, &mut self.below);
                    b.apply(all.clone(), &layer.weight, op, &self.delta, Store::Set, out)?;
                    b.scale_shift(all.clone(), &tape.d1, Some(&tape.score), out)?;
                    &tape.z
                }
                None => &self.input,
            };
            let (delta, y) = (&self.delta, &self.tapes[l].y);
            at(l, At { delta, y, z })?;
            core::mem::swap(&mut self.delta, &mut self.below);
        }
        Ok(())
    }

    fn forward(
        &mut self,
        b: &B,
        layers: &[Affine<B::Batch>],
        rows: &[B::Scalar],
    ) -> Result<(), B::Error> {
        b.upload(rows, &mut self.input)?;
        b.fill_rows(0.0, &mut self.log)?;
        let all = 0..b.shape(&self.input).rows;
        let mut z = &self.input;
        for (l, (layer, tape)) in layers.iter().zip(&mut self.tapes).enumerate() {
            let Tape {
                y,
                z: out,
                d1,
                score,
            } = tape;
            b.apply(all.clone(), &layer.weight, Op::Plain, z, Store::Set, y)?;
            let activation = if l + 1 == layers.len() {
                Activation::Identity
            } else {
                ACTIVATION
            };
            b.bijection(
                activation,
                &layer.bias,
                y,
                out,
                d1,
                score,
                Some(&mut self.log),
            )?;
            z = out;
        }
        b.base_density(BaseDensity::Normal, z, &mut self.delta, &mut self.log)
    }
}
