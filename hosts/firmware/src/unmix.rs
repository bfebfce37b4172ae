//! Online independent component analysis: one relative-gradient step a sample.

use detfree_core::{
    Affine, Backend, DenseBackend, DenseRelative, Fill, Op, RelativeGradient, Side, Store,
};

use crate::{Batch, CHANNELS, Error, Host, batch, tanh};

/// Samples that a recording needs at the lengths of [`rate`].
pub const RECORDING: u32 = 4000;

/// The length of the step for sample number `n`: long until the sources are apart, then short
/// enough to average over many samples.
#[must_use]
pub const fn rate(n: u32) -> f64 {
    if n < RECORDING / 4 { 0.01 } else { 0.002 }
}

/// y = W x + b with sources y of hyperbolic-secant density, fitted by maximum likelihood one sample
/// at a time; log|det W| is carried along exactly and never computed anew.
#[derive(Debug)]
pub struct Unmixer<'a> {
    layer: Affine<Batch<'a>>,
    tangent: DenseRelative<Host<'a>>,
    log_det: f64,
    x: Batch<'a>,
    y: Batch<'a>,
    score: Batch<'a>,
}

/// The arrays of an [`Unmixer`].
#[derive(Clone, Debug)]
pub struct Memory {
    weight: [f32; CHANNELS * CHANNELS],
    bias: [f32; CHANNELS],
    per_sample: [[f32; CHANNELS]; 3],
    squares: [[f32; 1]; 2],
    lever: [f32; 1],
    directions: [[f32; CHANNELS]; 2],
    scale: [f64; CHANNELS],
    scale_k: [f64; 1],
    x: [f32; CHANNELS],
    y: [f32; CHANNELS],
    score: [f32; CHANNELS],
}

/// What one sample gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unmixed {
    /// y, by the weights before the sample's step.
    pub sources: [f32; CHANNELS],
    /// How often the guard halved the step; `None` where it let none pass, as for a sample that is
    /// not finite. The weights are then as they were.
    pub shrinks: Option<u32>,
}

impl Memory {
    /// Zeros.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            weight: [0.0; CHANNELS * CHANNELS],
            bias: [0.0; CHANNELS],
            per_sample: [[0.0; CHANNELS]; 3],
            squares: [[0.0]; 2],
            lever: [0.0],
            directions: [[0.0; CHANNELS]; 2],
            scale: [0.0; CHANNELS],
            scale_k: [0.0],
            x: [0.0; CHANNELS],
            y: [0.0; CHANNELS],
            score: [0.0; CHANNELS],
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Unmixer<'a> {
    /// W = I, b = 0.
    ///
    /// # Errors
    /// None: every array has its size.
    pub fn new(memory: &'a mut Memory) -> Result<Self, Error> {
        let b = Host::new();
        let mut layer = Affine {
            weight: batch(CHANNELS, &mut memory.weight)?,
            bias: batch(CHANNELS, &mut memory.bias)?,
        };
        b.fill(Fill::Identity, &mut layer.weight)?;
        b.fill(Fill::Constant(0.0), &mut layer.bias)?;
        let [u, v, image] = &mut memory.per_sample;
        let [gram, k] = &mut memory.squares;
        let [bias, mean] = &mut memory.directions;
        let tangent = DenseRelative::new(
            &b,
            [
                batch(CHANNELS, u)?,
                batch(CHANNELS, v)?,
                batch(CHANNELS, image)?,
            ],
            [batch(1, gram)?, batch(1, k)?],
            batch(1, &mut memory.lever)?,
            [batch(CHANNELS, bias)?, batch(CHANNELS, mean)?],
            [batch(1, &mut memory.scale)?, batch(1, &mut memory.scale_k)?],
        )?;
        Ok(Self {
            layer,
            tangent,
            log_det: 0.0,
            x: batch(CHANNELS, &mut memory.x)?,
            y: batch(CHANNELS, &mut memory.y)?,
            score: batch(CHANNELS, &mut memory.score)?,
        })
    }

    /// Unmixes a sample and learns from it by a step of length `rate`.
    ///
    /// # Errors
    /// None: every shape fits, and the guard refuses what leads to a singular matrix.
    pub fn push(&mut self, sample: &[f32; CHANNELS], rate: f64) -> Result<Unmixed, Error> {
        let (b, set) = (Host::new(), Store::Set);
        let Self {
            layer,
            tangent,
            x,
            y,
            score,
            ..
        } = self;
        b.upload(sample, x)?;
        b.apply(0..1, &layer.weight, Op::Plain, x, set, y)?;
        b.add_bias(&layer.bias, y)?;
        // ∂ log p/∂y = −tanh y
        let (mut sources, mut slopes) = ([0.0; CHANNELS], [0.0; CHANNELS]);
        tanh(y.as_slice(), &mut sources, &mut slopes);
        b.upload(&sources.map(|tanh| -tanh), score)?;
        b.download(y, &mut sources)?;

        let mut shrinks = None;
        tangent.linearise(&b, Side::Plain, layer, score, y)?;
        if let Some(step) = tangent.guard(&b, rate)? {
            tangent.step(&b, step.mu, layer, None)?;
            self.log_det += step.log_det_change;
            shrinks = Some(step.shrinks);
        }
        Ok(Unmixed { sources, shrinks })
    }

    /// W, row after row.
    #[must_use]
    pub fn weight(&self) -> &[f32] {
        self.layer.weight.as_slice()
    }

    /// b
    #[must_use]
    pub fn bias(&self) -> &[f32] {
        self.layer.bias.as_slice()
    }

    /// log|det W|
    #[must_use]
    pub const fn log_det(&self) -> f64 {
        self.log_det
    }
}
