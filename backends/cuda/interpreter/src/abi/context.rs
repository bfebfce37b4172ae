//! Initialisation, devices, contexts, errors.

use std::ffi::{c_char, c_int, c_uint};

use super::{CURRENT, call, give};
use crate::driver::code::{Code, words};
use crate::driver::{Driver, attributes, failure};

#[unsafe(export_name = "cuInit")]
extern "C" fn init(flags: c_uint) -> c_int {
    call(|driver, _| match flags {
        0 => driver.initialise(),
        _ => failure(Code::InvalidValue, "cuInit knows no flags"),
    })
}

/// # Safety
/// `version` is null or valid for a write.
#[unsafe(export_name = "cuDriverGetVersion")]
unsafe extern "C" fn version(version: *mut c_int) -> c_int {
    // SAFETY: the contract of this function.
    call(|_, _| unsafe { give(version, Driver::version()?) })
}

/// # Safety
/// `count` is null or valid for a write.
#[unsafe(export_name = "cuDeviceGetCount")]
unsafe extern "C" fn device_count(count: *mut c_int) -> c_int {
    call(|driver, _| {
        driver.device(0)?;
        // SAFETY: the contract of this function.
        unsafe { give(count, 1) }
    })
}

/// # Safety
/// `device` is null or valid for a write.
#[unsafe(export_name = "cuDeviceGet")]
unsafe extern "C" fn device(device: *mut c_int, ordinal: c_int) -> c_int {
    call(|driver, _| {
        driver.device(ordinal)?;
        // SAFETY: the contract of this function.
        unsafe { give(device, ordinal) }
    })
}

/// # Safety
/// `name` is null or valid for writes of `length` bytes.
#[unsafe(export_name = "cuDeviceGetName")]
unsafe extern "C" fn device_name(name: *mut c_char, length: c_int, device: c_int) -> c_int {
    call(|driver, _| {
        driver.device(device)?;
        let room = usize::try_from(length).unwrap_or(0).saturating_sub(1);
        let bytes = attributes::NAME.bytes().take(room).chain([0]);
        if length < 1 {
            return failure(Code::InvalidValue, "no room for a name");
        }
        for (index, byte) in bytes.enumerate() {
            // SAFETY: at most `length` bytes are written, by the contract of this function; a
            // null pointer fails at the first.
            unsafe { give(name.wrapping_add(index), byte.cast_signed()) }?;
        }
        Ok(())
    })
}

/// # Safety
/// `uuid` is null or valid for a write of 16 bytes.
#[unsafe(export_name = "cuDeviceGetUuid_v2")]
unsafe extern "C" fn device_uuid(uuid: *mut [u8; 16], device: c_int) -> c_int {
    call(|driver, _| {
        driver.device(device)?;
        // SAFETY: the contract of this function.
        unsafe { give(uuid, attributes::UUID) }
    })
}

/// # Safety
/// `uuid` is null or valid for a write of 16 bytes.
#[unsafe(export_name = "cuDeviceGetUuid")]
unsafe extern "C" fn device_uuid_1(uuid: *mut [u8; 16], device: c_int) -> c_int {
    // SAFETY: the contract of this function.
    unsafe { device_uuid(uuid, device) }
}

/// # Safety
/// `bytes` is null or valid for a write.
#[unsafe(export_name = "cuDeviceTotalMem_v2")]
unsafe extern "C" fn total_memory(bytes: *mut usize, device: c_int) -> c_int {
    call(|driver, _| {
        driver.device(device)?;
        // SAFETY: the contract of this function.
        unsafe { give(bytes, driver.total_memory()?) }
    })
}

/// # Safety
/// `value` is null or valid for a write.
#[unsafe(export_name = "cuDeviceGetAttribute")]
unsafe extern "C" fn device_attribute(
    value: *mut c_int,
    attribute: c_uint,
    device: c_int,
) -> c_int {
    call(|driver, _| {
        driver.device(device)?;
        // SAFETY: the contract of this function.
        unsafe { give(value, attributes::of_device(attribute)) }
    })
}

/// # Safety
/// `context` is null or valid for a write.
#[unsafe(export_name = "cuDevicePrimaryCtxRetain")]
unsafe extern "C" fn retain(context: *mut usize, device: c_int) -> c_int {
    call(|driver, _| {
        driver.device(device)?;
        let handle = driver.retain()?;
        // SAFETY: the contract of this function.
        unsafe { give(context, handle) }
    })
}

#[unsafe(export_name = "cuDevicePrimaryCtxRelease_v2")]
extern "C" fn release(device: c_int) -> c_int {
    call(|driver, _| {
        driver.device(device)?;
        driver.release()
    })
}

/// # Safety
/// `context` is null or valid for a write.
#[unsafe(export_name = "cuCtxGetCurrent")]
unsafe extern "C" fn current(context: *mut usize) -> c_int {
    // SAFETY: the contract of this function.
    call(|_, current| unsafe { give(context, current) })
}

#[unsafe(export_name = "cuCtxSetCurrent")]
extern "C" fn set_current(context: usize) -> c_int {
    call(|_, _| {
        CURRENT.set(context);
        Ok(())
    })
}

#[unsafe(export_name = "cuCtxSynchronize")]
extern "C" fn synchronize() -> c_int {
    call(Driver::finish)
}

#[unsafe(export_name = "cuCtxSetFlags")]
extern "C" fn set_flags(_flags: c_uint) -> c_int {
    call(|driver, current| driver.machine(current).map(|_| ()))
}

/// # Safety
/// Both pointers are null or valid for a write.
#[unsafe(export_name = "cuCtxGetStreamPriorityRange")]
unsafe extern "C" fn priorities(least: *mut c_int, greatest: *mut c_int) -> c_int {
    call(|driver, current| {
        driver.machine(current)?;
        // SAFETY: the contract of this function.
        unsafe {
            give(least, 0)?;
            give(greatest, 0)
        }
    })
}

/// # Safety
/// `text` is null or valid for a write.
#[unsafe(export_name = "cuGetErrorName")]
unsafe extern "C" fn error_name(code: c_int, text: *mut *const c_char) -> c_int {
    call(|_, _| match words(code) {
        // SAFETY: the contract of this function.
        Some((name, _)) => unsafe { give(text, name.as_ptr()) },
        None => failure(Code::InvalidValue, format!("no error has the code {code}")),
    })
}

/// # Safety
/// `text` is null or valid for a write.
#[unsafe(export_name = "cuGetErrorString")]
unsafe extern "C" fn error_string(code: c_int, text: *mut *const c_char) -> c_int {
    call(|_, _| match words(code) {
        // SAFETY: the contract of this function.
        Some((_, string)) => unsafe { give(text, string.as_ptr()) },
        None => failure(Code::InvalidValue, format!("no error has the code {code}")),
    })
}
