//! What lives on a device.

use core::ops::Range;

use cudarc::driver::{CudaSlice, CudaStream};
use detfree_core::Shape;

use crate::launch::{self, Argument};
use crate::scalar::DeviceScalar;

/// A row-major [rows, dim] matrix on a device.
#[derive(Debug)]
pub struct DeviceBatch<T> {
    pub(crate) data: CudaSlice<T>,
    pub(crate) shape: Shape,
}

impl<T: DeviceScalar> DeviceBatch<T> {
    /// Where row `row` starts.
    pub(crate) fn row(&self, row: usize, stream: &CudaStream) -> u64 {
        let offset = row * self.shape.dim * size_of::<T>();
        launch::address(&self.data, stream) + offset as u64
    }

    /// The same for a kernel.
    pub(crate) fn argument(&self, row: usize, stream: &CudaStream) -> Argument {
        Argument::Long(self.row(row, stream))
    }

    /// Whether the rows are there.
    pub(crate) const fn has(&self, rows: &Range<usize>) -> bool {
        rows.start <= rows.end && rows.end <= self.shape.rows
    }
}

/// One `f64` per row on a device.
#[derive(Debug)]
pub struct DeviceRows {
    pub(crate) data: CudaSlice<f64>,
}

impl DeviceRows {
    /// Where the result of row `row` is.
    pub(crate) fn argument(&self, row: usize, stream: &CudaStream) -> Argument {
        let offset = row * size_of::<f64>();
        Argument::Long(launch::address(&self.data, stream) + offset as u64)
    }

    pub(crate) fn len(&self) -> usize {
        self.data.len()
    }
}
