//! The conformance suite, in both precisions: on the interpreter of PTX, or with
//! `DETFREE_REQUIRE_DEVICE=1` on a GPU, there also with products by cuBLAS.

mod common;

use std::process::ExitCode;

use detfree_cuda::{Cuda, DeviceScalar, Products};
use detfree_testsuite::{Fixture, Suite, Unavailable};
fn main() -> ExitCode {
    common::with_driver(|| {
        let single = Fixture::new("cuda-f32", common::own::<f32>);
        let double = Fixture::new("cuda-f64", common::own::<f64>);
        if common::device_required() {
            Suite::new()
                .flow(single)
                .flow(double)
                .flow(Fixture::new("cuda-f32-cublas", cublas::<f32>))
                .flow(Fixture::new("cuda-f64-cublas", cublas::<f64>))
                .run()
        } else {
            let reason = "cuBLAS needs a GPU; what it is asked for has unit tests";
            Suite::new()
                .flow(single.slow())
                .flow(double.slow())
                .ignored("cuda-cublas", reason)
                .run()
        }
    })
}

/// A backend with products by cuBLAS.
fn cublas<T: DeviceScalar>() -> Result<Cuda<T>, Unavailable> {
    let b = common::checked(Cuda::new(0))?;
    match b.device().map(|device| device.products) {
        Ok(Products::CuBlas) => Ok(b),
        _ => Err(Unavailable::new("the library of cuBLAS: it was not found")),
    }
}
