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
const SHORT: usize = 32;

/// The elements of the repetitions.
const LENGTH: usize = 4 * SHORT;

/// y_r ← y_r + x for rows of the length of x, one after the other in y.
#[inline(always)]
pub(crate) fn add_to_rows<T: Scalar>(x: &[T], y: &mut [T]) {
    let dim = x.len().max(1);
    if dim > SHORT {
        for y in y.chunks_exact_mut(dim) {
            add(x, y);
        }
        return;
    }
    let mut several = [T::zero(); LENGTH];
    for (to, &from) in several.iter_mut().zip(x) {
        *to = from;
    }
    // Twice as many each time: a copy of every short row would be a call.
    let mut filled = dim;
    while filled < LENGTH {
        let (done, rest) = several.split_at_mut(filled);
        for (to, from) in rest.iter_mut().zip(&*done) {
            *to = *from;
        }
        filled *= 2;
    }
    for y in y.chunks_mut(LENGTH / dim * dim) {
        add(&several, y);
    }
}

/// sum ← sum + a Σ_r x_r for rows of the length of sum, one after the other in x.
#[inline(always)]
pub(crate) fn add_rows<T: Scalar>(a: T, x: &[T], sum: &mut [T]) {
    let dim = sum.len().max(1);
    if dim > SHORT {
        for x in x.chunks_exact(dim) {
            axpy(a, x, sum);
        }
        return;
    }
    let mut several = [T::zero(); LENGTH];
    let mut rows = LENGTH / dim;
    for x in x.chunks(rows * dim) {
        add(x, &mut several);
    }
    while rows > 1 {
        let half = rows / 2;
        let (kept, added) = several.split_at_mut((rows - half) * dim);
        for (kept, &added) in kept.iter_mut().zip(added.iter().take(half * dim)) {
            *kept += added;
        }
        rows -= half;
    }
    axpy(a, &several, sum);
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
