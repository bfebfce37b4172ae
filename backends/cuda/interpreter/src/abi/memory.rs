//! Device memory, page-locked host memory, copies.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ffi::{c_int, c_uchar, c_uint, c_void};

use super::{call, give};
use crate::driver::code::Code;
use crate::driver::{Driver, Failure, failure};

/// # Safety
/// `address` is null or valid for a write.
unsafe fn allocate(
    driver: &mut Driver,
    current: usize,
    address: *mut u64,
    bytes: usize,
) -> Result<(), Failure> {
    let place = driver.machine(current)?.allocate(bytes)?;
    // SAFETY: the contract of this function.
    unsafe { give(address, place) }
}

/// # Safety
/// `address` is null or valid for a write.
#[unsafe(export_name = "cuMemAlloc_v2")]
unsafe extern "C" fn alloc(address: *mut u64, bytes: usize) -> c_int {
    // SAFETY: the contract of this function.
    call(|driver, current| unsafe { allocate(driver, current, address, bytes) })
}

/// # Safety
/// `address` is null or valid for a write.
#[unsafe(export_name = "cuMemAllocAsync")]
unsafe extern "C" fn alloc_async(address: *mut u64, bytes: usize, stream: usize) -> c_int {
    call(|driver, current| {
        driver.stream(current, stream)?;
        // SAFETY: the contract of this function.
        unsafe { allocate(driver, current, address, bytes) }
    })
}

#[unsafe(export_name = "cuMemFree_v2")]
extern "C" fn free(address: u64) -> c_int {
    call(|driver, current| Ok(driver.machine(current)?.free(address)?))
}

#[unsafe(export_name = "cuMemFreeAsync")]
extern "C" fn free_async(address: u64, stream: usize) -> c_int {
    call(|driver, current| {
        driver.stream(current, stream)?;
        Ok(driver.machine(current)?.free(address)?)
    })
}

/// # Safety
/// Both pointers are null or valid for a write.
#[unsafe(export_name = "cuMemGetInfo_v2")]
unsafe extern "C" fn info(free: *mut usize, total: *mut usize) -> c_int {
    call(|driver, current| {
        let (left, all) = driver.machine(current)?.memory();
        // SAFETY: the contract of this function.
        unsafe {
            give(free, left)?;
            give(total, all)
        }
    })
}

fn set(
    driver: &mut Driver,
    current: usize,
    address: u64,
    pattern: &[u8],
    count: usize,
) -> Result<(), Failure> {
    let machine = driver.machine(current)?;
    if let [byte] = *pattern {
        return Ok(machine.fill(address, byte, count)?);
    }
    if !address.is_multiple_of(pattern.len() as u64) {
        return failure(
            Code::InvalidValue,
            "a fill at an address that its pattern does not divide",
        );
    }
    Ok(machine.write(address, &pattern.repeat(count))?)
}

macro_rules! fill {
    ($name:ident, $export:literal, $async_name:ident, $async_export:literal, $t:ty) => {
        #[unsafe(export_name = $export)]
        extern "C" fn $name(address: u64, value: $t, count: usize) -> c_int {
            call(|driver, current| set(driver, current, address, &value.to_ne_bytes(), count))
        }

        #[unsafe(export_name = $async_export)]
        extern "C" fn $async_name(address: u64, value: $t, count: usize, stream: usize) -> c_int {
            call(|driver, current| {
                driver.stream(current, stream)?;
                set(driver, current, address, &value.to_ne_bytes(), count)
            })
        }
    };
}

fill!(
    fill_8,
    "cuMemsetD8_v2",
    fill_8_async,
    "cuMemsetD8Async",
    c_uchar
);
fill!(
    fill_32,
    "cuMemsetD32_v2",
    fill_32_async,
    "cuMemsetD32Async",
    c_uint
);

/// # Safety
/// `from` is null or valid for reads of `count` bytes.
unsafe fn upload(
    driver: &mut Driver,
    current: usize,
    to: u64,
    from: *const c_void,
    count: usize,
) -> Result<(), Failure> {
    let machine = driver.machine(current)?;
    if count == 0 {
        return Ok(());
    }
    if from.is_null() {
        return failure(Code::InvalidValue, "a copy from a null pointer");
    }
    // SAFETY: not null, and then valid for the reads, as the caller promises.
    let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), count) };
    Ok(machine.write(to, bytes)?)
}

/// # Safety
/// `to` is null or valid for writes of `count` bytes.
unsafe fn download(
    driver: &mut Driver,
    current: usize,
    to: *mut c_void,
    from: u64,
    count: usize,
) -> Result<(), Failure> {
    let machine = driver.machine(current)?;
    if count == 0 {
        return Ok(());
    }
    if to.is_null() {
        return failure(Code::InvalidValue, "a copy to a null pointer");
    }
    let bytes = machine.read(from, count)?;
    // SAFETY: `bytes` is ours and of `count` bytes, `to` is the caller's and valid for as many.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to.cast::<u8>(), count) };
    Ok(())
}

