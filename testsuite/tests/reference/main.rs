//! The reference backend passes its own suite, in every kind of memory.

mod lent;

use std::process::ExitCode;

use detfree_core::reference::Heap;
use detfree_testsuite::{Fixture, Suite};

use lent::Lent;

/// The elements of the largest batch of the suite, and the rows of its tallest.
const ELEMENTS: usize = 150 * 150;
const ROWS: usize = 300;

type Arrays<T> = Lent<[T; ELEMENTS], [f64; ROWS]>;
type Slices<T> = Lent<&'static mut [T], &'static mut [f64]>;

fn main() -> ExitCode {
    Suite::new()
        .flow(Fixture::new("heap-f32", || Ok(Heap::<f32>::new())))
        .flow(Fixture::new("heap-f64", || Ok(Heap::<f64>::new())))
        .flow(Fixture::new("arrays-f32", || Ok(Arrays::<f32>::new())))
        .flow(Fixture::new("arrays-f64", || Ok(Arrays::<f64>::new())))
        .flow(Fixture::new("slices-f32", || Ok(Slices::<f32>::new())))
        .flow(Fixture::new("slices-f64", || Ok(Slices::<f64>::new())))
        .run()
}
