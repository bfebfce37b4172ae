//! Products of a few rows with a wide weight. faer packs the weight first, which takes as long as the
//! product itself; these read it where it lies, once, in the order of its memory.

use faer::{MatMut, MatRef, RowMut};
use pulp::bytemuck::{self, Zeroable};
use pulp::{Arch, Simd, WithSimd};

use crate::Number;

/// The most rows of an output, or terms of a sum, that are taken at a time: with two vectors of each they
/// leave a dozen of 32 registers for what they are multiplied with.
pub(crate) const FEW: usize = 10;

/// Numbers in a row from which it is worth it.
const LONG: usize = 256;

/// Registers that it takes.
const REGISTERS: usize = 32;

/// Whether a product of so many rows, or terms, with rows of this length is better done here.
pub(crate) fn takes(arch: Arch, rows: usize, length: usize) -> bool {
    struct Registers;
    impl WithSimd for Registers {
        type Output = usize;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::REGISTER_COUNT
        }
    }
    rows <= FEW && length >= LONG && arch.dispatch(Registers) >= REGISTERS
}

/// Calls `$simd.vectorize` with `$strip` made for as many rows as `$rows` says.
macro_rules! for_rows {
    ($simd:expr, $rows:expr, $strip:ident($value:expr)) => {{
        let (simd, strip) = ($simd, $value);
        match $rows {
            1 => simd.vectorize($strip::<_, 1>(strip)),
            2 => simd.vectorize($strip::<_, 2>(strip)),
            3 => simd.vectorize($strip::<_, 3>(strip)),
            4 => simd.vectorize($strip::<_, 4>(strip)),
            5 => simd.vectorize($strip::<_, 5>(strip)),
            6 => simd.vectorize($strip::<_, 6>(strip)),
            7 => simd.vectorize($strip::<_, 7>(strip)),
            8 => simd.vectorize($strip::<_, 8>(strip)),
            9 => simd.vectorize($strip::<_, 9>(strip)),
            _ => simd.vectorize($strip::<_, 10>(strip)),
        }
    }};
}
pub(super) use for_rows;

/// What starts with a cache line: a vector across two of them takes twice as long to read.
#[repr(align(64))]
pub(super) struct OnLines<X>(pub(super) X);

/// Numbers in a vector.
#[inline(always)]
pub(super) const fn lanes<T: Number, S: Simd>() -> usize {
    size_of::<T::SimdVec<S>>() / size_of::<T>()
}

/// At most a vector's numbers, filled up with zeros.
#[inline(always)]
pub(super) fn filled_up<T: Number, S: Simd>(numbers: &[T]) -> T::SimdVec<S> {
    let mut vector = T::SimdVec::<S>::zeroed();
    let to: &mut [T] = bytemuck::cast_slice_mut(core::slice::from_mut(&mut vector));
    for (to, &from) in to.iter_mut().zip(numbers) {
        *to = from;
    }
    vector
}

/// Row `r`, of numbers that lie one after the other.
#[inline(always)]
pub(super) fn row<T>(x: MatRef<'_, T>, r: usize) -> &[T] {
    x.row(r)
        .try_as_row_major()
        .map_or(&[], |row| row.as_slice())
}

/// The first rows.
#[inline(always)]
pub(super) fn rows_mut<T, const H: usize>(x: MatMut<'_, T>) -> [&mut [T]; H] {
    let mut rows = x.row_iter_mut();
    core::array::from_fn(|_| {
        let row = rows.next().and_then(RowMut::try_as_row_major_mut);
        row.map_or(&mut [][..], RowMut::as_slice_mut)
    })
}
