//! Loops over two slices in a fixed order of eight lanes: vectorisable, and the same bits anywhere.

use crate::Scalar;

const LANES: usize = 8;

/// y ← y + a x
pub(crate) fn axpy<T: Scalar>(a: T, x: &[T], y: &mut [T]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}

/// ⟨x, y⟩ accumulated in T.
pub(crate) fn dot<T: Scalar>(x: &[T], y: &[T]) -> T {
    let (x, x_rest) = x.as_chunks::<LANES>();
    let (y, y_rest) = y.as_chunks::<LANES>();
    let mut lanes = [T::zero(); LANES];
    for (x, y) in x.iter().zip(y) {
        for ((lane, &x), &y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += x * y;
        }
    }
    let mut rest = T::zero();
    for (&x, &y) in x_rest.iter().zip(y_rest) {
        rest += x * y;
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    (((a + e) + (c + g)) + ((b + f) + (d + h))) + rest
}

/// ⟨x, y⟩ accumulated in `f64`, in a fixed order: the specification of
/// [`Backend::dot_rows`](crate::Backend::dot_rows), a row at a time.
pub fn dot_f64<T: Scalar>(x: &[T], y: &[T]) -> f64 {
    let (x, x_rest) = x.as_chunks::<LANES>();
    let (y, y_rest) = y.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (x, y) in x.iter().zip(y) {
        for ((lane, &x), &y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += x.to_f64() * y.to_f64();
        }
    }
    let mut rest = 0.0;
    for (&x, &y) in x_rest.iter().zip(y_rest) {
        rest += x.to_f64() * y.to_f64();
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    (((a + e) + (c + g)) + ((b + f) + (d + h))) + rest
}
