//! Batches to and from numbers of the host's in double precision.

use alloc::vec::Vec;

use detfree_core::{Allocate, Backend, Scalar, Shape};

/// A batch of row-major `values`, rounded to the backend's precision.
pub(crate) fn upload<B: Allocate>(
    b: &B,
    values: &[f64],
    shape: Shape,
) -> Result<B::Batch, B::Error> {
    let mut batch = b.batch(shape)?;
    let values: Vec<B::Scalar> = values.iter().map(|&x| Scalar::from_f64(x)).collect();
    b.upload(&values, &mut batch)?;
    Ok(batch)
}

/// The numbers of a batch, row after row.
pub(crate) fn download<B: Backend>(b: &B, batch: &B::Batch) -> Result<Vec<f64>, B::Error> {
    let Shape { rows, dim } = b.shape(batch);
    let mut host = alloc::vec![B::Scalar::default(); rows * dim];
    b.download(batch, &mut host)?;
    Ok(host.into_iter().map(Scalar::to_f64).collect())
}
