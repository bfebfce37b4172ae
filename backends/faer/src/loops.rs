//! Single passes over slices, inlined into a caller that is compiled for wide vectors.
//!
//! They compute what the reference does in the same order, so the bits agree.

use detfree_core::Scalar;

/// y ← y + a x
#[inline(always)]
pub(crate) fn axpy<T: Scalar>(a: T, x: &[T], y: &mut [T]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}

/// y ← y + x
#[inline(always)]
pub(crate) fn add<T: Scalar>(x: &[T], y: &mut [T]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y += x;
    }
}

/// The longest row that is repeated to make longer loops.
const SHORT: usize = 16;

/// y_r ← y_r + x for rows of the length of x, one after the other in y.
#[inline(always)]
pub(crate) fn add_to_rows<T: Scalar>(x: &[T], y: &mut [T]) {
    const LENGTH: usize = 8 * SHORT;
    let dim = x.len().max(1);
    if dim > SHORT {
        for y in y.chunks_exact_mut(dim) {
            add(x, y);
        }
        return;
    }
    let mut several = [T::zero(); LENGTH];
    for row in several.chunks_exact_mut(dim) {
        for (to, &from) in row.iter_mut().zip(x) {
            *to = from;
        }
    }
    for y in y.chunks_mut(LENGTH / dim * dim) {
        add(&several, y);
    }
}

/// x ← c x
#[inline(always)]
pub(crate) fn scale<T: Scalar>(c: T, x: &mut [T]) {
    for x in x {
        *x *= c;
    }
}

/// out ← x ∘ y
#[inline(always)]
pub(crate) fn multiply<T: Scalar>(x: &[T], y: &[T], out: &mut [T]) {
    for ((out, &x), &y) in out.iter_mut().zip(x).zip(y) {
        *out = x * y;
    }
}

/// out ← out + x ∘ y
#[inline(always)]
pub(crate) fn multiply_add<T: Scalar>(x: &[T], y: &[T], out: &mut [T]) {
    for ((out, &x), &y) in out.iter_mut().zip(x).zip(y) {
        *out += x * y;
    }
}

/// x ← factor ∘ x
#[inline(always)]
pub(crate) fn multiply_by<T: Scalar>(factor: &[T], x: &mut [T]) {
    for (x, &factor) in x.iter_mut().zip(factor) {
        *x *= factor;
    }
}

/// x ← factor ∘ x + shift
#[inline(always)]
pub(crate) fn scale_shift<T: Scalar>(factor: &[T], shift: &[T], x: &mut [T]) {
    for ((x, &factor), &shift) in x.iter_mut().zip(factor).zip(shift) {
        *x = *x * factor + shift;
    }
}
