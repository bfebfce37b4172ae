//! LU and Cholesky, on copies: nalgebra's factorisations own their matrix.

use detfree_core::{Dense, Op, Scalar, Storage};
use nalgebra::{Cholesky, DMatrix, Dyn, LU, RealField};

use crate::view::{columns, columns_mut};

/// (sign, log|det a|), `None` for a singular matrix.
pub(crate) fn log_abs_det<S: Storage<Item: RealField>>(a: &Dense<S>) -> Option<(f64, f64)> {
    let (lu, pivots) = regular(columns(a).transpose())?;
    let mut sign = lu.p().determinant::<f64>();
    let mut log = 0.0;
    for pivot in pivots {
        sign *= pivot.signum();
        log += pivot.abs().ln();
    }
    Some((sign, log))
}

/// `x_r ← op(A)⁻¹ x_r`, `None` for a singular matrix.
pub(crate) fn solve<S: Storage<Item: RealField>>(
    a: &Dense<S>,
    op: Op,
    x: &mut Dense<S>,
) -> Option<()> {
    let a = match op {
        Op::Plain => columns(a).transpose(),
        Op::Transposed => columns(a).into_owned(),
    };
    let mut x = columns_mut(x);
    if x.nrows() != a.nrows() {
        return None;
    }
    let (lu, _) = regular(a)?;
    lu.solve_mut(&mut x).then_some(())
}

/// Whether (A + Aᵀ)/2 is positive definite.
///
/// As in the reference, beyond rounding: every pivot must exceed n ε times the largest diagonal
/// element.
pub(crate) fn is_positive_definite<S: Storage<Item: RealField>>(a: &Dense<S>) -> bool {
    let a = columns(a);
    if !a.is_square() {
        return false;
    }
    let half = S::Item::from_f64(0.5);
    let symmetric = DMatrix::from_fn(a.nrows(), a.ncols(), |i, j| (a[(i, j)] + a[(j, i)]) * half);
    let largest = diagonal(&symmetric).into_iter().fold(0.0, f64::max);
    let floor = a.nrows() as f64 * S::Item::EPSILON * largest;
    Cholesky::new(symmetric).is_some_and(|factor| {
        diagonal(factor.l_dirty()).into_iter().all(|root| {
            let pivot = root * root;
            pivot > floor && pivot < f64::INFINITY
        })
    })
}

/// The factors of a square matrix and the pivots, `None` where a pivot vanishes or is not finite.
///
/// nalgebra multiplies by the reciprocal of a pivot: where that overflows, the pivots after a
/// subnormal one are not finite.
fn regular<T: Scalar + RealField>(a: DMatrix<T>) -> Option<(LU<T, Dyn, Dyn>, Vec<f64>)> {
    if !a.is_square() {
        return None;
    }
    let lu = LU::new(a);
    let pivots = diagonal(&lu.u());
    let regular = pivots
        .iter()
        .all(|pivot| *pivot != 0.0 && pivot.is_finite());
    regular.then_some((lu, pivots))
}

fn diagonal<T: Scalar + RealField>(a: &DMatrix<T>) -> Vec<f64> {
    (0..a.nrows()).map(|k| a[(k, k)].to_f64()).collect()
}
