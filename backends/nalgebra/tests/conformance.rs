//! The conformance suite, in both precisions.

use std::process::ExitCode;

use detfree_nalgebra::Nalgebra;
use detfree_testsuite::{Fixture, Suite};

fn main() -> ExitCode {
    Suite::new()
        .flow(Fixture::new("nalgebra-f32", || Ok(Nalgebra::<f32>::new())))
        .flow(Fixture::new("nalgebra-f64", || Ok(Nalgebra::<f64>::new())))
        .run()
}