fn copy(
    driver: &mut Driver,
    current: usize,
    to: u64,
    from: u64,
    count: usize,
) -> Result<(), Failure> {
    let machine = driver.machine(current)?;
    if count == 0 {
        Ok(())
    } else {
        Ok(machine.copy(to, from, count)?)
    }
}

/// # Safety
/// `from` is null or valid for reads of `count` bytes.
#[unsafe(export_name = "cuMemcpyHtoD_v2")]
unsafe extern "C" fn host_to_device(to: u64, from: *const c_void, count: usize) -> c_int {
    // SAFETY: the contract of this function.
    call(|driver, current| unsafe { upload(driver, current, to, from, count) })
}

/// # Safety
/// `from` is null or valid for reads of `count` bytes.
#[unsafe(export_name = "cuMemcpyHtoDAsync_v2")]
unsafe extern "C" fn host_to_device_async(
    to: u64,
    from: *const c_void,
    count: usize,
    stream: usize,
) -> c_int {
    call(|driver, current| {
        driver.stream(current, stream)?;
        driver.note_copy(count)?;
        // SAFETY: the contract of this function.
        unsafe { upload(driver, current, to, from, count) }
    })
}

/// # Safety
/// `to` is null or valid for writes of `count` bytes.
#[unsafe(export_name = "cuMemcpyDtoH_v2")]
unsafe extern "C" fn device_to_host(to: *mut c_void, from: u64, count: usize) -> c_int {
    call(|driver, current| {
        driver.finish(current)?;
        // SAFETY: the contract of this function.
        unsafe { download(driver, current, to, from, count) }
    })
}

/// # Safety
/// `to` is null or valid for writes of `count` bytes.
#[unsafe(export_name = "cuMemcpyDtoHAsync_v2")]
unsafe extern "C" fn device_to_host_async(
    to: *mut c_void,
    from: u64,
    count: usize,
    stream: usize,
) -> c_int {
    call(|driver, current| {
        driver.stream(current, stream)?;
        driver.note_copy(count)?;
        // SAFETY: the contract of this function.
        unsafe { download(driver, current, to, from, count) }
    })
}

#[unsafe(export_name = "cuMemcpyDtoD_v2")]
extern "C" fn device_to_device(to: u64, from: u64, count: usize) -> c_int {
    call(|driver, current| copy(driver, current, to, from, count))
}

#[unsafe(export_name = "cuMemcpyDtoDAsync_v2")]
extern "C" fn device_to_device_async(to: u64, from: u64, count: usize, stream: usize) -> c_int {
    call(|driver, current| {
        driver.stream(current, stream)?;
        copy(driver, current, to, from, count)
    })
}

/// There is one context, so that a copy to a peer is a copy.
#[unsafe(export_name = "cuMemcpyPeerAsync")]
extern "C" fn peer(
    to: u64,
    _to_context: usize,
    from: u64,
    _from_context: usize,
    count: usize,
    stream: usize,
) -> c_int {
    device_to_device_async(to, from, count, stream)
}

/// The alignment of page-locked memory.
const PAGE: usize = 4096;

/// # Safety
/// `place` is null or valid for a write.
#[unsafe(export_name = "cuMemHostAlloc")]
unsafe extern "C" fn host_alloc(place: *mut *mut c_void, bytes: usize, _flags: c_uint) -> c_int {
    call(|driver, current| {
        driver.machine(current)?;
        let layout = match Layout::from_size_align(bytes, PAGE) {
            Ok(layout) if bytes > 0 => layout,
            _ => return failure(Code::InvalidValue, format!("host memory of {bytes} bytes")),
        };
        // SAFETY: the size is not zero.
        let memory = unsafe { alloc_zeroed(layout) };
        if memory.is_null() {
            return failure(Code::OutOfMemory, "the host has no memory left");
        }
        driver.pin(current, memory.addr(), bytes)?;
        // SAFETY: the contract of this function.
        unsafe { give(place, memory.cast()) }
    })
}

/// # Safety
/// `place` came from `cuMemHostAlloc` and is not used any more.
#[unsafe(export_name = "cuMemFreeHost")]
unsafe extern "C" fn host_free(place: *mut c_void) -> c_int {
    call(|driver, current| {
        let bytes = driver.unpin(current, place.addr())?;
        if let Ok(layout) = Layout::from_size_align(bytes, PAGE) {
            // SAFETY: the address was noted when this layout was allocated, and forgotten above.
            unsafe { dealloc(place.cast(), layout) };
        }
        Ok(())
    })
}
