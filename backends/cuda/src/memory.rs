//! What lives on a device.

use core::ops::{Deref, DerefMut, Range};

use cudarc::driver::{CudaSlice, CudaStream};
use detfree_core::Shape;

use crate::launch::{self, Argument};
use crate::scalar::DeviceScalar;

/// Memory that may be dropped on any thread. cudarc frees in the context that the thread has bound:
/// where there is none, or another device's, the memory is lost, and the next call of any thread
/// gets the error.
#[derive(Debug)]
pub(crate) struct Memory<X>(CudaSlice<X>);

impl<X> From<CudaSlice<X>> for Memory<X> {
    fn from(slice: CudaSlice<X>) -> Self {
        Self(slice)
    }
}

impl<X> Deref for Memory<X> {
    type Target = CudaSlice<X>;

    fn deref(&self) -> &CudaSlice<X> {
        &self.0
    }
}

impl<X> DerefMut for Memory<X> {
    fn deref_mut(&mut self) -> &mut CudaSlice<X> {
        &mut self.0
    }
}

impl<X> Drop for Memory<X> {
    fn drop(&mut self) {
        launch::bind_to_drop(self.0.context());
    }
}

/// A row-major [rows, dim] matrix on a device.
#[derive(Debug)]
pub struct DeviceBatch<T> {
    pub(crate) data: Memory<T>,
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
    pub(crate) data: Memory<f64>,
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
