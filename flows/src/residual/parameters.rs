//! The numbers of a residual flow on the host.

use alloc::vec::Vec;

use detfree_core::{Activation, Affine};

/// The blocks of a residual flow, as a model file holds them.
#[derive(Clone, Debug, PartialEq)]
pub struct ResidualParameters {
    /// The certified bound of every block's Lipschitz constant, in (0, 1).
    pub lipschitz: f64,
    /// From the input's.
    pub blocks: Vec<BlockParameters>,
}

/// One block: x ↦ exp(s) ∘ (x + g(x)) + t with a net g.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockParameters {
    /// The layers of g, from the input's: weights \[out, in\] row-major, biases \[out\].
    pub layers: Vec<Affine<Vec<f64>>>,
    /// Behind every layer of g but the last.
    pub activations: Vec<Activation>,
    /// s, \[dim\].
    pub log_scale: Vec<f64>,
    /// t, \[dim\].
    pub shift: Vec<f64>,
}
