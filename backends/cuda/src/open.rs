//! Finding a device, and what must be there before the first call.

use std::sync::Mutex;

use cudarc::driver::sys::CUresult;
use cudarc::driver::{CudaContext, DriverError};

use crate::kernels::Kernels;
use crate::launch::Blas;
use crate::scalar::DeviceScalar;
use crate::{Cuda, CudaError, Device, Products, launch};

/// Numbers that parts of sums may take.
const SCRATCH: usize = 1 << 20;

/// Before it, threads of a warp do not run independently, as the kernels' barriers expect.
const OLDEST: (i32, i32) = (7, 0);

/// The first driver that answers whether a device has pools of memory: cudarc asks when it opens one.
const OLDEST_DRIVER: i32 = 11020;

const ASKING: &str = "asking for its devices";

impl<T: DeviceScalar> Cuda<T> {
    /// The first device that is new enough and to be had, with products by cuBLAS where its library is there.
    ///
    /// # Errors
    /// No driver, no device, none that is new enough and to be had, or what [`Self::new`] says of the first.
    pub fn discover() -> Result<Self, CudaError> {
        let count = device_count(0)?;
        let mut first = None;
        for ordinal in 0..count {
            match Self::new(ordinal) {
                Err(error @ (CudaError::TooOld { .. } | CudaError::Unavailable { .. })) => {
                    first.get_or_insert(error);
                }
                outcome => return outcome,
            }
        }
        Err(first.unwrap_or(CudaError::NoDevice { ordinal: 0, count }))
    }

    /// Device number `ordinal`, with products by cuBLAS where its library is there and starts:
    /// [`Self::device`] tells.
    ///
    /// # Errors
    /// No driver or an old one, no such device, one that is too old or not to be had, that has no memory, or
    /// whose driver does not load the kernels.
    pub fn new(ordinal: usize) -> Result<Self, CudaError> {
        let mut b = Self::with_own_products(ordinal)?;
        // cudarc panics where there is no library.
        if launch::libraries().1 {
            b.blas = Blas::new(&b.stream).map(Mutex::new);
        }
        Ok(b)
    }

    /// Device number `ordinal`, with products by this crate's kernels wherever cuBLAS is.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_own_products(ordinal: usize) -> Result<Self, CudaError> {
        let count = device_count(ordinal)?;
        if ordinal >= count {
            return Err(CudaError::NoDevice { ordinal, count });
        }
        let failed = |status| CudaError::of(status, "opening the device");
        let context = CudaContext::new(ordinal).map_err(failed)?;
        let capability @ (major, minor) = context.compute_capability().map_err(failed)?;
        if capability < OLDEST {
            let name = context.name().map_err(failed)?;
            return Err(CudaError::TooOld { name, major, minor });
        }
        launch::without_events(&context);
        let stream = context.default_stream();
        let kernels = Kernels::load::<T>(&context)?;
        let failed = |status| CudaError::of(status, "allocating the scratch");
        Ok(Self {
            scratch: Mutex::new(launch::scratch(&stream, SCRATCH).map_err(failed)?),
            outcome: Mutex::new(launch::scratch(&stream, 2).map_err(failed)?),
            stream,
            kernels,
            blas: None,
        })
    }

    /// The device, and how much of its memory is free now.
    ///
    /// # Errors
    /// The driver's.
    pub fn device(&self) -> Result<Device, CudaError> {
        let context = self.stream.context();
        let describe = || {
            let (memory_free, memory_total) = context.mem_get_info()?;
            Ok(Device {
                ordinal: context.ordinal(),
                name: context.name()?,
                compute_capability: context.compute_capability()?,
                memory_total,
                memory_free,
                products: match self.blas {
                    Some(_) => Products::CuBlas,
                    None => Products::Own,
                },
            })
        };
        describe().map_err(|status| CudaError::of(status, "describing the device"))
    }
}

fn device_count(ordinal: usize) -> Result<usize, CudaError> {
    // cudarc panics where there is no library.
    if !launch::libraries().0 {
        return Err(CudaError::NoDriver);
    }
    let version = launch::driver_version()
        .map_err(|status| CudaError::of(status, "asking for its version"))?;
    if version < OLDEST_DRIVER {
        return Err(CudaError::DriverTooOld { version });
    }
    match CudaContext::device_count() {
        Ok(count) => Ok(usize::try_from(count).unwrap_or(0)),
        Err(DriverError(CUresult::CUDA_ERROR_NO_DEVICE)) => {
            Err(CudaError::NoDevice { ordinal, count: 0 })
        }
        Err(status) => Err(CudaError::of(status, ASKING)),
    }
}
