//! A batch through the flow and its gradient back: one shard of rows.

use alloc::vec::Vec;

use detfree_core::{
    Allocate, Backend, BilinearGradient, Draw, Error, Fill, FlowBackend, Shape, Store, Work,
};

use super::actnorm::ActNorm;
use super::turn::{Memory, Turn};
use super::{Block, BlockGradient, EMPTY, Estimator, Gradients, ResidualFlow};
use crate::mlp::{MlpGradient, MlpTape};

/// When the gradients of the log-determinants are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// On the way back: m blocks keep m batches, their inputs.
    Reverse,
    /// On the way forward (Chen et al. 2019, section 3.2, eq. 9): they keep 2m, inputs and gradients
    /// with respect to them, and the way back needs no estimator.
    Forward,
}

impl Sweep {
    /// `reverse` or `forward`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Reverse => "reverse",
            Self::Forward => "forward",
        }
    }
}

/// The memory of a batch's way through a flow and back.
pub struct Tape<B: Backend> {
    pub(super) shape: Shape,
    /// z₀ … z_m
    pub(super) z: Vec<B::Batch>,
    pub(super) net: MlpTape<B>,
    pub(super) memory: Memory<B>,
    /// Of every block, the weight of its control variate.
    pub(super) controls: Vec<f64>,
    actnorm: ActNorm<B>,
    /// g(z), and scratch.
    pub(super) g: B::Batch,
    /// The gradient with respect to the z that the way back has come to.
    delta: B::Batch,
    /// The gradient of the log-determinant and the net with respect to a block's input.
    pulled: B::Batch,
    /// Of a block, or of the base.
    pub(super) log_det: B::Rows,
    weights: B::Rows,
    on_host: Vec<f64>,
}

impl<B: FlowBackend + Allocate> Tape<B> {
    /// Memory for batches of `shape` through `flow`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a flow without blocks or with nets that have no closed trace where the
    /// estimator needs one; the device's.
    pub fn new(
        b: &B,
        flow: &ResidualFlow<B>,
        shape: Shape,
        estimator: Estimator,
    ) -> Result<Self, Error<B::Error>> {
        let Some(first) = flow.blocks.first() else {
            return Err(Error::Invalid(EMPTY));
        };
        let mut z = Vec::new();
        for _ in 0..=flow.blocks.len() {
            z.push(b.batch(shape)?);
        }
        Ok(Self {
            shape,
            z,
            net: MlpTape::new(b, &first.net, shape.rows)?,
            memory: Memory::new(b, estimator, &first.net, shape)?,
            controls: alloc::vec![0.0; flow.blocks.len()],
            actnorm: ActNorm::new(b, shape)?,
            g: b.batch(shape)?,
            delta: b.batch(shape)?,
            pulled: b.batch(shape)?,
            log_det: b.rows(shape.rows)?,
            weights: b.rows(shape.rows)?,
            on_host: alloc::vec![0.0; shape.rows],
        })
    }
}

impl<B: FlowBackend> Tape<B> {
    /// log_r ← an estimate of log p of row r of row-major `rows`: unbiased with every estimator but a
    /// truncated series. Its exponential is *not* unbiased.
    ///
    /// # Errors
    /// [`Error::Shape`] where `rows` or `log` do not fit; [`Error::Invalid`] for a flow of another number
    /// of blocks; the device's.
    pub fn log_density(
        &mut self,
        b: &B,
        flow: &ResidualFlow<B>,
        rows: &[B::Scalar],
        draw: Draw,
        log: &mut [f64],
    ) -> Result<Work, Error<B::Error>> {
        self.load(b, flow, rows, log)?;
        let mut work = Work::default();
        for (i, block) in flow.blocks.iter().enumerate() {
            work += self.ascend(b, i, block, Some(draw), None, log)?;
        }
        self.base(b, flow, log)?;
        Ok(work)
    }

