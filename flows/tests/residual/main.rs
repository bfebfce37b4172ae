//! Residual flows: densities and gradients against explicit determinants and differences, training,
//! Lipschitz bounds.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod controls;
mod estimator;
mod gradient;
mod inverse;
mod plain;
mod refused;
mod rounding;
mod score;
mod training;
