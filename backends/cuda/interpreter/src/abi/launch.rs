//! Launches.

use std::ffi::{c_int, c_uint, c_void};

use super::call;
use crate::driver::code::Code;
use crate::driver::{Failure, failure};
use crate::machine::Geometry;

/// # Safety
/// `arguments` is null or an array with an entry for each parameter of the kernel, each pointing to
/// a value of its size.
unsafe fn arguments<'a>(
    arguments: *const *const c_void,
    sizes: impl ExactSizeIterator<Item = usize>,
) -> Result<Vec<&'a [u8]>, Failure> {
    if arguments.is_null() && sizes.len() > 0 {
        return failure(
            Code::InvalidValue,
            "a kernel with parameters needs arguments",
        );
    }
    let mut found = Vec::with_capacity(sizes.len());
    for (index, bytes) in sizes.enumerate() {
        // SAFETY: the array has an entry for each parameter.
        let argument = unsafe { *arguments.add(index) };
        // Beyond a list that is too short lies anything: most of it is no address of a value of
        // that size.
        let address = argument.addr();
        let aligned = !matches!(bytes, 2 | 4 | 8) || address.is_multiple_of(bytes);
        if address < 4096 || address >> 47 != 0 || !aligned {
            return failure(
                Code::InvalidValue,
                format!(
                    "argument {index}, of {bytes} bytes, cannot lie at {address:#x}: are there \
                     too few arguments, or is one of another type?"
                ),
            );
        }
        // SAFETY: it points to a value of that size.
        found.push(unsafe { std::slice::from_raw_parts(argument.cast::<u8>(), bytes) });
    }
    Ok(found)
}

/// # Safety
/// `parameters` is null or an array with an entry for each parameter of the kernel, each pointing
/// to a value of its size.
#[unsafe(export_name = "cuLaunchKernel")]
unsafe extern "C" fn launch(
    function: usize,
    grid_x: c_uint,
    grid_y: c_uint,
    grid_z: c_uint,
    block_x: c_uint,
    block_y: c_uint,
    block_z: c_uint,
    shared_bytes: c_uint,
    stream: usize,
    parameters: *const *const c_void,
    extra: *const *const c_void,
) -> c_int {
    call(|driver, current| {
        driver.stream(current, stream)?;
        if !extra.is_null() {
            return failure(Code::NotSupported, "arguments in a buffer (`extra`)");
        }
        let loaded = driver.loaded(current, function)?;
        // SAFETY: the contract of this function.
        let arguments =
            unsafe { arguments(parameters, loaded.parameters()) }.map_err(|failed| Failure {
                message: format!("{}: {}", loaded.name(), failed.message),
                ..failed
            })?;
        let geometry = Geometry {
            grid: [grid_x, grid_y, grid_z],
            block: [block_x, block_y, block_z],
            shared_bytes,
        };
        driver.launch(current, function, geometry, &arguments)
    })
}

/// What `cuLaunchKernelEx` is told of the launch.
#[repr(C)]
struct Configuration {
    grid: [c_uint; 3],
    block: [c_uint; 3],
    shared_bytes: c_uint,
    stream: usize,
    attributes: *const c_void,
    attribute_count: c_uint,
}

/// # Safety
/// `configuration` is null or valid for a read; the rest as for `cuLaunchKernel`.
#[unsafe(export_name = "cuLaunchKernelEx")]
unsafe extern "C" fn launch_with(
    configuration: *const Configuration,
    function: usize,
    parameters: *const *const c_void,
    extra: *const *const c_void,
) -> c_int {
    // SAFETY: the contract of this function.
    let Some(told) = (unsafe { configuration.as_ref() }) else {
        return call(|_, _| failure(Code::InvalidValue, "no configuration"));
    };
    if told.attribute_count != 0 {
        return call(|_, _| failure(Code::NotSupported, "attributes of a launch"));
    }
    let [[gx, gy, gz], [bx, by, bz]] = [told.grid, told.block];
    // SAFETY: the contract of this function.
    unsafe {
        launch(
            function,
            gx,
            gy,
            gz,
            bx,
            by,
            bz,
            told.shared_bytes,
            told.stream,
            parameters,
            extra,
        )
    }
}
