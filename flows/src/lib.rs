//! Normalizing flows trained without determinants: nets, relative-gradient flows, optimisers and
//! model files, generic over the backend.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod fit;
pub mod mlp;
mod model;
pub mod relative;
mod spectral;
mod squash;
mod standardisation;
pub mod toy;
pub mod unmix;

pub use fit::{
    EpochReport, Event, FitOptions, FitReport, Schedule, Stop, Tracked, TrainingRows, fit,
};
pub use model::{Model, ModelError, Precision};
pub use spectral::SpectralBound;
pub use squash::Squash;
pub use standardisation::Standardisation;
