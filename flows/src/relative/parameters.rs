//! The numbers of a relative-gradient flow on the host.

use alloc::vec::Vec;

use detfree_core::{Activation, Affine};

/// The layers of a relative-gradient flow, as a model file holds them.
#[derive(Clone, Debug, PartialEq)]
pub struct RelativeParameters {
    /// Between layers.
    pub activation: Activation,
    /// From the input's: weights \[dim, dim\] row-major, biases \[dim\].
    pub layers: Vec<Affine<Vec<f64>>>,
}
