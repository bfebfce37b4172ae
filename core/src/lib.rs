//! Log-determinants without determinants.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod activation;
mod adam;
mod backend;
mod base;
mod dense_backend;
mod draw;
mod elementary;
mod error;
mod estimate;
mod key;
mod log_det;
mod operator;
pub mod reference;
mod relative;
mod scalar;
mod schedule;
mod series;
mod terms;
mod trace;
mod workspace;

pub use activation::Activation;
pub use adam::Adam;
pub use backend::{Allocate, Backend, Fill, Op, Shape, Store};
pub use base::BaseDensity;
pub use dense_backend::{DenseBackend, FlowBackend};
pub use draw::Draw;
pub use error::Error;
pub use estimate::Estimate;
#[cfg(feature = "alloc")]
pub use estimate::{log_det, log_det_to_tolerance};
pub use key::Key;
pub use log_det::{ExactFirst, LogDet};
pub use operator::{BilinearGradient, Closures, FirstTrace, Matrix, Operator};
pub use reference::{Dense, Reference, Storage, StorageError};
pub use relative::{Affine, DenseRelative, GuardedStep, RelativeGradient, Side};
pub use scalar::Scalar;
pub use schedule::{Quantity, RouletteSchedule, ScheduleError};
pub use series::{Series, Work};
pub use terms::Terms;
pub use trace::{Probe, TraceEstimator};
pub use workspace::Workspace;
