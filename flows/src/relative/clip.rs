//! Directions that are cut to a length.

use alloc::vec::Vec;

use detfree_core::{Affine, Allocate, Backend};

use crate::norm::{clip_factor, squared_norm};

/// A limit on the length of the directions (ΔW_l, Δb_l) of all layers together.
pub(super) struct Clip<B: Backend> {
    limit: f64,
    /// A number for every row of a weight, and of a bias.
    rows: Affine<B::Rows>,
    host: Vec<f64>,
}

impl<B: Backend + Allocate> Clip<B> {
    pub(super) fn new(b: &B, limit: f64, dim: usize) -> Result<Self, B::Error> {
        Ok(Self {
            limit,
            rows: Affine {
                weight: b.rows(dim)?,
                bias: b.rows(1)?,
            },
            host: Vec::new(),
        })
    }
}

impl<B: Backend> Clip<B> {
    /// min(1, limit/‖directions‖); `None` where they are not finite.
    pub(super) fn factor(
        &mut self,
        b: &B,
        directions: &[Affine<B::Batch>],
    ) -> Result<Option<f64>, B::Error> {
        let Affine { weight, bias } = &mut self.rows;
        let mut square = 0.0;
        for direction in directions {
            square += squared_norm(b, &direction.weight, weight, &mut self.host)?;
            square += squared_norm(b, &direction.bias, bias, &mut self.host)?;
        }
        let factor = clip_factor(libm::sqrt(square), Some(self.limit));
        Ok(square.is_finite().then_some(factor))
    }

    /// directions ← factor · directions
    pub(super) fn scale(
        &mut self,
        b: &B,
        factor: f64,
        directions: &mut [Affine<B::Batch>],
    ) -> Result<(), B::Error> {
        let Affine { weight, bias } = &mut self.rows;
        b.fill_rows(factor, weight)?;
        b.fill_rows(factor, bias)?;
        for direction in directions {
            b.scale_rows(weight, &mut direction.weight)?;
            b.scale_rows(bias, &mut direction.bias)?;
        }
        Ok(())
    }
}
