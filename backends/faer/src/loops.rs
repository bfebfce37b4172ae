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
