//! Modules, their kernels and variables.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::path::Path;

use super::{call, give, text};
use crate::driver::code::Code;
use crate::driver::{Driver, Failure, attributes, failure};

/// Options of a compilation: where the errors go, and how much room there is.
const ERROR_LOG: c_uint = 5;
const ERROR_LOG_BYTES: c_uint = 6;

/// # Safety
/// `module` is null or valid for a write; `image` is null or points to a text with its zero byte.
unsafe fn load(
    driver: &mut Driver,
    current: usize,
    module: *mut usize,
    image: *const c_void,
) -> Result<(), Failure> {
    // SAFETY: whatever the image is, it has four bytes; a text has its zero. Null is caught.
    let source = match unsafe { text(image.cast()) } {
        Ok(source) => source,
        Err(_) => {
            return failure(
                Code::InvalidImage,
                "the image is no text: only PTX is known",
            );
        }
    };
    let handle = driver.load(current, source)?;
    // SAFETY: the contract of this function.
    unsafe { give(module, handle) }
}

/// # Safety
/// `module` is null or valid for a write; `image` is null or points to a text with its zero byte.
#[unsafe(export_name = "cuModuleLoadData")]
unsafe extern "C" fn load_data(module: *mut usize, image: *const c_void) -> c_int {
    // SAFETY: the contract of this function.
    call(|driver, current| unsafe { load(driver, current, module, image) })
}

/// # Safety
/// As `cuModuleLoadData`; besides, `keys` and `values` are valid for `count` reads, and the error
/// log, if there is one, for as many bytes as its size says.
#[unsafe(export_name = "cuModuleLoadDataEx")]
unsafe extern "C" fn load_data_with(
    module: *mut usize,
    image: *const c_void,
    count: c_uint,
    keys: *const c_uint,
    values: *const *mut c_void,
) -> c_int {
    call(|driver, current| {
        // SAFETY: the contract of this function.
        let outcome = unsafe { load(driver, current, module, image) };
        let Err(failed) = &outcome else {
            return outcome;
        };
        if keys.is_null() || values.is_null() {
            return outcome;
        }
        let option = |wanted: c_uint| {
            (0..count as usize)
                // SAFETY: both arrays have `count` entries.
                .find(|&index| unsafe { *keys.add(index) } == wanted)
                // SAFETY: as above.
                .map(|index| unsafe { *values.add(index) })
        };
        let (Some(log), Some(room)) = (option(ERROR_LOG), option(ERROR_LOG_BYTES)) else {
            return outcome;
        };
        let room = room.addr().saturating_sub(1);
        let bytes = failed.message.bytes().take(room).chain([0]);
        for (index, byte) in bytes.enumerate() {
            // SAFETY: at most as many bytes as the caller says; a null pointer fails first.
            unsafe { give(log.cast::<u8>().wrapping_add(index), byte) }?;
        }
        outcome
    })
}

/// # Safety
/// `module` is null or valid for a write; `path` is null or points to a text with its zero byte.
#[unsafe(export_name = "cuModuleLoad")]
unsafe extern "C" fn load_file(module: *mut usize, path: *const c_char) -> c_int {
    call(|driver, current| {
        // SAFETY: the contract of this function.
        let path = Path::new(unsafe { text(path) }?);
        let source = std::fs::read_to_string(path)
            .or_else(|error| failure(Code::FileNotFound, format!("{}: {error}", path.display())))?;
        let handle = driver.load(current, &source)?;
        // SAFETY: the contract of this function.
        unsafe { give(module, handle) }
    })
}

#[unsafe(export_name = "cuModuleUnload")]
extern "C" fn unload(module: usize) -> c_int {
    call(|driver, current| driver.unload(current, module))
}

/// # Safety
/// `function` is null or valid for a write; `name` is null or points to a text with its zero byte.
#[unsafe(export_name = "cuModuleGetFunction")]
unsafe extern "C" fn function(function: *mut usize, module: usize, name: *const c_char) -> c_int {
    call(|driver, current| {
        // SAFETY: the contract of this function.
        let name = unsafe { text(name) }?;
        let handle = driver.function(current, module, name)?;
        // SAFETY: the contract of this function.
        unsafe { give(function, handle) }
    })
}

/// # Safety
/// `address` and `bytes` are null or valid for a write; `name` is null or a text with its zero.
#[unsafe(export_name = "cuModuleGetGlobal_v2")]
unsafe extern "C" fn variable(
    address: *mut u64,
    bytes: *mut usize,
    module: usize,
    name: *const c_char,
) -> c_int {
    call(|driver, current| {
        // SAFETY: the contract of this function.
        let name = unsafe { text(name) }?;
        let (place, size) = driver.variable(current, module, name)?;
        // Either may be null, but not both.
        if address.is_null() {
            // SAFETY: the contract of this function.
            return unsafe { give(bytes, size) };
        }
        if !bytes.is_null() {
            // SAFETY: the contract of this function.
            unsafe { give(bytes, size) }?;
        }
        // SAFETY: the contract of this function.
        unsafe { give(address, place) }
    })
}

/// # Safety
/// `value` is null or valid for a write.
#[unsafe(export_name = "cuFuncGetAttribute")]
unsafe extern "C" fn attribute(value: *mut c_int, attribute: c_uint, function: usize) -> c_int {
    call(|driver, current| {
        let function = driver.loaded(current, function)?;
        match attributes::of_function(&function, attribute) {
            // SAFETY: the contract of this function.
            Some(found) => unsafe { give(value, found) },
            None => failure(Code::InvalidValue, format!("no attribute {attribute}")),
        }
    })
}

/// The one attribute that says something, dynamic shared memory, cannot be raised here.
#[unsafe(export_name = "cuFuncSetAttribute")]
extern "C" fn set_attribute(function: usize, attribute: c_uint, value: c_int) -> c_int {
    call(|driver, current| {
        let function = driver.loaded(current, function)?;
        let fine = match attribute {
            8 => attributes::of_function(&function, 8)
                .is_some_and(|most| (0..=most).contains(&value)),
            9 => (-1..=100).contains(&value),
            _ => false,
        };
        if fine {
            return Ok(());
        }
        failure(
            Code::InvalidValue,
            format!("attribute {attribute} cannot be {value}"),
        )
    })
}

#[unsafe(export_name = "cuFuncSetCacheConfig")]
extern "C" fn set_cache(function: usize, _config: c_uint) -> c_int {
    call(|driver, current| driver.loaded(current, function).map(|_| ()))
}

/// # Safety
/// `blocks` is null or valid for a write.
#[unsafe(export_name = "cuOccupancyMaxActiveBlocksPerMultiprocessor")]
unsafe extern "C" fn resident(
    blocks: *mut c_int,
    function: usize,
    threads: c_int,
    dynamic: usize,
) -> c_int {
    // SAFETY: the contract of this function.
    unsafe { resident_with(blocks, function, threads, dynamic, 0) }
}

/// # Safety
/// `blocks` is null or valid for a write.
#[unsafe(export_name = "cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags")]
unsafe extern "C" fn resident_with(
    blocks: *mut c_int,
    function: usize,
    threads: c_int,
    dynamic: usize,
    _flags: c_uint,
) -> c_int {
    call(|driver, current| {
        let function = driver.loaded(current, function)?;
        match attributes::resident_blocks(&function, threads, dynamic) {
            // SAFETY: the contract of this function.
            Some(count) => unsafe { give(blocks, count) },
            None => failure(Code::InvalidValue, format!("a block of {threads} threads")),
        }
    })
}
