//! Gaussian elimination and Cholesky on small row-major matrices, in place and without a buffer
//! for pivots.

use super::lanes;
use crate::Scalar;

/// (sign, log|det A|) by elimination with row pivoting; (0, −∞) for a singular matrix.
pub(super) fn log_abs_det<T: Scalar>(a: &mut [T], n: usize) -> (f64, f64) {
    let mut negative = false;
    let mut log = 0.0;
    for k in 0..n {
        let Some(swapped) = pivot(a, n, k) else {
            return (0.0, f64::NEG_INFINITY);
        };
        let pivot = element(a, n, k, k).to_f64();
        negative ^= (swapped != k) ^ (pivot < 0.0);
        log += libm::log(libm::fabs(pivot));
        eliminate(a, n, k);
    }
    (if negative { -1.0 } else { 1.0 }, log)
}

/// x ← A⁻¹ x for every row x of `rhs`; `false` for a singular matrix.
pub(super) fn solve<T: Scalar>(a: &mut [T], n: usize, rhs: &mut [T]) -> bool {
    for k in 0..n {
        let Some(swapped) = pivot(a, n, k) else {
            return false;
        };
        eliminate(a, n, k);
        for x in rhs.chunks_exact_mut(n.max(1)) {
            let (Some(&at_k), Some(&at_swapped)) = (x.get(k), x.get(swapped)) else {
                continue;
            };
            set(x, k, at_swapped);
            set(x, swapped, at_k);
            for (i, x) in x.iter_mut().enumerate().skip(k + 1) {
                *x -= element(a, n, i, k) * at_swapped;
            }
        }
    }
    for x in rhs.chunks_exact_mut(n.max(1)) {
        for (i, u) in a.chunks_exact(n.max(1)).enumerate().rev() {
            let (Some(u), Some(known)) = (u.get(i..), x.get(i + 1..)) else {
                continue;
            };
            let [diagonal, u @ ..] = u else { continue };
            let sum = lanes::dot(u, known);
            if let Some(x) = x.get_mut(i) {
                *x = (*x - sum) / *diagonal;
            }
        }
    }
    true
}

/// Whether (A + Aᵀ)/2 is positive definite beyond rounding: every pivot of its Cholesky
/// factorisation exceeds n ε times the largest diagonal element.
pub(super) fn is_positive_definite<T: Scalar>(a: &mut [T], n: usize) -> bool {
    let half = T::from_f64(0.5);
    let mut largest = T::zero();
    for i in 0..n {
        for j in 0..i {
            let mean = (element(a, n, i, j) + element(a, n, j, i)) * half;
            set(a, i * n + j, mean);
        }
        let diagonal = element(a, n, i, i);
        largest = if diagonal > largest {
            diagonal
        } else {
            largest
        };
    }
    let floor = n as f64 * T::EPSILON * largest.to_f64();
    // Row i of L from the rows above it; L overwrites the lower triangle.
    for i in 0..n {
        let Some((above, below)) = a.split_at_mut_checked(i * n) else {
            return false;
        };
        let Some(row) = below.get_mut(..n) else {
            return false;
        };
        for (j, l) in above.chunks_exact(n.max(1)).enumerate() {
            let (Some(known), Some(l_known), Some(&l_jj)) = (row.get(..j), l.get(..j), l.get(j))
            else {
                return false;
            };
            let sum = lanes::dot(known, l_known);
            if let Some(x) = row.get_mut(j) {
                *x = (*x - sum) / l_jj;
            }
        }
        let Some(known) = row.get(..i) else {
            return false;
        };
        let square = lanes::dot_f64(known, known);
        let Some(diagonal) = row.get_mut(i) else {
            return false;
        };
        let rest = diagonal.to_f64() - square;
        // Written so that NaN fails.
        if !(rest > floor && rest < f64::INFINITY) {
            return false;
        }
        *diagonal = T::from_f64(libm::sqrt(rest));
    }
    true
}

/// A ← Aᵀ
pub(super) fn transpose_in_place<T: Scalar>(a: &mut [T], n: usize) {
    for i in 0..n {
        for j in 0..i {
            let (below, above) = (element(a, n, i, j), element(a, n, j, i));
            set(a, i * n + j, above);
            set(a, j * n + i, below);
        }
    }
}

/// Brings the largest element of column k from row k down to row k, and names the row it was in;
/// `None` where it is zero or not finite.
fn pivot<T: Scalar>(a: &mut [T], n: usize, k: usize) -> Option<usize> {
    let mut best = k;
    let mut size = T::zero();
    for i in k..n {
        let candidate = element(a, n, i, k).abs();
        if candidate > size || candidate.to_f64().is_nan() {
            (best, size) = (i, candidate);
        }
    }
    if !(size > T::zero() && size < T::from_f64(f64::INFINITY)) {
        return None;
    }
    if best != k {
        let (upper, lower) = a.split_at_mut_checked(best * n)?;
        let upper = upper.get_mut(k * n..(k + 1) * n)?;
        let lower = lower.get_mut(..n)?;
        for (x, y) in upper.iter_mut().zip(lower) {
            core::mem::swap(x, y);
        }
    }
    Some(best)
}

/// Subtracts multiples of row k from the rows below it; the multipliers take the place of the
/// zeros of column k.
fn eliminate<T: Scalar>(a: &mut [T], n: usize, k: usize) {
    let Some((upper, lower)) = a.split_at_mut_checked((k + 1) * n) else {
        return;
    };
    let Some([pivot, upper @ ..]) = upper.get(k * n + k..) else {
        return;
    };
    for row in lower.chunks_exact_mut(n.max(1)) {
        if let Some([multiplier, row @ ..]) = row.get_mut(k..) {
            *multiplier /= *pivot;
            lanes::axpy(-*multiplier, upper, row);
        }
    }
}

fn element<T: Scalar>(a: &[T], n: usize, i: usize, j: usize) -> T {
    a.get(i * n + j).copied().unwrap_or_default()
}

fn set<T>(a: &mut [T], i: usize, x: T) {
    if let Some(a) = a.get_mut(i) {
        *a = x;
    }
}
