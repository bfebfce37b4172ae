//! The relative gradient of a batch from shards of its rows, a thread for each.

use alloc::vec::Vec;

use detfree_core::{
    Affine, Allocate, Backend, DenseRelative, Error, FlowBackend, Scalar, Shape, Side,
};

use super::{FlowTape, RelativeFlow};

/// The memory of gradients whose rows are cut into shards: the direction is linear in the rows, so that of
/// a batch is the mean of its shards', weighted by their rows. For weights that are too small for their
/// products to be shared by threads.
pub struct ShardedGradient<B: Backend> {
    shape: Shape,
    side: Side,
    shards: Vec<Shard<B>>,
    /// Σ over the shards of what each has in `numbers`, times its share of the rows.
    sum: Vec<B::Scalar>,
    directions: Vec<Affine<B::Batch>>,
}

/// Apart from its neighbours: a line of the cache that two threads write to would go back and forth.
#[repr(align(128))]
struct Shard<B: Backend> {
    rows: usize,
    tape: FlowTape<B>,
    tangent: DenseRelative<B>,
    /// ΔW of the layer at hand.
    direction: B::Batch,
    /// (ΔW_l, Δb_l) of this shard's mean, layer after layer: in one piece, as another thread reads them.
    numbers: Vec<B::Scalar>,
    log: Vec<f64>,
    outcome: Result<(), Error<B::Error>>,
}

impl<B: FlowBackend + Allocate> ShardedGradient<B> {
    /// Memory for batches of `shape` in at most `count` shards, along the relative gradient of a group
    /// that acts on `side`.
    ///
    /// # Errors
    /// The device's.
    pub fn new(
        b: &B,
        flow: &RelativeFlow<B>,
        shape: Shape,
        side: Side,
        count: usize,
    ) -> Result<Self, Error<B::Error>> {
        let Shape { rows: all, dim } = shape;
        let count = count.clamp(1, all.max(1));
        let zeros = || alloc::vec![B::Scalar::default(); flow.depth() * dim * (dim + 1)];
        let shard = |number| -> Result<_, Error<B::Error>> {
            let rows = all * (number + 1) / count - all * number / count;
            Ok(Shard {
                rows,
                tape: FlowTape::new(b, flow, Shape::new(rows, dim), side)?,
                tangent: DenseRelative::allocate(b, rows, dim)?,
                direction: b.batch(Shape::new(dim, dim))?,
                numbers: zeros(),
                log: alloc::vec![0.0; rows],
                outcome: Ok(()),
            })
        };
        Ok(Self {
            shape,
            side,
            shards: (0..count).map(shard).collect::<Result<_, _>>()?,
            sum: zeros(),
            directions: directions(b, flow, dim)?,
        })
    }
}

impl<B: FlowBackend + Allocate + Sync> ShardedGradient<B> {
    /// Computes the relative gradient of the mean log-likelihood over row-major `rows` at every layer, which
    /// [`Self::directions`] then holds. The result is the mean of what [`FlowTape`] calls the base's
    /// log-density: not finite where anything before was not.
    ///
    /// # Errors
    /// [`Error::Shape`] where `rows` do not fit; the device's.
    pub fn compute(
        &mut self,
        b: &B,
        flow: &RelativeFlow<B>,
        rows: &[B::Scalar],
    ) -> Result<f64, Error<B::Error>> {
        let Self {
            shape,
            side,
            ref mut shards,
            ref mut sum,
            ref mut directions,
        } = *self;
        Error::check_numbers("the flow's input", shape, rows.len())?;
        let mut rest = rows;
        let mut parts: Vec<_> = Vec::with_capacity(shards.len());
        for shard in shards.iter_mut() {
            let (part, others) = rest
                .split_at_checked(shard.rows * shape.dim)
                .unwrap_or_default();
            rest = others;
            parts.push((part, shard));
        }
        b.each_shard(&mut parts, |b, (part, shard)| {
            shard.outcome = shard.compute(b, flow, part, side);
            Ok(())
        })?;
        drop(parts);
        let mut log = 0.0;
        sum.fill(B::Scalar::default());
        for shard in shards {
            core::mem::replace(&mut shard.outcome, Ok(()))?;
            log += shard.log.iter().sum::<f64>();
            let share: B::Scalar = Scalar::from_f64(shard.rows as f64 / shape.rows as f64);
            for (sum, &x) in sum.iter_mut().zip(&shard.numbers) {
                *sum += share * x;
            }
        }
        for (out, sum) in directions.iter_mut().zip(layers(sum, shape.dim)) {
            let (weight, bias) = sum.split_at(shape.dim * shape.dim);
            b.upload(weight, &mut out.weight)?;
            b.upload(bias, &mut out.bias)?;
        }
        Ok(log / shape.rows as f64)
    }
}

impl<B: Backend> ShardedGradient<B> {
    /// (ΔW_l, Δb_l) of every layer, from the first, as they were computed last.
    #[must_use]
    pub fn directions(&self) -> &[Affine<B::Batch>] {
        &self.directions
    }

    /// The same, to be changed.
    pub(super) fn directions_mut(&mut self) -> &mut [Affine<B::Batch>] {
        &mut self.directions
    }

    /// How many shards there are.
    pub(super) const fn count(&self) -> usize {
        self.shards.len()
    }
}

impl<B: FlowBackend + Allocate> Shard<B> {
    fn compute(
        &mut self,
        b: &B,
        flow: &RelativeFlow<B>,
        rows: &[B::Scalar],
        side: Side,
    ) -> Result<(), Error<B::Error>> {
        self.tape.forward_to_base(b, flow, rows, &mut self.log)?;
        let dim = b.shape(&self.direction).dim;
        let out = layers(&mut self.numbers, dim);
        for (l, (layer, out)) in flow.layers.iter().zip(out).enumerate().rev() {
            self.tape.backward(b, flow, l, side, &mut self.tangent)?;
            let (weight, bias) = out.split_at_mut(dim * dim);
            let direction = &mut self.direction;
            self.tangent.weight_direction(b, &layer.weight, direction)?;
            b.download(direction, weight)?;
            b.download(self.tangent.bias_direction(), bias)?;
        }
        Ok(())
    }
}

/// A (ΔW_l, Δb_l) for every layer, with anything in it.
pub(super) fn directions<B: FlowBackend + Allocate>(
    b: &B,
    flow: &RelativeFlow<B>,
    dim: usize,
) -> Result<Vec<Affine<B::Batch>>, B::Error> {
    let direction = |_| {
        Ok(Affine {
            weight: b.batch(Shape::new(dim, dim))?,
            bias: b.batch(Shape::new(1, dim))?,
        })
    };
    (0..flow.depth()).map(direction).collect()
}

/// The numbers of every layer.
fn layers<T>(numbers: &mut [T], dim: usize) -> core::slice::ChunksExactMut<'_, T> {
    numbers.chunks_exact_mut((dim * (dim + 1)).max(1))
}
