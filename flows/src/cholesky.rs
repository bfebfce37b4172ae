//! Cholesky factors of small matrices, on the host and in double precision.

use alloc::vec::Vec;

/// Rows that go through the triangle together, so that it is read once for all of them.
const TOGETHER: usize = 8;

/// The upper triangle of C ← Lᵀ with L Lᵀ = C, or the first column of which those before it leave
/// no more than `least_share` open.
pub(crate) fn factorise(c: &mut [f64], dim: usize, least_share: f64) -> Option<usize> {
    for k in 0..dim {
        let (above, below) = c.split_at_mut(k * dim);
        let row = below.get_mut(k..dim)?;
        let [before, ..] = *row else { continue };
        for l in above.chunks_exact(dim) {
            let (&x, l) = split(l, k)?;
            let [pivot, rest @ ..] = &mut *row else {
                continue;
            };
            *pivot -= x * x;
            for (c, l) in rest.iter_mut().zip(l) {
                *c -= x * l;
            }
        }
        let [pivot, ..] = *row else { continue };
        if pivot.is_nan() || pivot <= least_share * before {
            return Some(k);
        }
        let scale = 1.0 / libm::sqrt(pivot);
        for c in row {
            *c *= scale;
        }
    }
    None
}

/// x ← L⁻¹ x for every row x, given Lᵀ.
pub(crate) fn solve_rows(factor: &[f64], dim: usize, rows: &mut [f64]) {
    for rows in rows.chunks_mut(TOGETHER * dim) {
        for (j, l) in factor.chunks_exact(dim).enumerate() {
            for row in rows.chunks_exact_mut(dim) {
                if let (Some((l, below)), Some((x, row))) = (split(l, j), tail(row, j)) {
                    *x /= l;
                    for (row, l) in row.iter_mut().zip(below) {
                        *row -= *x * l;
                    }
                }
            }
        }
    }
}

/// The element at `i`, and those behind it.
pub(crate) fn split(x: &[f64], i: usize) -> Option<(&f64, &[f64])> {
    x.get(i..)?.split_first()
}

/// The element at `i`, and those behind it.
pub(crate) fn tail(x: &mut [f64], i: usize) -> Option<(&mut f64, &mut [f64])> {
    x.get_mut(i..)?.split_first_mut()
}

/// Of a square matrix.
pub(crate) fn transposed(x: &[f64], dim: usize) -> Vec<f64> {
    let column = |j| x.iter().skip(j).step_by(dim);
    (0..dim).flat_map(column).copied().collect()
}
