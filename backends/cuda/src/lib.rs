//! The CUDA backend of `detfree`: [cudarc] and kernels of its own, in `f32` and `f64`.
//!
//! It builds without CUDA and asks for the driver's library when it starts. The kernels are PTX for
//! compute capability 7.0, embedded; products go to cuBLAS where its library is there, and to a
//! tiled kernel where it is not. Fills and elementwise passes give the bits of the reference
//! backend, but for normals (a few ulp); sums have a fixed order of their own and no atomics, so
//! that everything is bit-reproducible from run to run on one device.
//!
//! All work is queued on one stream. Only [`download`](detfree_core::Backend::download),
//! [`download_rows`](detfree_core::Backend::download_rows) and the factorisations wait for the
//! device, and the latter bring back two numbers; and [`upload`](detfree_core::Backend::upload) and
//! [`upload_rows`](detfree_core::Backend::upload_rows), since what they read is only lent to them.
//! Apart from [`batch`](detfree_core::Allocate::batch) and [`rows`](detfree_core::Allocate::rows)
//! nothing allocates, neither on the device nor on the host: the scratch (2²⁰ numbers) is allocated at the
//! start.
//!
//! An error of a kernel may be reported by a later call, as [`CudaError::DeviceLost`].
//!
//! ```
//! use detfree_core::{Allocate, Backend, DenseBackend, Fill, Op, Shape, Store};
//! # fn main() -> Result<(), detfree_cuda::CudaError> {
//! let b = match detfree_cuda::Cuda::<f32>::discover() {
//!     Ok(b) => b,
//!     Err(error) => {
//!         println!("{error}");
//!         return Ok(());
//!     }
//! };
//! println!("{}", b.device()?);
//! let (mut w, mut x) = (b.batch(Shape::new(2, 3))?, b.batch(Shape::new(1, 3))?);
//! let mut y = b.batch(Shape::new(1, 2))?;
//! b.upload(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &mut w)?;
//! b.fill(Fill::Constant(1.0), &mut x)?;
//! b.apply(0..1, &w, Op::Plain, &x, Store::Set, &mut y)?;
//! let mut sums = [0.0; 2];
//! b.download(&y, &mut sums)?;
//! assert_eq!(sums, [6.0, 15.0]);
//! # Ok(())
//! # }
//! ```

mod backend;
mod chain;
mod dense_backend;
mod device;
mod error;
mod flow_backend;
mod kernels;
mod launch;
mod memory;
mod open;
mod passes;
mod product;
mod products;
mod scalar;
mod signature;

use std::sync::{Arc, Mutex};

use cudarc::driver::CudaStream;

pub use device::{Device, Products};
pub use error::CudaError;
use kernels::Kernels;
use launch::Blas;
use memory::Memory;
pub use memory::{DeviceBatch, DeviceRows};
pub use scalar::DeviceScalar;

/// Computes on a CUDA device in `f32` or `f64`.
///
/// Threads may share it: their calls are queued on one stream, one after the other.
#[derive(Debug)]
pub struct Cuda<T: DeviceScalar> {
    stream: Arc<CudaStream>,
    kernels: Kernels,
    /// Where products are not by our own kernels.
    blas: Option<Mutex<Blas>>,
    /// For sums in several parts: held from the parts' launch to that of their sum.
    scratch: Mutex<Memory<T>>,
    /// What a factorisation answers.
    outcome: Mutex<Memory<f64>>,
}

/// Kernels may still be queued, for batches that outlive the backend, and their code is unloaded with
/// it: nothing says that the driver waits.
impl<T: DeviceScalar> Drop for Cuda<T> {
    fn drop(&mut self) {
        // What fails here is noted, for batches that are left to say it.
        let context = self.stream.context();
        context.record_err(self.stream.synchronize());
    }
}
