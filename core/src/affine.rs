//! What a layer of a flow is made of.

/// An affine layer y = W z + b, or a direction for one.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine<T> {
    /// W, [dim, dim].
    pub weight: T,
    /// b, [1, dim].
    pub bias: T,
}
