//! The memory of a series: four batches, whatever the number of terms.

use crate::{Allocate, Backend, Error, Shape};

/// The buffers a series runs in, each of the operator's shape.
#[derive(Debug)]
pub struct Workspace<B: Backend> {
    /// v
    pub(crate) probe: B::Batch,
    /// (Jᵀ)ᵏ v
    pub(crate) power: B::Batch,
    /// (Jᵀ)ᵏ⁺¹ v
    pub(crate) next: B::Batch,
    /// Σ_k (−1)ᵏ/S(k) (Jᵀ)ᵏ v
    pub(crate) sum: B::Batch,
}

impl<B: Backend> Workspace<B> {
    /// A workspace over four batches of the caller's, of one shape.
    ///
    /// # Errors
    /// [`Error::Shape`] where they differ.
    pub fn new(b: &B, buffers: [B::Batch; 4]) -> Result<Self, Error<B::Error>> {
        let [probe, power, next, sum] = buffers;
        let workspace = Self {
            probe,
            power,
            next,
            sum,
        };
        let shape = b.shape(&workspace.probe);
        workspace.check(b, shape)?;
        Ok(workspace)
    }

    /// A workspace for an operator of this shape.
    ///
    /// # Errors
    /// The device's.
    pub fn allocate(b: &B, shape: Shape) -> Result<Self, Error<B::Error>>
    where
        B: Allocate,
    {
        Ok(Self {
            probe: b.batch(shape)?,
            power: b.batch(shape)?,
            next: b.batch(shape)?,
            sum: b.batch(shape)?,
        })
    }

    /// The probe v, for callers of a series' deterministic half.
    pub const fn probe_mut(&mut self) -> &mut B::Batch {
        &mut self.probe
    }

    /// The sum s = Σ_k (−1)ᵏ/S(k) (Jᵀ)ᵏ v that the last run of a gradient left.
    pub const fn sum(&self) -> &B::Batch {
        &self.sum
    }

    pub(crate) fn check(&self, b: &B, shape: Shape) -> Result<(), Error<B::Error>> {
        Error::check_shape("the workspace", shape, b.shape(&self.probe))?;
        Error::check_shape("the workspace", shape, b.shape(&self.power))?;
        Error::check_shape("the workspace", shape, b.shape(&self.next))?;
        Error::check_shape("the workspace", shape, b.shape(&self.sum))
    }
}
