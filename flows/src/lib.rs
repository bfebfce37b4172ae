//! Normalizing flows trained without determinants: nets, relative-gradient flows, optimisers and
//! model files, generic over the backend.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

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
pub mod unmix;

pub use fit::{
    CheckpointError, EpochReport, Event, FitOptions, FitReport, Progress, Schedule, State,
    StepReport, Stop, Tracked, Trainer, Training, TrainingRows, Validation, fit,
};
pub use model::{FlowParameters, Model, ModelError, Precision, RelativeParameters};
pub use spectral::SpectralBound;
pub use squash::Squash;
pub use standardisation::Standardisation;
