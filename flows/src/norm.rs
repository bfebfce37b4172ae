//! Lengths of gradients.

use alloc::vec::Vec;

use detfree_core::Backend;

/// Σ x², summed in `f64`. `products` has a number for every row of `x`.
pub(crate) fn squared_norm<B: Backend>(
    b: &B,
    x: &B::Batch,
    products: &mut B::Rows,
    host: &mut Vec<f64>,
) -> Result<f64, B::Error> {
    let rows = b.shape(x).rows;
    host.resize(rows, 0.0);
    b.fill_rows(0.0, products)?;
    b.dot_rows(0..rows, 1.0, x, x, products)?;
    b.download_rows(products, host)?;
    Ok(host.iter().sum())
}

/// What a gradient of this length is multiplied with, so that it is no longer than `limit`.
pub(crate) fn clip_factor(norm: f64, limit: Option<f64>) -> f64 {
    match limit {
        Some(limit) if norm > limit => limit / norm,
        _ => 1.0,
    }
}
