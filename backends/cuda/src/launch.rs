//! All that the compiler cannot check: calls of the driver and of cuBLAS with raw addresses.
//!
//! A launch checks the number and the types of its arguments against the kernel's own signature.
//! That the addresses are good for what a kernel touches is the caller's part: the methods of the
//! backend check shapes and row ranges before they launch anything, and the borrows of their
//! operands keep the memory alive until the launch is queued; freeing is queued behind it.
#![expect(unsafe_code, reason = "raw addresses go to the driver")]

use core::ffi::c_void;
use core::ptr;
use std::sync::Arc;

use cudarc::cublas;
use cudarc::cublas::result::{self as blas, CublasError};
use cudarc::cublas::sys::{cublasHandle_t, cublasOperation_t};
use cudarc::driver::{
    CudaContext, CudaFunction, CudaSlice, CudaStream, DevicePtr, DeviceRepr, DriverError, result,
    sys,
};

use crate::error::CudaError;
use crate::memory::Memory;
use crate::product::Call;
use crate::signature::Parameter;

/// The most parameters of a kernel.
pub(crate) const MOST: usize = 18;

/// A kernel, and what it takes.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) function: CudaFunction,
    pub(crate) name: &'static str,
    pub(crate) parameters: Vec<Parameter>,
}

/// One argument of a kernel.
#[derive(Clone, Copy, Debug)]
pub enum Argument {
    /// A number of columns, a choice.
    Word(u32),
    /// A number of rows or elements, an address.
    Long(u64),
    /// A number.
    Single(f32),
    /// A number.
    Double(f64),
}

impl Argument {
    /// A count of the host's.
    pub(crate) const fn count(count: usize) -> Self {
        Self::Long(count as u64)
    }

    const fn parameter(self) -> Parameter {
        match self {
            Self::Word(_) => Parameter::U32,
            Self::Long(_) => Parameter::U64,
            Self::Single(_) => Parameter::F32,
            Self::Double(_) => Parameter::F64,
        }
    }

    /// The bytes, the first of which the driver reads.
    const fn bytes(self) -> [u8; 8] {
        let [a, b, c, d] = match self {
            Self::Word(word) => word.to_ne_bytes(),
            Self::Single(number) => number.to_ne_bytes(),
            Self::Long(long) => return long.to_ne_bytes(),
            Self::Double(number) => return number.to_ne_bytes(),
        };
        [a, b, c, d, 0, 0, 0, 0]
    }
}

/// The numbers of blocks, along x and y, and of threads in a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    pub(crate) blocks: [u32; 2],
    pub(crate) threads: u32,
}

/// Queues a kernel with two lists of arguments, one after the other.
pub(crate) fn launch(
    stream: &CudaStream,
    kernel: &Kernel,
    grid: Grid,
    arguments: &[&[Argument]; 2],
) -> Result<(), CudaError> {
    let given = || arguments.iter().copied().flatten();
    let fits = kernel.parameters.len() <= MOST
        && given()
            .map(|argument| argument.parameter())
            .eq(kernel.parameters.iter().copied());
    if !fits {
        return Err(CudaError::of(
            DriverError(sys::CUresult::CUDA_ERROR_INVALID_VALUE),
            kernel.name,
        ));
    }
    let mut slots = [0_u64; MOST];
    let mut pointers = [ptr::null_mut::<c_void>(); MOST];
    for ((slot, pointer), argument) in slots.iter_mut().zip(&mut pointers).zip(given()) {
        *slot = u64::from_ne_bytes(argument.bytes());
        *pointer = ptr::from_mut(slot).cast();
    }
    let [x, y] = grid.blocks;
    let mut queue = || {
        stream.context().bind_to_thread()?;
        // SAFETY: the function's module is loaded in the context that was just bound and lives as
        // long as `kernel`; there are as many pointers as parameters, each to as many bytes as the
        // parameter has, and the driver copies these before it returns.
        unsafe {
            result::launch_kernel(
                kernel.function.cu_function(),
                (x, y, 1),
                (grid.threads, 1, 1),
                0,
                stream.cu_stream(),
                &mut pointers,
            )
        }
    };
    queue().map_err(|status| CudaError::of(status, kernel.name))
}

/// Scratch of `length` elements, which kernels write before they read.
pub(crate) fn scratch<X: DeviceRepr>(
    stream: &Arc<CudaStream>,
    length: usize,
) -> Result<Memory<X>, DriverError> {
    // SAFETY: any bits are a number of type X, and the driver reads none before a kernel or a
    // transfer does.
    unsafe { stream.alloc(length) }.map(Memory::from)
}

/// Binds a context before something of it is given back where no error can be returned.
pub(crate) fn bind_to_drop(context: &CudaContext) {
    if let Err(earlier) = context.bind_to_thread() {
        // cudarc forgets an error that it noted in a drop when it reports it, and then binds.
        let _ = context.bind_to_thread();
        context.record_err::<()>(Err(earlier));
    }
}

// Copies to and from the host are the driver's synchronous ones, on the stream of all work. The
// host's memory is borrowed for the call alone, and an asynchronous copy of pageable memory only
// *might* be done with it when it returns: it is not where that memory is page-locked, or where the
// device reads it over the host's page tables.

/// to ← from, of as many numbers, behind all that is queued.
pub(crate) fn upload<X: DeviceRepr>(
    stream: &CudaStream,
    from: &[X],
    to: &mut CudaSlice<X>,
) -> Result<(), DriverError> {
    same_length(from.len(), to.len())?;
    stream.context().bind_to_thread()?;
    // SAFETY: the context is bound, `to` has room for the numbers, and the driver has read `from`
    // when it returns.
    unsafe { result::memcpy_htod_sync(address(to, stream), from) }
}

