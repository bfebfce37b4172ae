//! Log-determinants and invertible networks without computing determinants.
//!
//! This crate is the front door: everything of `detfree-core` at the root, and more by feature.
//!
//! | feature | gives |
//! |---|---|
//! | `faer` (default) | module `faer`: the fast CPU backend |
//! | `cuda` | module `cuda`: the backend for NVIDIA devices; needs `std`, and a driver when it runs |
//! | `nalgebra` | module `nalgebra`: a backend over nalgebra, its matrices in and out |
//! | `flows` | module `flows`: residual and relative-gradient flows, unmixing, training, model files |
//!
//! ```
//! use detfree::{Closures, Dense, Key, Shape, log_det, reference::Heap};
//! use std::{convert::Infallible, ops::Range};
//!
//! // J = 0.4 times a cyclic shift of 5 coordinates, never formed: det(I + J) = 1 + 0.4⁵.
//! let shift = |by: usize| {
//!     move |rows: Range<usize>, x: &Dense<Vec<f64>>, out: &mut Dense<Vec<f64>>| {
//!         for r in rows {
//!             for i in 0..5 {
//!                 out.row_mut(r)[(i + by) % 5] = 0.4 * x.row(r)[i];
//!             }
//!         }
//!         Ok::<(), Infallible>(())
//!     }
//! };
//! // Products with J and with its transpose, for 16 probes at a time.
//! let mut operator = Closures::new(Shape::new(16, 5), shift(1), shift(4));
//! let estimate = log_det(&Heap::<f64>::new(), &mut operator, 0.4, 400, Key::new(1)).unwrap();
//! let exact = (1.0 + 0.4_f64.powi(5)).ln();
//! assert!((estimate.mean - exact).abs() < 4.0 * estimate.standard_error);
//! ```

#![no_std]
#![forbid(unsafe_code)]

pub use detfree_core::*;

/// The backend for NVIDIA devices.
#[cfg(feature = "cuda")]
pub use detfree_cuda as cuda;

/// The fast CPU backend.
#[cfg(feature = "faer")]
pub use detfree_faer as faer;

/// The backend over nalgebra, dynamic or statically sized.
#[cfg(feature = "nalgebra")]
pub use detfree_nalgebra as nalgebra;

/// Nets, flows, optimisers and model files.
#[cfg(feature = "flows")]
pub use detfree_flows as flows;

/// The code in the README is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
