//! The conformance suite of detfree: whether a backend, an operator or an estimator is right.
//!
//! A test target without a harness registers backends and gets named, filterable trials:
//!
//! ```no_run
//! use std::process::ExitCode;
//! use detfree_core::reference::Heap;
//! use detfree_testsuite::{Fixture, Suite};
//!
//! fn main() -> ExitCode {
//!     let fixture = Fixture::new("mine-f64", || Ok(Heap::<f64>::new()));
//!     Suite::new().flow(fixture).run()
//! }
//! ```
//!
//! [`Suite::basic`] takes any [`Backend`](detfree_core::Backend), [`Suite::dense`] a
//! [`DenseBackend`](detfree_core::DenseBackend), [`Suite::flow`] a
//! [`FlowBackend`](detfree_core::FlowBackend): what a backend does not offer, or a machine does not
//! have, is listed as ignored with the reason, and `DETFREE_REQUIRE_DEVICE=1` turns a missing device
//! into a failure.
//!
//! Every check is a function that returns a [`Failure`] in words, so that negative controls can
//! assert that a wrong backend is rejected, and by which check: [`basic_checks`], [`dense_checks`],
//! [`flow_checks`]. The README of the crate says what each proves, what it would catch, and what it
//! cannot.
//!
//! The judges behind them serve other implementations too: [`adjoint`] and [`linearises`] an
//! [`Operator`](detfree_core::Operator), [`unbiased`] and [`unbiased_rows`] an estimator,
//! [`sampler_follows`] a law of numbers of terms, [`relative_direction`] and [`relative_tracking`] a
//! [`RelativeGradient`](detfree_core::RelativeGradient).
#![forbid(unsafe_code)]

mod checks;
mod enumerate;
mod failure;
mod jacobians;
mod layer;
mod net;
mod operands;
mod operator;
mod plain;
mod schedule;
mod suite;
mod tracking;

pub use checks::{Check, basic_checks, dense_checks, flow_checks};
pub use enumerate::{RowSums, Sums, sign_vectors, unbiased, unbiased_rows};
pub use failure::{Failure, Outcome};
pub use layer::relative_direction;
pub use operands::{SHAPES, ranges};
pub use operator::{adjoint, linearises};
pub use plain::Plain;
pub use schedule::sampler_follows;
pub use suite::{Fixture, Suite, Unavailable};
pub use tracking::relative_tracking;
