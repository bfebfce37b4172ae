//! Streams and events. Work is done when it is submitted, which is one of the orders that a device
//! may choose.

use std::ffi::{c_int, c_uint, c_void};

use super::{call, give};

/// # Safety
/// `stream` is null or valid for a write.
#[unsafe(export_name = "cuStreamCreate")]
unsafe extern "C" fn create(stream: *mut usize, _flags: c_uint) -> c_int {
    call(|driver, current| {
        let handle = driver.new_stream(current)?;
        // SAFETY: the contract of this function.
        unsafe { give(stream, handle) }
    })
}

/// # Safety
/// `stream` is null or valid for a write.
#[unsafe(export_name = "cuStreamCreateWithPriority")]
unsafe extern "C" fn create_with(stream: *mut usize, flags: c_uint, _priority: c_int) -> c_int {
    // SAFETY: the contract of this function.
    unsafe { create(stream, flags) }
}

#[unsafe(export_name = "cuStreamSynchronize")]
extern "C" fn synchronize(stream: usize) -> c_int {
    call(|driver, current| {
        driver.stream(current, stream)?;
        driver.finish(current)
    })
}

#[unsafe(export_name = "cuStreamQuery")]
extern "C" fn query(stream: usize) -> c_int {
    call(|driver, current| driver.stream(current, stream))
}

#[unsafe(export_name = "cuStreamDestroy_v2")]
extern "C" fn destroy(stream: usize) -> c_int {
    call(|driver, current| driver.end_stream(current, stream))
}

#[unsafe(export_name = "cuStreamWaitEvent")]
extern "C" fn wait(stream: usize, event: usize, _flags: c_uint) -> c_int {
    call(|driver, current| {
        driver.stream(current, stream)?;
        driver.know_event(current, event)
    })
}

/// # Safety
/// `function` may be called with `argument`.
#[unsafe(export_name = "cuLaunchHostFunc")]
unsafe extern "C" fn host_function(
    stream: usize,
    function: Option<unsafe extern "C" fn(*mut c_void)>,
    argument: *mut c_void,
) -> c_int {
    let known = call(|driver, current| driver.stream(current, stream));
    if let (0, Some(function)) = (known, function) {
        // SAFETY: the contract of this function.
        unsafe { function(argument) };
    }
    known
}

/// # Safety
/// `event` is null or valid for a write.
#[unsafe(export_name = "cuEventCreate")]
unsafe extern "C" fn event(event: *mut usize, flags: c_uint) -> c_int {
    call(|driver, current| {
        let handle = driver.new_event(current, flags)?;
        // SAFETY: the contract of this function.
        unsafe { give(event, handle) }
    })
}

#[unsafe(export_name = "cuEventRecord")]
extern "C" fn record(event: usize, stream: usize) -> c_int {
    call(|driver, current| {
        driver.stream(current, stream)?;
        driver.record(current, event)
    })
}

#[unsafe(export_name = "cuEventQuery")]
extern "C" fn query_event(event: usize) -> c_int {
    call(|driver, current| driver.know_event(current, event))
}

#[unsafe(export_name = "cuEventSynchronize")]
extern "C" fn await_event(event: usize) -> c_int {
    call(|driver, current| driver.know_event(current, event))
}

/// # Safety
/// `milliseconds` is null or valid for a write.
#[unsafe(export_name = "cuEventElapsedTime")]
unsafe extern "C" fn elapsed(milliseconds: *mut f32, start: usize, end: usize) -> c_int {
    call(|driver, current| {
        let time = driver.elapsed(current, start, end)?;
        // SAFETY: the contract of this function.
        unsafe { give(milliseconds, time) }
    })
}

/// # Safety
/// `milliseconds` is null or valid for a write.
#[unsafe(export_name = "cuEventElapsedTime_v2")]
unsafe extern "C" fn elapsed_2(milliseconds: *mut f32, start: usize, end: usize) -> c_int {
    // SAFETY: the contract of this function.
    unsafe { elapsed(milliseconds, start, end) }
}

#[unsafe(export_name = "cuEventDestroy_v2")]
extern "C" fn end_event(event: usize) -> c_int {
    call(|driver, current| driver.end_event(current, event))
}
