//! What faer promises beyond the conformance suite: the reference's bits in fills and elementwise
//! passes, and sizes that its own panels and threads cut up.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap like tests")]

mod few_rows;
mod passes;
mod sizes;

use detfree_core::{Allocate, Fill, Key, Scalar, Shape};

/// Numbers of standard deviation `scale`, a function of the seed alone.
fn normals<B: Allocate>(b: &B, shape: Shape, seed: u64, scale: f64) -> B::Batch {
    let mut x = b.batch(shape).unwrap();
    let fill = Fill::Gaussian {
        key: Key::new(seed),
        first_row: 0,
        scale,
    };
    b.fill(fill, &mut x).unwrap();
    x
}

fn read<B: Allocate>(b: &B, x: &B::Batch) -> Vec<f64> {
    let shape = b.shape(x);
    let mut host = vec![B::Scalar::default(); shape.rows * shape.dim];
    b.download(x, &mut host).unwrap();
    host.iter().map(|x| x.to_f64()).collect()
}
