//! LU and Cholesky: faer's blocked ones for large matrices, the reference's loops for small ones.

use core::convert::Infallible;

use detfree_core::{DenseBackend, Op, Scalar};
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor as cholesky;
use faer::linalg::lu::partial_pivoting::{factor as lu, solve as lu_solve};
use faer::perm::PermRef;
use faer::{MatMut, MatRef, Par};

use crate::{Batch, Number, Plain};

/// The dimension from which faer's blocking pays.
const BLOCKED: usize = 16;

/// (sign, log|det a|); see [`DenseBackend::log_abs_det`].
pub(crate) fn log_abs_det<T: Number>(a: &mut Batch<T>) -> Result<(f64, f64), Infallible> {
    if a.shape().rows < BLOCKED {
        return Plain::<T>::new().log_abs_det(a);
    }
    let Some(lu) = square(a).and_then(Lu::of_transposed) else {
        return Ok((0.0, f64::NEG_INFINITY));
    };
    let mut sign = if lu.swaps % 2 == 0 { 1.0 } else { -1.0 };
    let mut log = 0.0;
    for pivot in lu.pivots() {
        sign *= pivot.signum();
        log += pivot.abs().ln();
    }
    Ok((sign, log))
}

/// `x_r ← op(A)⁻¹ x_r`; see [`DenseBackend::solve`].
pub(crate) fn solve<T: Number>(
    a: &mut Batch<T>,
    op: Op,
    x: &mut Batch<T>,
) -> Result<bool, Infallible> {
    let n = a.shape().rows;
    if n < BLOCKED {
        return Plain::<T>::new().solve(a, op, x);
    }
    let count = x.shape().rows;
    let Some(lu) = square(a).and_then(Lu::of_transposed) else {
        return Ok(false);
    };
    if x.shape().dim != n {
        return Ok(false);
    }
    lu.solve(
        op,
        MatMut::from_column_major_slice_mut(x.as_mut_slice(), n, count),
    );
    Ok(true)
}

/// Whether (A + Aᵀ)/2 is positive definite; see [`DenseBackend::is_positive_definite`].
///
/// As in the reference, beyond rounding: every pivot must exceed n ε times the largest diagonal
/// element.
pub(crate) fn is_positive_definite<T: Number>(a: &mut Batch<T>) -> Result<bool, Infallible> {
    let n = a.shape().rows;
    if n < BLOCKED {
        return Plain::<T>::new().is_positive_definite(a);
    }
    let Some(mut a) = square(a) else {
        return Ok(false);
    };
    let half = T::from_f64(0.5);
    for j in 0..n {
        for i in j + 1..n {
            a[(i, j)] = (a[(i, j)] + a[(j, i)]) * half;
        }
    }
    let largest = diagonal(a.as_ref()).fold(0.0, f64::max);
    let scratch = cholesky::cholesky_in_place_scratch::<T>(n, Par::Seq, Default::default());
    let factored = cholesky::cholesky_in_place(
        a.as_mut(),
        Default::default(),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    );
    let floor = n as f64 * T::EPSILON * largest;
    Ok(factored.is_ok()
        && diagonal(a.as_ref()).all(|root| {
            let pivot = root * root;
            pivot > floor && pivot < f64::INFINITY
        }))
}

/// P Aᵀ = L U with the factors in A's memory: read by columns, a row-major A is its transpose.
struct Lu<'a, T> {
    factors: MatMut<'a, T>,
    permutation: Vec<usize>,
    inverse: Vec<usize>,
    swaps: usize,
}

impl<'a, T: Number> Lu<'a, T> {
    /// `None` where a pivot vanishes or is not finite.
    fn of_transposed(mut transposed: MatMut<'a, T>) -> Option<Self> {
        let n = transposed.nrows();
        let (mut permutation, mut inverse) = (vec![0; n], vec![0; n]);
        let scratch = lu::lu_in_place_scratch::<usize, T>(n, n, Par::Seq, Default::default());
        let (info, _) = lu::lu_in_place(
            transposed.as_mut(),
            &mut permutation,
            &mut inverse,
            Par::Seq,
            MemStack::new(&mut MemBuffer::new(scratch)),
            Default::default(),
        );
        let lu = Self {
            factors: transposed,
            permutation,
            inverse,
            swaps: info.transposition_count,
        };
        let regular = lu.pivots().all(|pivot| pivot != 0.0 && pivot.is_finite());
        regular.then_some(lu)
    }

    fn pivots(&self) -> impl Iterator<Item = f64> + '_ {
        diagonal(self.factors.as_ref())
    }

    /// Every column x ← op(A)⁻¹ x.
    fn solve(&self, op: Op, x: MatMut<'_, T>) {
        let factors = self.factors.as_ref();
        let n = factors.nrows();
        let permutation = PermRef::new_checked(&self.permutation, &self.inverse, n);
        let scratch = lu_solve::solve_in_place_scratch::<usize, T>(n, x.ncols(), Par::Seq);
        let mut memory = MemBuffer::new(scratch);
        let solve = match op {
            Op::Plain => lu_solve::solve_transpose_in_place::<usize, T, T>,
            Op::Transposed => lu_solve::solve_in_place::<usize, T, T>,
        };
        solve(
            factors,
            factors,
            permutation,
            x,
            Par::Seq,
            MemStack::new(&mut memory),
        );
    }
}

/// A square batch read by columns; `None` where it is not square.
fn square<T: Scalar>(a: &mut Batch<T>) -> Option<MatMut<'_, T>> {
    let shape = a.shape();
    (shape.rows == shape.dim)
        .then(|| MatMut::from_column_major_slice_mut(a.as_mut_slice(), shape.dim, shape.rows))
}

fn diagonal<T: Scalar>(a: MatRef<'_, T>) -> impl Iterator<Item = f64> + '_ {
    (0..a.nrows()).map(move |k| a[(k, k)].to_f64())
}
