//! The data types that the kernels are compiled for.

use cudarc::driver::{DeviceRepr, ValidAsZeroBits};
use detfree_core::Scalar;

use crate::launch::{Argument, ColumnMajor};

/// Sealed companion of [`DeviceScalar`].
pub trait Compiled: DeviceRepr + ValidAsZeroBits + ColumnMajor {
    /// What belongs to this type.
    fn choose<X>(single: X, double: X) -> X;

    /// A number as a kernel takes it.
    fn argument(self) -> Argument;
}

/// `f32` or `f64`: the type of batches on a device.
pub trait DeviceScalar: Scalar + Compiled {}

impl Compiled for f32 {
    fn choose<X>(single: X, _: X) -> X {
        single
    }

    fn argument(self) -> Argument {
        Argument::Single(self)
    }
}

impl Compiled for f64 {
    fn choose<X>(_: X, double: X) -> X {
        double
    }

    fn argument(self) -> Argument {
        Argument::Double(self)
    }
}

impl DeviceScalar for f32 {}
impl DeviceScalar for f64 {}
