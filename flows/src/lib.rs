//! Normalizing flows trained without determinants, generic over the backend.
//!
//! | module | what is in it |
//! |---|---|
//! | [`relative`] | flows of unconstrained square layers, by the relative gradient (Gresele et al. 2020) |
//! | [`residual`] | residual flows with certified Lipschitz bounds (Chen et al. 2019): training, scores, samples |
//! | [`mlp`] | the nets of residual blocks: products, exact first traces, gradients |
//! | [`unmix`] | independent component analysis by the relative gradient |
//! | [`toy`] | two-dimensional distributions to try them on |
//!
//! [`fit`](fn@fit) and [`Training`] train a flow of either kind, with early stopping and checkpoints; [`Model`] is one
//! with the units of its data, as bytes of a file, and [`Density`] what scores rows and draws samples with it.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod base;
mod cholesky;
mod fit;
pub mod mlp;
mod model;
mod norm;
pub mod relative;
pub mod residual;
mod spectral;
mod squash;
mod standardisation;
mod tensor;
pub mod toy;
mod tracking;
mod transfer;
pub mod unmix;

pub use fit::{
    CheckpointError, Difference, EpochReport, Event, FitOptions, FitReport, Progress, Schedule,
    State, StepReport, Stop, Tracked, Trainer, Training, TrainingRows, Validation, fit,
};
pub use model::{Density, FlowParameters, LogLikelihoods, Model, ModelError, Precision, Samples};
pub use relative::RelativeParameters;
pub use spectral::SpectralBound;
pub use squash::Squash;
pub use standardisation::Standardisation;
