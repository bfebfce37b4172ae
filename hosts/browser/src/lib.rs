//! Fits densities of points in the plane, a slice of time after the other, as a page in a browser needs
//! it. `exports` is its interface in WebAssembly; everything else is the same code on any host, and gives
//! the same bits there.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

#[cfg(target_arch = "wasm32")]
mod bare;
mod course;
mod density;
// Elsewhere its names would be those of other libraries; it is linted and documented there all the same.
#[cfg(any(target_arch = "wasm32", clippy, doc))]
pub mod exports;
mod gaussian;
mod points;
mod run;
mod settings;
mod watched;

pub use density::Density;
pub use points::{LEAST, MOST, toy};
pub use run::{Figures, Run};
pub use settings::{LogDeterminants, Method};

/// What everything computes with: in the plane, single precision is right to a hundred-thousandth of a
/// nat, twice as fast, and half the module.
pub type Real = f32;

/// The portable backend.
pub(crate) type Host = detfree_core::reference::Heap<Real>;
