//! What can go wrong on the way to a device and on it.

use cudarc::driver::DriverError;
use cudarc::driver::sys::CUresult;
use detfree_core::Shape;
use thiserror::Error;

/// What was looked for or done, what was found, and what to do about it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CudaError {
    /// The machine has no CUDA driver.
    #[error(
        "no CUDA driver: looked for the library libcuda.so (.12, .11, .1; nvcuda.dll on Windows) \
         where the system looks for libraries, and found none; install the NVIDIA driver, or \
         choose another backend"
    )]
    NoDriver,
    /// The driver is there, but not the device.
    #[error(
        "no CUDA device {ordinal}: the driver lists {count}; choose one of these, look at \
         CUDA_VISIBLE_DEVICES and nvidia-smi, or choose another backend"
    )]
    NoDevice {
        /// The number that was asked for.
        ordinal: usize,
        /// How many devices the driver has.
        count: usize,
    },
    /// The driver is older than its memory pools, of which cudarc asks.
    #[error(
        "the CUDA driver is of version {}.{}, and 11.2 or more is needed: update the NVIDIA driver \
         (to 460 or more), or choose another backend",
        version / 1000,
        version % 1000 / 10
    )]
    DriverTooOld {
        /// 1000 times the number before the point, and 10 times that after it.
        version: i32,
    },
    /// The device is there, but not for this program.
    #[error(
        "the CUDA device is not available while {during}: another program may have it for itself, \
         or its compute mode forbids programs; look at nvidia-smi, or choose another device or \
         backend ({status})"
    )]
    Unavailable {
        /// What was under way.
        during: &'static str,
        /// What the driver says.
        #[source]
        status: DriverError,
    },
    /// The device is older than the kernels.
    #[error(
        "the CUDA device {name} has compute capability {major}.{minor}, and the kernels need 7.0: \
         choose another device or backend"
    )]
    TooOld {
        /// The device.
        name: String,
        /// Its compute capability before the point.
        major: i32,
        /// And after it.
        minor: i32,
    },
    /// The device has no room.
    #[error(
        "the CUDA device is out of memory ({during}): use fewer rows at a time, or a device with \
         more memory, or end what else runs on it"
    )]
    OutOfMemory {
        /// What was asked for.
        during: String,
    },
    /// The driver refuses the kernels.
    #[error(
        "the driver does not load the kernels of {kernels}, which are PTX 6.0 for compute \
         capability 7.0: update the NVIDIA driver ({status})"
    )]
    KernelImage {
        /// The source of the kernels.
        kernels: &'static str,
        /// What the driver says.
        #[source]
        status: DriverError,
    },
    /// The device does not answer any more, or a kernel failed on it.
    #[error(
        "the CUDA device was lost while {during}: nothing computed since the last transfer can be \
         trusted; start the program again, and look at nvidia-smi and the system's log ({status})"
    )]
    DeviceLost {
        /// What was under way when it was noticed.
        during: &'static str,
        /// What the driver says.
        #[source]
        status: DriverError,
    },
    /// Operands that do not fit each other, or rows that they do not have.
    #[error(
        "{operation}: operands do not fit each other ({operands}); the contract of \
         detfree_core::Backend and its subtraits says what fits"
    )]
    Operands {
        /// The operation.
        operation: &'static str,
        /// Their names and extents.
        operands: String,
    },
    /// A batch without numbers, or with more rows or columns than kernels count.
    #[error(
        "a batch of {} rows of {} numbers: a batch on a CUDA device has from 1 to 2³¹ − 1 of both",
        shape.rows, shape.dim
    )]
    Extent {
        /// The shape asked for.
        shape: Shape,
    },
    /// The library for matrix products refuses.
    #[error("cuBLAS failed: {status}; Cuda::with_own_products does without it")]
    Products {
        /// What the library says.
        status: String,
    },
    /// Whatever else the driver answers.
    #[error("the CUDA driver failed while {during}: {status}; update it, or restart the machine")]
    Driver {
        /// What was under way.
        during: &'static str,
        /// What the driver says.
        #[source]
        status: DriverError,
    },
}

impl CudaError {
    /// What the driver's answer means while something was `during`.
    pub(crate) fn of(status: DriverError, during: &'static str) -> Self {
        match status.0 {
            CUresult::CUDA_ERROR_OUT_OF_MEMORY => Self::OutOfMemory {
                during: during.into(),
            },
            CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE => Self::Unavailable { during, status },
            answer if is_lost(answer) => Self::DeviceLost { during, status },
            _ => Self::Driver { during, status },
        }
    }
}

/// After these the context answers nothing else.
fn is_lost(answer: CUresult) -> bool {
    matches!(
        answer,
        CUresult::CUDA_ERROR_ASSERT
            | CUresult::CUDA_ERROR_CONTAINED
            | CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED
            | CUresult::CUDA_ERROR_DEINITIALIZED
            | CUresult::CUDA_ERROR_ECC_UNCORRECTABLE
            | CUresult::CUDA_ERROR_HARDWARE_STACK_ERROR
            | CUresult::CUDA_ERROR_ILLEGAL_ADDRESS
            | CUresult::CUDA_ERROR_ILLEGAL_INSTRUCTION
            | CUresult::CUDA_ERROR_INVALID_ADDRESS_SPACE
            | CUresult::CUDA_ERROR_INVALID_PC
            | CUresult::CUDA_ERROR_LAUNCH_FAILED
            | CUresult::CUDA_ERROR_LAUNCH_TIMEOUT
            | CUresult::CUDA_ERROR_MISALIGNED_ADDRESS
            | CUresult::CUDA_ERROR_NVLINK_UNCORRECTABLE
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_become_what_a_user_can_act_on() {
        let of = |answer| CudaError::of(DriverError(answer), "a test");
        assert!(matches!(
            of(CUresult::CUDA_ERROR_OUT_OF_MEMORY),
            CudaError::OutOfMemory { .. }
        ));
        assert!(matches!(
            of(CUresult::CUDA_ERROR_ILLEGAL_ADDRESS),
            CudaError::DeviceLost { .. }
        ));
        // A device in exclusive mode that another process has: nothing was lost.
        assert!(matches!(
            of(CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE),
            CudaError::Unavailable { .. }
        ));
        assert!(matches!(
            of(CUresult::CUDA_ERROR_INVALID_VALUE),
            CudaError::Driver { .. }
        ));
        assert!(CudaError::NoDriver.to_string().contains("libcuda.so"));
    }
}
