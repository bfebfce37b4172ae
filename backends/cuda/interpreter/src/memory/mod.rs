//! Memory that knows what has been written to it, and by whom.

pub(crate) mod device;
pub(crate) mod lanes;
pub(crate) mod region;
pub(crate) mod shadow;

pub use device::DeviceError;
pub(crate) use device::{Device, Place};
pub(crate) use region::Region;
pub(crate) use shadow::{Observer, Times};
