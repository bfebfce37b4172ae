//! Log-determinants, and training of invertible networks, without computing determinants.
//!
//! Two methods over one small set of primitives:
//! - **Residual Flows** (Chen et al. 2019): unbiased log det(I + J) and its gradient from
//!   vector-Jacobian products, by a power series, random probes and Russian roulette;
//! - **the relative gradient** (Gresele et al. 2020): exact maximum-likelihood training of layers
//!   with unconstrained square weights, at the cost of backpropagation.
//!
//! The crate is `no_std`, needs no allocator, and cannot panic with the [reference backend](mod@reference).
//!
//! # Levels
//!
//! 1. *A number with an error bar*: `log_det`, `log_det_to_tolerance` (feature `alloc`), or
//!    [`LogDet::estimate`] with buffers of the caller's, on an [`Operator`] made of two
//!    [`Closures`] or a [`Matrix`].
//! 2. *Training*: [`LogDet::value_and_gradient`] with a [`RouletteSchedule`] and a
//!    [`TraceEstimator`], its variant with the exact first trace [`ExactFirst`], and
//!    [`RelativeGradient`] with its guarded steps. Nets and flows are in `detfree-flows`.
//! 3. *A device or a model of your own*: [`Backend`] with [`DenseBackend`] and [`FlowBackend`];
//!    [`Operator`], [`BilinearGradient`] and [`FirstTrace`].
//!
//! # What is promised
//!
//! Probe signs ([`Key`]) and the reference backend give the same bits on every host; normals agree
//! to a few units in the last place. The memory of a series does not grow with its terms. Entry
//! points check shapes once and return [`Error`]; primitives return the backend's own error.
//!
//! # Features
//!
//! `alloc`: `Vec` storage for the reference backend with its [`Allocate`], and the functions of
//! level 1. The trait [`Allocate`] itself is always there.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod activation;
mod adam;
mod affine;
mod backend;
mod base;
mod dense_backend;
mod draw;
mod elementary;
mod error;
mod estimate;
mod flow_backend;
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
pub mod unfused;
mod workspace;

pub use activation::Activation;
pub use adam::Adam;
pub use affine::Affine;
pub use backend::{Allocate, Backend, Fill, Op, Shape, Store};
pub use base::BaseDensity;
pub use dense_backend::{DenseBackend, Link};
pub use draw::Draw;
pub use error::Error;
pub use estimate::{Estimate, Moments};
#[cfg(feature = "alloc")]
pub use estimate::{log_det, log_det_to_tolerance};
pub use flow_backend::FlowBackend;
pub use key::Key;
pub use log_det::{ExactFirst, LogDet};
pub use operator::{BilinearGradient, Closures, FirstTrace, Matrix, Operator};
pub use reference::{Dense, Reference, Storage, StorageError};
pub use relative::{ChannelRelative, DenseRelative, GuardedStep, RelativeGradient, Side};
pub use scalar::Scalar;
pub use schedule::{Quantity, RouletteSchedule, ScheduleError};
pub use series::{FirstTerm, Series, Work};
pub use terms::Terms;
pub use trace::{Probe, TraceEstimator};
pub use workspace::Workspace;
