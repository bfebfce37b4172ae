//! Rows that are sums of a few numbers times long rows.

use detfree_core::Store;
use faer::{MatMut, MatRef};
use pulp::bytemuck;
use pulp::{Simd, WithSimd};

use super::few::{FEW, filled_up, for_rows, lanes, row, rows_mut};
use crate::Number;

/// `out ← [out +] alpha · lhs · rhs`, where the rows of `rhs` and of `out` lie in one piece.
pub(super) struct Combine<'a, T> {
    pub(super) lhs: MatRef<'a, T>,
    pub(super) rhs: MatRef<'a, T>,
    pub(super) alpha: T,
    pub(super) store: Store,
    pub(super) out: MatMut<'a, T>,
}

/// Rows of `rhs` that are read side by side: as many streams as the processor fetches ahead.
pub(super) const DEPTH: usize = 32;

impl<T: Number> WithSimd for Combine<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            lhs,
            rhs,
            alpha,
            mut store,
            mut out,
        } = self;
        let (rows, depth) = (lhs.nrows(), lhs.ncols());
        let mut from = 0;
        // Without terms, too: the sums are zeros then.
        loop {
            let terms = DEPTH.min(depth - from);
            let mut long: [&[T]; DEPTH] = [&[]; DEPTH];
            for (k, long) in long.iter_mut().enumerate().take(terms) {
                *long = row(rhs, from + k);
            }
            let mut top = 0;
            while top < rows {
                let height = FEW.min(rows - top);
                let strip = Strip {
                    lhs: lhs.subrows(top, height).subcols(from, terms),
                    alpha,
                    long: &long[..terms],
                    store,
                    out: out.as_mut().subrows_mut(top, height),
                };
                for_rows!(simd, height, StripOf(strip));
                top += height;
            }
            from += terms;
            if from == depth {
                return;
            }
            store = Store::Add;
        }
    }
}

/// The factors of a few rows in the order in which they are needed: those of one term after those of the other.
#[inline(always)]
pub(super) fn pack<'a, T: Number, const H: usize>(
    lhs: MatRef<'_, T>,
    alpha: T,
    factors: &'a mut [T],
) -> &'a [[T; H]] {
    let factors = &mut factors.as_chunks_mut::<H>().0[..lhs.ncols()];
    for (r, row) in lhs.row_iter().enumerate().take(H) {
        for (factors, &x) in factors.iter_mut().zip(row.iter()) {
            factors[r] = alpha * x;
        }
    }
    factors
}

/// A few rows of the output, and some terms.
struct Strip<'a, T> {
    lhs: MatRef<'a, T>,
    alpha: T,
    long: &'a [&'a [T]],
    store: Store,
    out: MatMut<'a, T>,
}

struct StripOf<'a, T, const H: usize>(Strip<'a, T>);

impl<T: Number, const H: usize> WithSimd for StripOf<'_, T, H> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Strip {
            lhs,
            alpha,
            long,
            store,
            out,
        } = self.0;
        let (ctx, lanes) = (T::simd_ctx(simd), lanes::<T, S>());
        let mut factors = [T::zero(); DEPTH * FEW];
        let factors = pack::<T, H>(lhs, alpha, &mut factors);
        let columns = out.ncols();
        let mut out = rows_mut::<T, H>(out);
        let mut at = 0;
        while at + 2 * lanes <= columns {
            tile::<T, S, H, 2>(&ctx, factors, long, at, store, &mut out);
            at += 2 * lanes;
        }
        while at + lanes <= columns {
            tile::<T, S, H, 1>(&ctx, factors, long, at, store, &mut out);
            at += lanes;
        }
        if at < columns {
            end::<T, S, H>(&ctx, factors, long, at, store, &mut out);
        }
    }
}

/// `C` vectors of every row.
#[inline(always)]
fn tile<T: Number, S: Simd, const H: usize, const C: usize>(
    ctx: &T::SimdCtx<S>,
    factors: &[[T; H]],
    long: &[&[T]],
    at: usize,
    store: Store,
    out: &mut [&mut [T]; H],
) {
    let here = at..at + C * lanes::<T, S>();
    let mut sums = [[T::simd_splat(ctx, &T::zero()); C]; H];
    for (factors, long) in factors.iter().zip(long) {
        let long: &[T::SimdVec<S>] = bytemuck::cast_slice(&long[here.clone()]);
        // By index: iterators over arrays of vectors go through memory.
        for r in 0..H {
            let factor = T::simd_splat(ctx, &factors[r]);
            for c in 0..C {
                sums[r][c] = T::simd_mul_add(ctx, factor, long[c], sums[r][c]);
            }
        }
    }
    for r in 0..H {
        let out: &mut [T::SimdVec<S>] = bytemuck::cast_slice_mut(&mut out[r][here.clone()]);
        for c in 0..C {
            out[c] = match store {
                Store::Set => sums[r][c],
                Store::Add => T::simd_add(ctx, out[c], sums[r][c]),
            };
        }
    }
}

/// What is left of every row, less than a vector.
#[inline(always)]
pub(super) fn end<T: Number, S: Simd, const H: usize>(
    ctx: &T::SimdCtx<S>,
    factors: &[[T; H]],
    long: &[&[T]],
    at: usize,
    store: Store,
    out: &mut [&mut [T]; H],
) {
    let mut sums = [T::simd_splat(ctx, &T::zero()); H];
    for (factors, long) in factors.iter().zip(long) {
        let long = filled_up::<T, S>(&long[at..]);
        for r in 0..H {
            sums[r] = T::simd_mul_add(ctx, T::simd_splat(ctx, &factors[r]), long, sums[r]);
        }
    }
    for r in 0..H {
        let sums: &[T] = bytemuck::cast_slice(core::slice::from_ref(&sums[r]));
        for (out, &sum) in out[r][at..].iter_mut().zip(sums) {
            *out = match store {
                Store::Set => sum,
                Store::Add => *out + sum,
            };
        }
    }
}
