//! Scalar products of a few long rows with many.

use detfree_core::Store;
use faer::{MatMut, MatRef};
use pulp::bytemuck;
use pulp::{Simd, WithSimd};

use super::few::{FEW, OnLines, filled_up, for_rows, lanes, row, rows_mut};
use crate::Number;

/// `out_ri ← [out_ri +] alpha ⟨x_r, w_i⟩`, where the rows of all three lie in one piece.
pub(super) struct Dots<'a, T> {
    pub(super) x: MatRef<'a, T>,
    pub(super) w: MatRef<'a, T>,
    pub(super) alpha: T,
    pub(super) store: Store,
    pub(super) out: MatMut<'a, T>,
}

/// Numbers of a row that are multiplied at a time: those of the few rows stay in the nearest cache.
const DEPTH: usize = 1024;

impl<T: Number> WithSimd for Dots<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            x,
            w,
            alpha,
            mut store,
            mut out,
        } = self;
        let (rows, depth) = (x.nrows(), x.ncols());
        let lanes = lanes::<T, S>();
        let mut from = 0;
        while from < depth {
            let length = DEPTH.min(depth - from);
            let mut top = 0;
            while top < rows {
                let height = FEW.min(rows - top);
                // A vector of every row, then the next of every row; zeros after the end.
                let OnLines(side_by_side) = &mut OnLines([T::zero(); DEPTH * FEW]);
                for r in 0..height {
                    let vectors = row(x, top + r)[from..from + length].chunks(lanes);
                    let places = side_by_side[r * lanes..].chunks_mut(height * lanes);
                    for (place, vector) in places.zip(vectors) {
                        place[..vector.len()].copy_from_slice(vector);
                    }
                }
                let strip = Strip {
                    x: &side_by_side[..length.div_ceil(lanes) * height * lanes],
                    w: w.subcols(from, length),
                    alpha,
                    store,
                    out: out.as_mut().subrows_mut(top, height),
                };
                for_rows!(simd, height, StripOf(strip));
                top += height;
            }
            from += length;
            store = Store::Add;
        }
    }
}

/// A few rows of the output.
struct Strip<'a, T> {
    x: &'a [T],
    w: MatRef<'a, T>,
    alpha: T,
    store: Store,
    out: MatMut<'a, T>,
}

struct StripOf<'a, T, const H: usize>(Strip<'a, T>);

impl<T: Number, const H: usize> WithSimd for StripOf<'_, T, H> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let ctx = T::simd_ctx(simd);
        let Strip {
            x,
            w,
            alpha,
            store,
            out,
        } = self.0;
        let x = bytemuck::cast_slice(x).as_chunks::<H>().0;
        let mut out = rows_mut::<T, H>(out);
        let mut give = |r: usize, i: usize, dot: T| {
            let out = &mut out[r][i];
            *out = match store {
                Store::Set => alpha * dot,
                Store::Add => *out + alpha * dot,
            };
        };
        let (count, mut i) = (w.nrows(), 0);
        while i + 2 <= count {
            let dots = dots::<T, S, H, 2>(&ctx, x, [row(w, i), row(w, i + 1)]);
            for (c, dots) in dots.into_iter().enumerate() {
                for (r, dot) in dots.into_iter().enumerate() {
                    give(r, i + c, dot);
                }
            }
            i += 2;
        }
        if i < count {
            let [dots] = dots::<T, S, H, 1>(&ctx, x, [row(w, i)]);
            for (r, dot) in dots.into_iter().enumerate() {
                give(r, i, dot);
            }
        }
    }
}

/// ⟨w_c, x_r⟩ for every pair.
#[inline(always)]
fn dots<T: Number, S: Simd, const H: usize, const C: usize>(
    ctx: &T::SimdCtx<S>,
    x: &[[T::SimdVec<S>; H]],
    w: [&[T]; C],
) -> [[T; H]; C] {
    let whole = w[0].len() / lanes::<T, S>() * lanes::<T, S>();
    let vectors: [&[T::SimdVec<S>]; C] =
        core::array::from_fn(|c| bytemuck::cast_slice(&w[c][..whole]));
    let mut sums = [[T::simd_splat(ctx, &T::zero()); H]; C];
    for (j, x) in x.iter().enumerate().take(vectors[0].len()) {
        // By index: iterators over arrays of vectors go through memory.
        for r in 0..H {
            for c in 0..C {
                sums[c][r] = T::simd_mul_add(ctx, vectors[c][j], x[r], sums[c][r]);
            }
        }
    }
    if let Some(x) = x.get(vectors[0].len()) {
        for c in 0..C {
            let w = filled_up::<T, S>(&w[c][whole..]);
            for r in 0..H {
                sums[c][r] = T::simd_mul_add(ctx, w, x[r], sums[c][r]);
            }
        }
    }
    let mut dots = [[T::zero(); H]; C];
    for c in 0..C {
        for r in 0..H {
            dots[c][r] = T::simd_reduce_sum(ctx, sums[c][r]);
        }
    }
    dots
}
