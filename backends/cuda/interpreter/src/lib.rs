//! Stands in for the CUDA driver: runs PTX on the CPU, and finds its errors.

#[expect(unsafe_code, reason = "the C surface of the driver")]
mod abi;
mod arithmetic;
mod decode;
mod driver;
mod fault;
mod instruction;
mod kernel;
mod machine;
mod memory;
mod run;
mod source;

pub use arithmetic::approximate::Approximation;
pub use fault::{Fault, FaultKind, LoadError};
pub use machine::{Function, Geometry, Machine, Module, Options};
pub use memory::DeviceError;
pub use run::LaunchError;
