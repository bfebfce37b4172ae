//! The relative gradient of a batch from shards of its rows, a thread for each.

use alloc::vec::Vec;

use detfree_core::{
    Affine, Allocate, Backend, DenseRelative, Error, FlowBackend, RelativeGradient, Shape, Side,
};

use super::{FlowTape, RelativeFlow};

/// The memory of gradients whose rows are cut into shards: the direction is linear in the rows, so that of
/// a batch is the mean of its shards', weighted by their rows. For weights that are too small for their
/// products to be shared by threads.
pub struct ShardedGradient<B: Backend> {
    shape: Shape,
    side: Side,
    shards: Vec<Shard<B>>,
}

struct Shard<B: Backend> {
    rows: usize,
    tape: FlowTape<B>,
    tangent: DenseRelative<B>,
    /// Of this shard's mean, times its share of the rows.
    directions: Vec<Affine<B::Batch>>,
    /// The share, for every row of a weight and for the one of a bias.
    share: Affine<B::Rows>,
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
        let shard = |number| -> Result<_, Error<B::Error>> {
            let rows = all * (number + 1) / count - all * number / count;
            let mut directions = Vec::new();
            for _ in 0..flow.depth() {
                directions.push(Affine {
                    weight: b.batch(Shape::new(dim, dim))?,
                    bias: b.batch(Shape::new(1, dim))?,
                });
            }
            let share = |of: usize| -> Result<B::Rows, B::Error> {
                let mut share = b.rows(of)?;
                b.fill_rows(rows as f64 / all as f64, &mut share)?;
                Ok(share)
            };
            Ok(Shard {
                rows,
                tape: FlowTape::new(b, flow, Shape::new(rows, dim))?,
                tangent: DenseRelative::allocate(b, rows, dim)?,
                directions,
                share: Affine {
                    weight: share(dim)?,
                    bias: share(1)?,
                },
                log: alloc::vec![0.0; rows],
                outcome: Ok(()),
            })
        };
        Ok(Self {
            shape,
            side,
            shards: (0..count).map(shard).collect::<Result<_, _>>()?,
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
        } = *self;
        if rows.len() != shape.rows * shape.dim {
            return Err(Error::Shape {
                what: "the flow's input",
                expected: shape,
                found: Shape::new(rows.len() / shape.dim.max(1), shape.dim),
            });
        }
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
        let mut sum = 0.0;
        for shard in shards.iter_mut() {
            core::mem::replace(&mut shard.outcome, Ok(()))?;
            sum += shard.log.iter().sum::<f64>();
        }
        if let [first, others @ ..] = shards.as_mut_slice() {
            for other in others {
                for (sum, part) in first.directions.iter_mut().zip(&other.directions) {
                    b.axpy(0..shape.dim, 1.0, &part.weight, &mut sum.weight)?;
                    b.axpy(0..1, 1.0, &part.bias, &mut sum.bias)?;
                }
            }
        }
        Ok(sum / shape.rows as f64)
    }
}

impl<B: Backend> ShardedGradient<B> {
    /// (ΔW_l, Δb_l) of every layer, from the first, as they were computed last.
    #[must_use]
    pub fn directions(&self) -> &[Affine<B::Batch>] {
        self.shards.first().map_or(&[], |shard| &shard.directions)
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
        let layers = flow.layers.iter().zip(&mut self.directions).enumerate();
        for (l, (layer, direction)) in layers.rev() {
            self.tape.backward(b, flow, l, side, &mut self.tangent)?;
            self.tangent.direction(b, layer, direction)?;
            b.scale_rows(&self.share.weight, &mut direction.weight)?;
            b.scale_rows(&self.share.bias, &mut direction.bias)?;
        }
        Ok(())
    }
}
