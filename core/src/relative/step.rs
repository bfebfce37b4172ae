//! The length of a step, as the data type can take it.

use crate::Scalar;

/// The numbers that a step multiplies by.
pub(super) struct Step {
    /// (1 + μ, rounded) − 1
    pub(super) mu: f64,
    /// μ/((1+μ)R)
    pub(super) c: f64,
}

impl Step {
    /// `None` where μ ≤ −1 or not finite.
    pub(super) fn new<T: Scalar>(mu: f64, rows: usize) -> Option<Self> {
        let scale = T::from_f64(1.0 + mu).to_f64();
        (scale > 0.0 && scale < f64::INFINITY).then(|| Self {
            mu: scale - 1.0,
            c: (scale - 1.0) / (scale * rows as f64),
        })
    }
}
