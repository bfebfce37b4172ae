//! A product of few rows and few terms, with other work in between.

use detfree_core::Store;
use faer::{MatMut, MatRef};
use pulp::bytemuck;
use pulp::{Simd, WithSimd};

use super::combine::{end, pack};
use super::few::{FEW, for_rows, lanes, row, rows_mut};
use crate::Number;

/// `out ← alpha · lhs · rhs` as [`Combine`](super::combine::Combine) of at most [`FEW`] rows and terms, where the rows
/// of `rhs` and of `out` lie in one piece; and `pieces` calls of `work`, spread evenly over the products.
///
/// A processor multiplies while it waits for roots and quotients, which are most of such work, but only where
/// the one is near the other in the program.
pub(crate) struct Beside<'a, T, W> {
    lhs: MatRef<'a, T>,
    rhs: MatRef<'a, T>,
    alpha: T,
    out: MatMut<'a, T>,
    pieces: usize,
    work: W,
}

impl<'a, T: Number, W: FnMut()> Beside<'a, T, W> {
    /// `None` where the operands do not fit.
    #[inline(always)]
    pub(crate) fn new(
        [lhs, rhs]: [MatRef<'a, T>; 2],
        alpha: T,
        out: MatMut<'a, T>,
        pieces: usize,
        work: W,
    ) -> Option<Self> {
        let fits =
            (lhs.nrows(), lhs.ncols(), rhs.ncols()) == (out.nrows(), rhs.nrows(), out.ncols());
        (fits && out.nrows().max(rhs.nrows()) <= FEW).then_some(Self {
            lhs,
            rhs,
            alpha,
            out,
            pieces,
            work,
        })
    }
}

impl<T: Number, W: FnMut()> WithSimd for Beside<'_, T, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.lhs.nrows();
        for_rows!(simd, rows, StripOf(self));
    }
}

struct StripOf<P, const H: usize>(P);

impl<T: Number, W: FnMut(), const H: usize> WithSimd for StripOf<Beside<'_, T, W>, H> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Beside {
            lhs,
            rhs,
            alpha,
            out,
            pieces,
            mut work,
        } = self.0;
        let (ctx, lanes) = (T::simd_ctx(simd), lanes::<T, S>());
        let (terms, columns) = rhs.shape();
        let mut factors = [T::zero(); FEW * FEW];
        let factors = pack::<T, H>(lhs, alpha, &mut factors);
        let mut long: [&[T]; FEW] = [&[]; FEW];
        for (k, long) in long.iter_mut().enumerate().take(terms) {
            *long = row(rhs, k);
        }
        let long = &long[..terms];
        let mut out = rows_mut::<T, H>(out);
        let whole = columns / lanes * lanes;
        let (steps, mut due) = (whole / lanes * terms, 0);
        for at in (0..whole).step_by(lanes) {
            let mut sums = [T::simd_splat(&ctx, &T::zero()); H];
            for (factors, long) in factors.iter().zip(long) {
                let long: &[T::SimdVec<S>] = bytemuck::cast_slice(&long[at..at + lanes]);
                // By index: iterators over arrays of vectors go through memory.
                for r in 0..H {
                    let factor = T::simd_splat(&ctx, &factors[r]);
                    sums[r] = T::simd_mul_add(&ctx, factor, long[0], sums[r]);
                }
                due += pieces;
                while due >= steps {
                    work();
                    due -= steps;
                }
            }
            for r in 0..H {
                let out: &mut [T::SimdVec<S>] =
                    bytemuck::cast_slice_mut(&mut out[r][at..at + lanes]);
                out[0] = sums[r];
            }
        }
        if whole < columns {
            end::<T, S, H>(&ctx, factors, long, whole, Store::Set, &mut out);
        }
        if steps == 0 {
            for _ in 0..pieces {
                work();
            }
        }
    }
}
