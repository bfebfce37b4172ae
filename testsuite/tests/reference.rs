//! The reference backend passes its own suite.

use std::process::ExitCode;

use detfree_core::reference::Heap;
use detfree_testsuite::{Fixture, Suite};

const ELSEWHERE: &str = "its batches are lent by the caller, and the suite asks a backend to allocate \
    them (Allocate); the code is that of the heap, generic over storage";

fn main() -> ExitCode {
    Suite::new()
        .flow(Fixture::new("heap-f32", || Ok(Heap::<f32>::new())))
        .flow(Fixture::new("heap-f64", || Ok(Heap::<f64>::new())))
        .ignored("arrays", ELSEWHERE)
        .ignored("slices", ELSEWHERE)
        .run()
}
