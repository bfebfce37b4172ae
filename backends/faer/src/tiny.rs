//! Products with weights of at most 4 × 4 numbers, many rows at a time: a matrix product is vector
//! code along its own sides, which are too short here.

use core::iter;

use detfree_core::{Op, Scalar, Store};
use pulp::Arch;

use crate::loops;

/// Rows whose products are added side by side: four of the widest vectors of `f32`.
const LANES: usize = 64;

/// `out_r ← [out_r +] op(W) x_r` for a W of `dim` × `dim` numbers; `false` where that is too large.
pub(crate) fn apply<T: Scalar>(
    arch: Arch,
    dim: usize,
    (w, op): (&[T], Op),
    x: &[T],
    store: Store,
    out: &mut [T],
) -> bool {
    let run = match dim {
        1 => apply_to::<T, 1>,
        2 => apply_to::<T, 2>,
        3 => apply_to::<T, 3>,
        4 => apply_to::<T, 4>,
        _ => return false,
    };
    run(arch, (w, op), x, store, out);
    true
}

fn apply_to<T: Scalar, const D: usize>(
    arch: Arch,
    (w, op): (&[T], Op),
    x: &[T],
    store: Store,
    out: &mut [T],
) {
    let w = matrix::<T, D>(w, op);
    let pairs = iter::zip(x.as_chunks::<D>().0, out.as_chunks_mut::<D>().0);
    arch.dispatch(
        #[inline(always)]
        move || match store {
            Store::Set => pairs.for_each(|(x, out)| *out = add_product([T::zero(); D], &w, x)),
            Store::Add => pairs.for_each(|(x, out)| *out = add_product(*out, &w, x)),
        },
    );
}

/// op(W)
pub(crate) fn matrix<T: Scalar, const D: usize>(w: &[T], op: Op) -> [[T; D]; D] {
    let mut matrix = [[T::zero(); D]; D];
    for (i, row) in w.as_chunks::<D>().0.iter().enumerate().take(D) {
        for (j, &x) in row.iter().enumerate() {
            match op {
                Op::Plain => matrix[i][j] = x,
                Op::Transposed => matrix[j][i] = x,
            }
        }
    }
    matrix
}

/// y + W x
#[inline(always)]
pub(crate) fn add_product<T: Scalar, const D: usize>(
    mut y: [T; D],
    w: &[[T; D]; D],
    x: &[T; D],
) -> [T; D] {
    for (y, w) in y.iter_mut().zip(w) {
        for (&w, &x) in w.iter().zip(x) {
            *y += w * x;
        }
    }
    y
}

/// `G ← [G +] a Σ_r s_r v_rᵀ` for a G of these dimensions; `false` where that is too large.
pub(crate) fn outer<T: Scalar>(
    arch: Arch,
    dims: (usize, usize),
    a: T,
    factors: [&[T]; 2],
    store: Store,
    g: &mut [T],
) -> bool {
    let run = match dims {
        (1, 1) => sum::<T, 1>,
        (2, 2) => sum::<T, 2>,
        (3, 3) => sum::<T, 3>,
        (4, 4) => sum::<T, 4>,
        _ => return false,
    };
    run(arch, a, factors, store, g);
    true
}

fn sum<T: Scalar, const D: usize>(arch: Arch, a: T, [s, v]: [&[T]; 2], store: Store, g: &mut [T]) {
    let blocks = iter::zip(
        s.as_chunks::<D>().0.chunks(LANES),
        v.as_chunks::<D>().0.chunks(LANES),
    );
    let mut sums = [[[T::zero(); LANES]; D]; D];
    let lanes = &mut sums;
    arch.dispatch(
        #[inline(always)]
        move || {
            for (s, v) in blocks {
                // One loop of a length that is not known: the compiler unrolls others to scalar code.
                for r in 0..s.len().min(v.len()).min(LANES) {
                    for (sums, &x) in lanes.iter_mut().zip(&s[r]) {
                        for (sums, &y) in sums.iter_mut().zip(&v[r]) {
                            sums[r] += x * y;
                        }
                    }
                }
            }
        },
    );
    for (g, lanes) in g.iter_mut().zip(sums.as_flattened_mut()) {
        let sum = a * total(lanes);
        match store {
            Store::Set => *g = sum,
            Store::Add => *g += sum,
        }
    }
}

/// Σ lanes, which it destroys, by halves.
#[inline(always)]
pub(crate) fn total<T: Scalar, const N: usize>(lanes: &mut [T; N]) -> T {
    let mut rest = &mut lanes[..];
    while rest.len() > 1 {
        let (low, high) = rest.split_at_mut(rest.len() / 2);
        loops::add(high, low);
        rest = low;
    }
    rest.iter().fold(T::zero(), |sum, &lane| sum + lane)
}
