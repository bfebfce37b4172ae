//! Fills, copies, transfers and the passes that every series needs.

use core::ops::Range;

use cudarc::driver::sys::CUresult;
use cudarc::driver::{DeviceRepr, DriverError, ValidAsZeroBits};
use detfree_core::{Allocate, Backend, Fill, Shape};

use crate::launch::{self, Argument};
use crate::memory::Memory;
use crate::passes::fit;
use crate::scalar::DeviceScalar;
use crate::{Cuda, CudaError, DeviceBatch, DeviceRows};

/// Extents that kernels and cuBLAS count in 32 bits with a sign.
const MOST: usize = i32::MAX as usize;

/// Columns whose signs are those of one counter.
const SIGNS: usize = 128;

const READING: &str = "reading results";
const WRITING: &str = "writing operands";

/// `flush_tiny` is the provided one: a device computes with subnormal numbers at full speed, and a
/// series saves a launch a term.
impl<T: DeviceScalar> Backend for Cuda<T> {
    type Scalar = T;
    type Batch = DeviceBatch<T>;
    type Rows = DeviceRows;
    type Error = CudaError;

    fn shape(&self, x: &DeviceBatch<T>) -> Shape {
        x.shape
    }

    fn row_count(&self, rows: &DeviceRows) -> usize {
        rows.len()
    }

    fn fill(&self, what: Fill, x: &mut DeviceBatch<T>) -> Result<(), CudaError> {
        let Shape { rows, dim } = x.shape;
        let (all, address) = (0..rows, x.argument(0, &self.stream));
        match what {
            Fill::Constant(value) => {
                let value = T::from_f64(value).argument();
                self.pass(&self.kernels.fill_constant, rows * dim, [value, address])
            }
            Fill::Identity => self.fill_units(x, 0, 1),
            Fill::Basis(column) => self.fill_units(x, column, 0),
            Fill::Rademacher {
                key,
                first_row,
                scale,
            } => self.fill_signs(x, key.bits(), first_row, 0, scale),
            Fill::Walsh {
                key,
                first_row,
                index,
                scale,
            } => self.fill_signs(x, key.bits(), first_row, index, scale),
            Fill::Gaussian {
                key,
                first_row,
                scale,
            } => {
                let rest = [
                    Argument::Long(key.bits()),
                    Argument::Long(first_row),
                    Argument::Double(scale),
                    address,
                ];
                self.row_pass(&self.kernels.fill_normals, all, dim, rest)
            }
        }
    }

    fn copy(&self, x: &DeviceBatch<T>, y: &mut DeviceBatch<T>) -> Result<(), CudaError> {
        fit(
            x.shape == y.shape,
            "copy",
            format_args!("x {:?}, y {:?}", x.shape, y.shape),
        )?;
        self.stream
            .memcpy_dtod(&*x.data, &mut *y.data)
            .map_err(|status| CudaError::of(status, "copying"))
    }

    fn axpy(
        &self,
        rows: Range<usize>,
        a: f64,
        x: &DeviceBatch<T>,
        y: &mut DeviceBatch<T>,
    ) -> Result<(), CudaError> {
        fit(
            x.shape.dim == y.shape.dim && x.has(&rows) && y.has(&rows),
            "axpy",
            format_args!("rows {rows:?}, x {:?}, y {:?}", x.shape, y.shape),
        )?;
        let rest = [
            T::from_f64(a).argument(),
            x.argument(rows.start, &self.stream),
            y.argument(rows.start, &self.stream),
        ];
        self.pass(&self.kernels.axpy, rows.len() * x.shape.dim, rest)
    }

    fn dot_rows(
        &self,
        rows: Range<usize>,
        a: f64,
        x: &DeviceBatch<T>,
        y: &DeviceBatch<T>,
        out: &mut DeviceRows,
    ) -> Result<(), CudaError> {
        fit(
            x.shape.dim == y.shape.dim && x.has(&rows) && y.has(&rows) && rows.end <= out.len(),
            "dot_rows",
            format_args!(
                "rows {rows:?}, x {:?}, y {:?}, {} results",
                x.shape,
                y.shape,
                out.len()
            ),
        )?;
        let rest = [
            Argument::Double(a),
            x.argument(rows.start, &self.stream),
            y.argument(rows.start, &self.stream),
            out.argument(rows.start, &self.stream),
        ];
        self.row_pass(&self.kernels.dot_rows, rows, x.shape.dim, rest)
    }

    fn scale_rows(&self, c: &DeviceRows, x: &mut DeviceBatch<T>) -> Result<(), CudaError> {
        fit(
            c.len() == x.shape.rows,
            "scale_rows",
            format_args!("{} factors, x {:?}", c.len(), x.shape),
        )?;
        let rest = [c.argument(0, &self.stream), x.argument(0, &self.stream)];
        let Shape { rows, dim } = x.shape;
        self.row_pass(&self.kernels.scale_rows, 0..rows, dim, rest)
    }