    /// gradients ← the gradient of Σ_r c log p(x_r), c the weight of every row; `log` as
    /// [`Self::log_density`].
    ///
    /// # Errors
    /// [`Error::Shape`] where `rows`, `log` or `gradients` do not fit; [`Error::Invalid`] where the flow, or
    /// that of the gradients, has other blocks or layers; the device's.
    #[expect(
        clippy::too_many_arguments,
        reason = "two results, each with its buffers"
    )]
    pub fn gradient(
        &mut self,
        b: &B,
        flow: &ResidualFlow<B>,
        rows: &[B::Scalar],
        weight: f64,
        draw: Draw,
        sweep: Sweep,
        log: &mut [f64],
        gradients: &mut Gradients<B>,
    ) -> Result<Work, Error<B::Error>> {
        gradients.check(b, flow, sweep, self.shape)?;
        self.load(b, flow, rows, log)?;
        b.fill_rows(weight, &mut self.weights)?;
        let mut work = Work::default();
        let blocks = || flow.blocks.iter().enumerate();
        for ((i, block), gradient) in blocks().zip(&mut gradients.blocks) {
            gradient.net.clear(b)?;
            let forward = sweep == Sweep::Forward;
            let draw = forward.then_some(draw);
            work += self.ascend(b, i, block, draw, Some(&mut gradient.net), log)?;
        }
        self.base(b, flow, log)?;
        b.scale_rows(&self.weights, &mut self.delta)?;
        for ((i, block), gradient) in blocks().zip(&mut gradients.blocks).rev() {
            let draw = (sweep == Sweep::Reverse).then_some(draw);
            work += self.descend(b, i, block, weight, draw, gradient, log)?;
        }
        Ok(work)
    }

    /// z_m of the last run, [rows, dim].
    #[must_use]
    pub fn output(&self) -> &B::Batch {
        self.z.last().unwrap_or(&self.delta)
    }

    /// The gradient with respect to the input of [`Self::gradient`]'s last run, [rows, dim].
    #[must_use]
    pub const fn input_gradient(&self) -> &B::Batch {
        &self.delta
    }

    /// δ ← the base's score at z_m, and its log-density to `log`.
    fn base(&mut self, b: &B, flow: &ResidualFlow<B>, log: &mut [f64]) -> Result<(), B::Error> {
        b.fill_rows(0.0, &mut self.log_det)?;
        if let Some(output) = self.z.last() {
            b.base_density(flow.base, output, &mut self.delta, &mut self.log_det)?;
        }
        add(b, &self.log_det, &mut self.on_host, log)
    }

    /// z₀ ← the rows, log ← what does not depend on them.
    pub(super) fn load(
        &mut self,
        b: &B,
        flow: &ResidualFlow<B>,
        rows: &[B::Scalar],
        log: &mut [f64],
    ) -> Result<(), Error<B::Error>> {
        Error::check_numbers("the flow's input", self.shape, rows.len())?;
        Error::check_rows("the log-densities", self.shape.rows, log.len())?;
        if self.z.len() != flow.blocks.len() + 1 {
            return Err(Error::Invalid(
                "the tape is for flows of another number of blocks: make one for this flow",
            ));
        }
        if let Some(input) = self.z.first_mut() {
            b.upload(rows, input)?;
        }
        log.fill(flow.blocks.iter().map(Block::log_scale_sum).sum());
        Ok(())
    }

    /// z_{i+1} from z_i, with the log-determinant where there is a draw for it, and its gradient where
    /// there is room for one.
    pub(super) fn ascend(
        &mut self,
        b: &B,
        i: usize,
        block: &Block<B>,
        draw: Option<Draw>,
        gradient: Option<&mut MlpGradient<B>>,
        log: &mut [f64],
    ) -> Result<Work, Error<B::Error>> {
        let Some(([.., z], [next, ..])) = self.z.split_at_mut_checked(i + 1) else {
            return Ok(Work::default());
        };
        let op = self.net.linearise(b, &block.net, z, &mut self.g)?;
        let mut work = Work::default();
        if let Some(draw) = draw {
            let turn = Turn::new(block, i, draw, &self.controls);
            let out = &mut self.log_det;
            work = match gradient {
                None => self.memory.value(b, turn, op, out)?,
                Some(gradient) => {
                    let weights = &self.weights;
                    self.memory
                        .value_and_gradient(b, turn, op, weights, out, gradient)?
                }
            };
            add(b, out, &mut self.on_host, log)?;
        }
        b.copy(z, next)?;
        b.axpy(0..self.shape.rows, 1.0, &self.g, next)?;
        self.normalise(b, i, block)?;
        Ok(work)
    }

    /// z_{i+1} ← exp(s) ∘ z_{i+1} + t
    pub(super) fn normalise(&mut self, b: &B, i: usize, block: &Block<B>) -> Result<(), B::Error> {
        self.actnorm.set(b, block)?;
        let Some(z) = self.z.get_mut(i + 1) else {
            return Ok(());
        };
        let shift = Some(&self.actnorm.shift);
        b.scale_shift(0..self.shape.rows, &self.actnorm.scale, shift, z)
    }

    /// δ ← the gradient with respect to z_i from that with respect to z_{i+1}, and the gradients of
    /// the block's parameters on the way.
    #[expect(
        clippy::too_many_arguments,
        reason = "a block and what is wanted of it"
    )]
    fn descend(
        &mut self,
        b: &B,
        i: usize,
        block: &Block<B>,
        weight: f64,
        draw: Option<Draw>,
        gradient: &mut BlockGradient<B>,
        log: &mut [f64],
    ) -> Result<Work, Error<B::Error>> {
        let Some(([.., z], [next, ..])) = self.z.split_at_mut_checked(i + 1) else {
            return Ok(Work::default());
        };
        let all = 0..self.shape.rows;
        let (delta, set) = (&mut self.delta, Store::Set);
        self.actnorm.sum(b, delta, &mut gradient.shift)?;
        b.hadamard(all.clone(), delta, next, set, &mut self.g)?;
        self.actnorm.sum(b, &self.g, &mut gradient.log_scale)?;
        // z_{i+1} − t is what s scales, and every row's log p holds Σ_j s_j.
        let by_column = gradient.log_scale.iter_mut().zip(&gradient.shift);
        for ((d_scale, d_shift), t) in by_column.zip(&block.shift) {
            *d_scale += weight * self.shape.rows as f64 - t * d_shift;
        }
        self.actnorm.set(b, block)?;
        b.scale_shift(all.clone(), &self.actnorm.scale, None, delta)?;

        let mut op = self.net.linearise(b, &block.net, z, &mut self.g)?;
        let mut work = Work::default();
        let net = &mut gradient.net;
        match draw {
            // Its input's gradient is there already.
            None => {
                op.accumulate_output(b, delta, net)?;
                op.finish(b, net)?;
                b.axpy(all, 1.0, &net.input, delta)?;
            }
            Some(draw) => {
                core::mem::swap(&mut net.input, &mut self.pulled);
                b.fill(Fill::Constant(0.0), &mut net.input)?;
                op.accumulate_output(b, delta, net)?;
                let turn = Turn::new(block, i, draw, &self.controls);
                let (out, weights) = (&mut self.log_det, &self.weights);
                let estimated = self
                    .memory
                    .value_and_gradient(b, turn, op, weights, out, net);
                core::mem::swap(&mut net.input, &mut self.pulled);
                work = estimated?;
                add(b, out, &mut self.on_host, log)?;
                b.axpy(all, 1.0, &self.pulled, delta)?;
            }
        }
        let learned = gradient.net.sharpness.iter().flatten();
        for (sum, derivatives) in gradient.log_sharpness.iter_mut().zip(learned) {
            b.download_rows(derivatives, &mut self.on_host)?;
            *sum = self.on_host.iter().sum();
        }
        Ok(work)
    }
}

/// host ← host + rows
fn add<B: Backend>(
    b: &B,
    rows: &B::Rows,
    staging: &mut [f64],
    host: &mut [f64],
) -> Result<(), B::Error> {
    b.download_rows(rows, staging)?;
    for (sum, x) in host.iter_mut().zip(staging) {
        *sum += *x;
    }
    Ok(())
}
