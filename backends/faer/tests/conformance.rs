//! The conformance suite, in both precisions, and on two threads.

use std::process::ExitCode;

use detfree_faer::Faer;
use detfree_testsuite::{Fixture, Suite, Unavailable};

fn main() -> ExitCode {
    Suite::new()
        .flow(Fixture::new("faer-f32", || Ok(Faer::<f32>::sequential())))
        .flow(Fixture::new("faer-f64", || Ok(Faer::<f64>::sequential())))
        .flow(Fixture::new("faer-f32-2-threads", || {
            Faer::<f32>::new(2).map_err(|error| Unavailable::new(error.to_string()))
        }))
        .run()
}
