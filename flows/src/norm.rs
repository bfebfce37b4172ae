//! Lengths of vectors.

use alloc::vec::Vec;

use detfree_core::{Backend, Error};

/// The largest size of a number; NaN if one is, which `f64::max` would pass over.
pub(crate) fn largest(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let sizes = numbers.into_iter().map(f64::abs);
    sizes.fold(0.0, |most, x| if x > most || x.is_nan() { x } else { most })
}

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

/// Refuses limits of a length that are none: a negative one would turn every step around.
pub(crate) fn check_clip<E>(limit: Option<f64>) -> Result<(), Error<E>> {
    match limit {
        Some(limit) if limit.is_nan() || limit <= 0.0 => Err(Error::Invalid(
            "the length that gradients are clipped to must be above 0: give a positive one, or none",
        )),
        _ => Ok(()),
    }
}

/// What a gradient of this length is multiplied with, so that it is no longer than `limit`.
pub(crate) fn clip_factor(norm: f64, limit: Option<f64>) -> f64 {
    match limit {
        Some(limit) if norm > limit => limit / norm,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_is_a_size_and_keeps_nan() {
        assert_eq!(largest([]), 0.0);
        assert_eq!(largest([1.0, -3.0, 2.0]), 3.0);
        assert_eq!(largest([1.0, f64::NEG_INFINITY]), f64::INFINITY);
        for numbers in [
            [f64::NAN, 1.0, 2.0],
            [1.0, f64::NAN, 2.0],
            [1.0, 2.0, f64::NAN],
        ] {
            assert!(largest(numbers).is_nan());
        }
    }
}