    fn fill_rows(&self, a: f64, out: &mut DeviceRows) -> Result<(), CudaError> {
        let rest = [Argument::Double(a), out.argument(0, &self.stream)];
        self.pass(&self.kernels.fill_rows, out.len(), rest)
    }

    fn upload(&self, host: &[T], x: &mut DeviceBatch<T>) -> Result<(), CudaError> {
        fit(
            host.len() == x.data.len(),
            "upload",
            format_args!("{} numbers, x {:?}", host.len(), x.shape),
        )?;
        launch::upload(&self.stream, host, &mut x.data)
            .map_err(|status| CudaError::of(status, WRITING))
    }

    fn download(&self, x: &DeviceBatch<T>, host: &mut [T]) -> Result<(), CudaError> {
        fit(
            host.len() == x.data.len(),
            "download",
            format_args!("x {:?}, {} numbers", x.shape, host.len()),
        )?;
        launch::download(&self.stream, &x.data, host)
            .map_err(|status| CudaError::of(status, READING))
    }

    fn upload_rows(&self, host: &[f64], out: &mut DeviceRows) -> Result<(), CudaError> {
        fit(
            host.len() == out.len(),
            "upload_rows",
            format_args!("{} numbers, {} rows", host.len(), out.len()),
        )?;
        launch::upload(&self.stream, host, &mut out.data)
            .map_err(|status| CudaError::of(status, WRITING))
    }

    fn download_rows(&self, rows: &DeviceRows, host: &mut [f64]) -> Result<(), CudaError> {
        fit(
            host.len() == rows.len(),
            "download_rows",
            format_args!("{} rows, {} numbers", rows.len(), host.len()),
        )?;
        launch::download(&self.stream, &rows.data, host)
            .map_err(|status| CudaError::of(status, READING))
    }
}

/// Memory starts as zeros: what another program left on the device is nobody's business.
impl<T: DeviceScalar> Allocate for Cuda<T> {
    fn batch(&self, shape: Shape) -> Result<DeviceBatch<T>, CudaError> {
        let data = self.zeros(shape)?;
        Ok(DeviceBatch { data, shape })
    }

    fn rows(&self, rows: usize) -> Result<DeviceRows, CudaError> {
        let data = self.zeros(Shape::new(rows, 1))?;
        Ok(DeviceRows { data })
    }
}

impl<T: DeviceScalar> Cuda<T> {
    fn zeros<X: DeviceRepr + ValidAsZeroBits>(&self, shape: Shape) -> Result<Memory<X>, CudaError> {
        let Shape { rows, dim } = shape;
        let extents = 1..=MOST;
        if !(extents.contains(&rows) && extents.contains(&dim)) {
            return Err(CudaError::Extent { shape });
        }
        let out_of_memory = || CudaError::OutOfMemory {
            during: format!(
                "allocating {rows} rows of {dim} numbers of {} bytes",
                size_of::<X>()
            ),
        };
        let length = rows
            .checked_mul(dim)
            .filter(|&length| length <= isize::MAX as usize / size_of::<X>())
            .ok_or_else(out_of_memory)?;
        self.stream
            .alloc_zeros(length)
            .map(Memory::from)
            .map_err(|status| match status {
                DriverError(CUresult::CUDA_ERROR_OUT_OF_MEMORY) => out_of_memory(),
                status => CudaError::of(status, "allocating"),
            })
    }

    /// Row r ← the unit vector of column `column` + r `step`.
    fn fill_units(&self, x: &DeviceBatch<T>, column: usize, step: u64) -> Result<(), CudaError> {
        let rest = [
            Argument::count(column),
            Argument::Long(step),
            x.argument(0, &self.stream),
        ];
        let Shape { rows, dim } = x.shape;
        self.row_pass(&self.kernels.fill_units, 0..rows, dim, rest)
    }

    fn fill_signs(
        &self,
        x: &DeviceBatch<T>,
        key: u64,
        first_row: u64,
        index: u32,
        scale: f64,
    ) -> Result<(), CudaError> {
        let rest = [
            Argument::Long(key),
            Argument::Long(first_row),
            Argument::Word(index),
            T::from_f64(scale).argument(),
            x.argument(0, &self.stream),
        ];
        let Shape { rows, dim } = x.shape;
        let (kernel, pieces) = (&self.kernels.fill_signs, dim.div_ceil(SIGNS));
        self.row_pass_in_pieces(kernel, 0..rows, dim, pieces, rest)
    }
}
