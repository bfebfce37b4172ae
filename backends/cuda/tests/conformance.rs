//! The conformance suite, in both precisions: on the interpreter of PTX, or with
//! `DETFREE_REQUIRE_DEVICE=1` on a GPU, there also with products by cuBLAS.

mod common;

use std::process::ExitCode;

use detfree_cuda::{Cuda, DeviceScalar, Products};
use detfree_testsuite::{Fixture, Suite, Unavailable};
use libtest_mimic::{Arguments, Completion, Trial};

/// Twenty runs of 2,000 guarded steps: half a million launches a precision, which a GPU does in
/// seconds. `training::guarded_steps` has the same kernels in a few steps.
const LONG: &str = "relative::tracking";

fn main() -> ExitCode {
    common::with_driver(|| {
        let suite = Suite::new()
            .flow(Fixture::new("cuda-f32", common::own::<f32>))
            .flow(Fixture::new("cuda-f64", common::own::<f64>));
        let trials = if common::device_required() {
            suite
                .flow(Fixture::new("cuda-f32-cublas", cublas::<f32>))
                .flow(Fixture::new("cuda-f64-cublas", cublas::<f64>))
                .into_trials()
        } else {
            let reason = "cuBLAS needs a GPU; what it is asked for has unit tests";
            let trials = suite.ignored("cuda-cublas", reason).into_trials();
            trials.into_iter().map(unless_long).collect()
        };
        libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
    })
}

fn unless_long(trial: Trial) -> Trial {
    if !trial.name().ends_with(LONG) {
        return trial;
    }
    Trial::ignorable_test(trial.name().to_owned(), || {
        Ok(Completion::ignored_with("too long for the interpreter"))
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
