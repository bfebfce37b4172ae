//! Processors and systems on which there is no such unit, or no way to it yet.

use core::convert::Infallible;

use faer::{Accum, MatMut, MatRef};

/// The matrix unit of a processor: not of this one.
#[derive(Clone, Copy, Debug)]
pub struct Amx(Infallible);

impl Amx {
    /// `None`
    #[must_use]
    pub fn detect() -> Option<Self> {
        None
    }

    /// Never called.
    #[must_use]
    pub fn gains(self, _: usize, _: usize, _: usize) -> bool {
        match self.0 {}
    }

    /// Never called.
    pub fn matmul(
        self,
        _: MatMut<'_, f32>,
        _: Accum,
        _: MatRef<'_, f32>,
        _: MatRef<'_, f32>,
        _: f32,
    ) {
        match self.0 {}
    }
}
