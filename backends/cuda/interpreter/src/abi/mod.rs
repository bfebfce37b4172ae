//! The C surface of the driver: the entry points that cudarc calls, with those of cuBLAS for products.
//!
//! All `unsafe` of the crate is here. The pointers that come in are the caller's promise, as with
//! the driver itself; nothing that is not checked gets further than these modules. A panic does
//! not cross: it becomes `CUDA_ERROR_UNKNOWN`, with its message on stderr.

mod blas;
mod context;
mod launch;
mod memory;
mod module;
mod stream;
mod unsupported;

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use crate::driver::code::Code;
use crate::driver::{Driver, Failure, failure};

static DRIVER: LazyLock<Mutex<Driver>> = LazyLock::new(Mutex::default);

thread_local! {
    /// The handle of the context that is current for this thread.
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

fn driver() -> MutexGuard<'static, Driver> {
    // A panic is reported to the caller; what it left is not used blindly, as every call checks.
    DRIVER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a call: `f` gets the driver and the current context.
fn call(f: impl FnOnce(&mut Driver, usize) -> Result<(), Failure>) -> c_int {
    let current = CURRENT.get();
    let outcome = catch_unwind(AssertUnwindSafe(|| f(&mut driver(), current)));
    let failed = match outcome {
        Ok(Ok(())) => return Code::Success as c_int,
        Ok(Err(failed)) => failed,
        Err(payload) => {
            let text = payload
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| payload.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            Failure {
                code: Code::Unknown,
                message: format!("the interpreter panicked: {text}"),
            }
        }
    };
    let name = crate::driver::code::words(failed.code as i32)
        .map_or("", |(name, _)| name.to_str().unwrap_or_default());
    eprintln!("detfree PTX interpreter: {name}: {}", failed.message);
    failed.code as c_int
}

/// Writes a result through the pointer of a caller.
///
/// # Safety
/// `to` is null, or valid for a write of `T`.
unsafe fn give<T>(to: *mut T, value: T) -> Result<(), Failure> {
    if to.is_null() {
        return failure(Code::InvalidValue, "a null pointer for a result");
    }
    // SAFETY: not null, and then valid for a write, as the caller promises.
    unsafe { to.write(value) };
    Ok(())
}

/// The text behind a pointer of a caller.
///
/// # Safety
/// `text` is null, or points to a string that ends with a zero byte and outlives the call.
unsafe fn text<'a>(text: *const c_char) -> Result<&'a str, Failure> {
    if text.is_null() {
        return failure(Code::InvalidValue, "a null pointer for a text");
    }
    // SAFETY: not null, and then a string with its zero, as the caller promises.
    let bytes = unsafe { CStr::from_ptr(text) };
    bytes
        .to_str()
        .or_else(|_| failure(Code::InvalidValue, "a text that is not UTF-8"))
}
