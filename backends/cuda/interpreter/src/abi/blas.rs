//! As much of cuBLAS as matrix products need, for programs that find this library under its name:
//! plain loops over column-major matrices, and its rules about handles.

use std::ffi::{c_int, c_uint};

use super::{call, give};
use crate::driver::code::Code;
use crate::driver::{Driver, Failure, failure};

/// What cuBLAS answers where the driver fails.
const EXECUTION_FAILED: c_int = 13;

fn status(code: c_int) -> c_int {
    match code {
        0 => 0,
        _ => EXECUTION_FAILED,
    }
}

/// A handle is that of the context that it was made in, and good for nothing in another one.
fn belongs(driver: &mut Driver, current: usize, handle: usize) -> Result<(), Failure> {
    driver.machine(current)?;
    match handle == current {
        true => Ok(()),
        false => failure(Code::InvalidHandle, "a handle of another context"),
    }
}

/// # Safety
/// `handle` is null or valid for a write.
#[unsafe(export_name = "cublasCreate_v2")]
unsafe extern "C" fn create(handle: *mut usize) -> c_int {
    status(call(|driver, current| {
        driver.machine(current)?;
        // SAFETY: the contract of this function.
        unsafe { give(handle, current) }
    }))
}

#[unsafe(export_name = "cublasDestroy_v2")]
extern "C" fn destroy(handle: usize) -> c_int {
    status(call(|driver, current| belongs(driver, current, handle)))
}

#[unsafe(export_name = "cublasSetStream_v2")]
extern "C" fn set_stream(handle: usize, stream: usize) -> c_int {
    status(call(|driver, current| {
        belongs(driver, current, handle)?;
        driver.stream(current, stream)
    }))
}

/// The elements from the first to the last of a matrix, whose columns are `leading` apart.
fn elements([rows, columns]: [usize; 2], leading: c_int) -> Result<usize, Failure> {
    match usize::try_from(leading) {
        Ok(leading) if leading >= rows.max(1) => Ok(columns.saturating_sub(1) * leading + rows),
        _ => failure(
            Code::InvalidValue,
            format!("a leading dimension of {leading}"),
        ),
    }
}

macro_rules! gemm {
    ($name:ident, $export:literal, $t:ty) => {
        /// # Safety
        /// `a` and `beta` are valid for a read.
        #[unsafe(export_name = $export)]
        unsafe extern "C" fn $name(
            handle: usize,
            left_op: c_uint,
            right_op: c_uint,
            m: c_int,
            n: c_int,
            k: c_int,
            a: *const $t,
            left: u64,
            left_leading: c_int,
            right: u64,
            right_leading: c_int,
            beta: *const $t,
            out: u64,
            out_leading: c_int,
        ) -> c_int {
            const SIZE: usize = size_of::<$t>();
            status(call(|driver, current| {
                belongs(driver, current, handle)?;
                let machine = driver.machine(current)?;
                // SAFETY: the contract of this function.
                let (a, beta) = unsafe { (*a, *beta) };
                let [m, n, k] = [m, n, k].map(|extent| usize::try_from(extent).unwrap_or(0));
                let turned = |op, [rows, columns]: [usize; 2]| match op {
                    0 => [rows, columns],
                    _ => [columns, rows],
                };
                let mut read = |at, extents, leading| -> Result<Vec<$t>, Failure> {
                    let bytes = machine.read(at, SIZE * elements(extents, leading)?)?;
                    let (numbers, _) = bytes.as_chunks::<SIZE>();
                    Ok(numbers.iter().map(|&x| <$t>::from_ne_bytes(x)).collect())
                };
                let x = read(left, turned(left_op, [m, k]), left_leading)?;
                let y = read(right, turned(right_op, [k, n]), right_leading)?;
                let steps = |op, leading: c_int| match op {
                    0 => [1, leading as usize],
                    _ => [leading as usize, 1],
                };
                let [[xi, xp], [yp, yj]] =
                    [steps(left_op, left_leading), steps(right_op, right_leading)];
                elements([m, n], out_leading)?;
                for j in 0..n {
                    for i in 0..m {
                        let sum: $t = (0..k)
                            .map(|p| x[i * xi + p * xp] * y[p * yp + j * yj])
                            .sum();
                        let at = out + (SIZE * (i + j * out_leading as usize)) as u64;
                        let mut value = a * sum;
                        // As the library says: without it the output may hold anything.
                        if beta != 0.0 {
                            let bytes = machine.read(at, SIZE)?;
                            let (old, _) = bytes.as_chunks::<SIZE>();
                            value += beta * <$t>::from_ne_bytes(old[0]);
                        }
                        machine.write(at, &value.to_ne_bytes())?;
                    }
                }
                Ok(())
            }))
        }
    };
}

gemm!(sgemm, "cublasSgemm_v2", f32);
gemm!(dgemm, "cublasDgemm_v2", f64);
