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
    dot_in(x, y, |x| x)
}

/// ⟨x, y⟩ accumulated in `f64`, in a fixed order: the specification of
/// [`Backend::dot_rows`](crate::Backend::dot_rows), a row at a time.
pub fn dot_f64<T: Scalar>(x: &[T], y: &[T]) -> f64 {
    dot_in(x, y, T::to_f64)
}

#[inline(always)]
fn dot_in<T: Scalar, A: Scalar>(x: &[T], y: &[T], accumulated: impl Fn(T) -> A) -> A {
    let (x, x_rest) = x.as_chunks::<LANES>();
    let (y, y_rest) = y.as_chunks::<LANES>();
    let mut lanes = [A::zero(); LANES];
    for (x, y) in x.iter().zip(y) {
        for ((lane, &x), &y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += accumulated(x) * accumulated(y);
        }
    }
    let mut rest = A::zero();
    for (&x, &y) in x_rest.iter().zip(y_rest) {
        rest += accumulated(x) * accumulated(y);
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    (((a + e) + (c + g)) + ((b + f) + (d + h))) + rest
}