/// to ← from, of as many numbers, behind all that is queued.
pub(crate) fn download<X: DeviceRepr>(
    stream: &CudaStream,
    from: &CudaSlice<X>,
    to: &mut [X],
) -> Result<(), DriverError> {
    same_length(from.len(), to.len())?;
    stream.context().bind_to_thread()?;
    // SAFETY: the context is bound, `from` has the numbers, any bits are one, and the driver has
    // written them when it returns.
    unsafe { result::memcpy_dtoh_sync(to, address(from, stream)) }
}

fn same_length(from: usize, to: usize) -> Result<(), DriverError> {
    match from == to {
        true => Ok(()),
        false => Err(DriverError(sys::CUresult::CUDA_ERROR_INVALID_VALUE)),
    }
}

/// Where a slice starts.
pub(crate) fn address<X>(slice: &CudaSlice<X>, stream: &CudaStream) -> u64 {
    // On one stream, without events, there is nothing to record when the guard drops.
    slice.device_ptr(stream).0
}

/// Whether the libraries are there: (the driver, cuBLAS).
pub(crate) fn libraries() -> (bool, bool) {
    // SAFETY: loading these libraries runs their initialisers and nothing of ours.
    unsafe { (sys::is_culib_present(), cublas::sys::is_culib_present()) }
}

/// The version of the driver: 11020 is 11.2.
pub(crate) fn driver_version() -> Result<i32, DriverError> {
    let mut version = 0;
    // SAFETY: valid for the one write. The library is there, as the caller has asked.
    unsafe { sys::cuDriverGetVersion(&raw mut version) }
        .result()
        .map(|()| version)
}

/// Keeps cudarc from creating two events for every slice.
pub(crate) fn without_events(context: &CudaContext) {
    // SAFETY: all work of this crate goes to one stream, in whose order memory is allocated, used
    // and freed.
    unsafe { context.disable_event_tracking() }
}

/// A handle of cuBLAS on a stream. cudarc's gives itself back in whatever context the thread has
/// bound, and panics where the library refuses it, as it may after an error of a kernel.
#[derive(Debug)]
pub struct Blas {
    handle: cublasHandle_t,
    stream: Arc<CudaStream>,
}

// SAFETY: the library lets any thread use a handle, one at a time, in the handle's context.
unsafe impl Send for Blas {}

impl Blas {
    /// `None` where the library does not start.
    pub(crate) fn new(stream: &Arc<CudaStream>) -> Option<Self> {
        stream.context().bind_to_thread().ok()?;
        let own = Self {
            handle: blas::create_handle().ok()?,
            stream: stream.clone(),
        };
        // SAFETY: both are valid, and the stream lives as long as the handle.
        unsafe { blas::set_stream(own.handle, stream.cu_stream().cast()) }.ok()?;
        Some(own)
    }
}

impl Drop for Blas {
    fn drop(&mut self) {
        bind_to_drop(self.stream.context());
        // A library that does not take it back has lost its device, which every other call says.
        // SAFETY: the handle is valid, and this is its last use.
        let _ = unsafe { blas::destroy_handle(self.handle) };
    }
}

/// c ← a op(A) op(B) + beta c in the column-major order of cuBLAS, `addresses` being those of
/// (A, B, c).
pub(crate) fn multiply<T: ColumnMajor>(
    blas: &Blas,
    call: &Call,
    a: T,
    beta: T,
    addresses: [u64; 3],
) -> Result<(), CudaError> {
    let [left, right, out] = addresses;
    // SAFETY: the handle lives as long as `blas`; extents, leading dimensions and addresses are
    // those of a product that was checked against its operands (see `product`), and the two numbers
    // are read before the call returns.
    unsafe {
        T::gemm(
            blas,
            call,
            &raw const a,
            &raw const beta,
            (left as *const T, right as *const T, out as *mut T),
        )
    }
    .map_err(|status| match blas.stream.synchronize() {
        // The library has words of its own for a device that is lost.
        Err(lost) => CudaError::of(lost, "multiplying matrices"),
        Ok(()) => CudaError::Products {
            status: status.to_string(),
        },
    })
}

/// What cuBLAS can multiply.
pub trait ColumnMajor: Copy {
    /// The call for this type.
    ///
    /// # Safety
    /// The addresses are good for a product of this extent.
    unsafe fn gemm(
        blas: &Blas,
        call: &Call,
        a: *const Self,
        beta: *const Self,
        addresses: (*const Self, *const Self, *mut Self),
    ) -> Result<(), CublasError>;
}

macro_rules! column_major {
    ($type:ty, $gemm:path) => {
        impl ColumnMajor for $type {
            unsafe fn gemm(
                blas: &Blas,
                call: &Call,
                a: *const Self,
                beta: *const Self,
                (left, right, out): (*const Self, *const Self, *mut Self),
            ) -> Result<(), CublasError> {
                let [left_op, right_op] = call.transposed.map(|transposed| match transposed {
                    true => cublasOperation_t::CUBLAS_OP_T,
                    false => cublasOperation_t::CUBLAS_OP_N,
                });
                let ([m, n, k], [lda, ldb, ldc]) = (call.extents, call.leading);
                // SAFETY: the caller's part.
                unsafe {
                    $gemm(
                        blas.handle,
                        left_op,
                        right_op,
                        m,
                        n,
                        k,
                        a,
                        left,
                        lda,
                        right,
                        ldb,
                        beta,
                        out,
                        ldc,
                    )
                }
            }
        }
    };
}

column_major!(f32, blas::sgemm);
column_major!(f64, blas::dgemm);
