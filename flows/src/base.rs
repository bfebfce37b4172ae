//! Draws from base densities.

use alloc::vec::Vec;

use detfree_core::{Backend, BaseDensity, Fill, Key, Scalar, Shape};

/// z ← independent draws from `base`, row r from row `first_row` + r (modulo 2⁶⁴) of the key's stream.
pub(crate) fn draw<B: Backend>(
    b: &B,
    base: BaseDensity,
    key: Key,
    first_row: u64,
    z: &mut B::Batch,
) -> Result<(), B::Error> {
    if base == BaseDensity::Normal {
        let normal = Fill::Gaussian {
            key,
            first_row,
            scale: 1.0,
        };
        return b.fill(normal, z);
    }
    let Shape { rows, dim } = b.shape(z);
    let mut host = Vec::with_capacity(rows * dim);
    for r in 0..rows as u64 {
        let uniforms = (0..dim as u32).map(|j| key.uniform(first_row.wrapping_add(r), j));
        host.extend(uniforms.map(|u| B::Scalar::from_f64(base.quantile(u))));
    }
    b.upload(&host, z)
}
