//! LU and Cholesky: right on matrices of bounded condition, and honest about the others.
//!
//! Regular matrices are rows of I + E in cyclic order, E random with norm about ½: the condition
//! number is about 3, and elimination without swaps loses most digits. With zeros for pivots, and in other
//! units, in which a product of pivots over- or underflows, they are as regular.

use detfree_core::{Allocate, DenseBackend, Error, Op, Scalar, Shape};

use crate::failure::{Computed, ensure, near};
use crate::operands::{batch, read};
use crate::{Outcome, Plain};

/// On both sides of the sizes from which blocked factorisations take over, and of their blocks.
const DIMENSIONS: [usize; 11] = [1, 2, 3, 8, 15, 16, 17, 31, 33, 64, 150];

fn square(n: usize) -> Shape {
    Shape::new(n, n)
}

/// Numbers in [−1, 1] have variance ⅓ and a random matrix of them the norm 2√(n/3).
fn near_identity<T: Scalar>(n: usize, seed: u64) -> Plain {
    let small = 0.25 * (3.0 / n as f64).sqrt();
    let random = Plain::random::<f64>(square(n), seed);
    Plain::identity(n).plus(small, &random).rounded::<T>()
}

fn regular<T: Scalar>(n: usize, seed: u64) -> Plain {
    let mut a = near_identity::<T>(n, seed);
    a.as_mut_slice().rotate_left(n * (seed as usize % n));
    a
}

/// Regular matrices, each by its name.
fn regular_ones<T: Scalar>(n: usize) -> Vec<(String, Plain)> {
    let mut all: Vec<_> = (1..4)
        .map(|seed| (format!("matrix {seed}"), regular::<T>(n, seed)))
        .collect();
    let mut permutation = Plain::identity(n);
    permutation.as_mut_slice().rotate_left(n);
    all.push(("a cyclic permutation".to_owned(), permutation));
    if n > 1 {
        let mut a = regular::<T>(n, 1);
        a.as_mut_slice()[0] = 0.0;
        all.push(("matrix 1 with a zero in front".to_owned(), a));
    }
    all
}

/// Units: powers of two, which round nothing.
const UNITS: [f64; 3] = [1.0, 1024.0, 1.0 / 1024.0];

fn scaled(a: &Plain, unit: f64) -> Plain {
    let shape = a.shape();
    Plain::new(shape.rows, shape.dim, |i, j| unit * a.at(i, j))
}

/// Every pivot carries an error of some ε (growth and condition are below 4), n of them.
fn tolerance<T: Scalar>(n: usize) -> f64 {
    32.0 * T::EPSILON * n as f64
}

fn log_abs_det_of<B: DenseBackend + Allocate>(b: &B, a: &Plain) -> Computed<B, [f64; 2]> {
    let (sign, log) = b.log_abs_det(&mut batch(b, a)?)?;
    Ok([sign, log])
}

fn solved<B: DenseBackend + Allocate>(
    b: &B,
    a: &Plain,
    op: Op,
    x: &Plain,
) -> Computed<B, (bool, Plain)> {
    let mut x = batch(b, x)?;
    let regular = b.solve(&mut batch(b, a)?, op, &mut x)?;
    Ok((regular, read(b, &x)?))
}

pub(crate) fn log_abs_det<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    for n in DIMENSIONS {
        for (name, a) in regular_ones::<B::Scalar>(n) {
            let (sign, log, _) = a.invert();
            for unit in UNITS {
                near(
                    format!("log_abs_det {n}x{n}, {name} times {unit}: [sign, log]"),
                    &log_abs_det_of(b, &scaled(&a, unit))?,
                    &[sign, log + n as f64 * unit.ln()],
                    tolerance::<B::Scalar>(n),
                )?;
            }
        }
    }
    Ok(())
}

pub(crate) fn solve<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    for n in DIMENSIONS {
        for (name, a) in regular_ones::<B::Scalar>(n) {
            let (_, _, inverse) = a.invert();
            let most = if n == 17 { 150 } else { 5 };
            for (op, count, unit) in [
                (Op::Plain, 1, 1.0),
                (Op::Transposed, 1, 1.0),
                (Op::Plain, most, UNITS[1]),
                (Op::Transposed, most, UNITS[2]),
            ] {
                let x = Plain::random::<B::Scalar>(Shape::new(count, n), 9);
                let want = x.times(&inverse.op(op).t());
                let (is_regular, got) = solved(b, &scaled(&a, unit), op, &x)?;
                let case = format!(
                    "solve {n}x{n}, {op:?}, {count} right-hand side(s), {name} times {unit}"
                );
                ensure(is_regular, || {
                    format!("{case}: a regular matrix is refused")
                })?;
                near(case, &scaled(&got, unit), &want, tolerance::<B::Scalar>(n))?;
            }
        }
    }
    Ok(())
}

pub(crate) fn singular_is_refused<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    for n in DIMENSIONS {
        let whole = regular::<B::Scalar>(n, 3);
        let but = |at: &dyn Fn(usize, usize) -> bool, x: f64| {
            Plain::new(n, n, |i, j| if at(i, j) { x } else { whole.at(i, j) })
        };
        refused(b, "a row of zeros", &but(&|i, _| i == n / 2, 0.0))?;
        refused(b, "a column of zeros", &but(&|_, j| j == n / 2, 0.0))?;
        refused(b, "zero", &but(&|_, _| true, 0.0))?;
        // One bad number, anywhere.
        for k in (0..n * n).step_by(1 + n * n / 40) {
            for bad in [f64::NAN, f64::INFINITY] {
                refused(
                    b,
                    &format!("{bad} at {k}"),
                    &but(&|i, j| i * n + j == k, bad),
                )?;
            }
        }
    }
    Ok(())
}

fn refused<B: DenseBackend + Allocate>(b: &B, what: &str, a: &Plain) -> Outcome {
    let n = a.shape().dim;
    let got = log_abs_det_of(b, a)?;
    let singular = [0.0, f64::NEG_INFINITY];
    ensure(got == singular, || {
        format!("log_abs_det {n}x{n} of a matrix with {what} is {got:?}, not {singular:?}")
    })?;
    for op in [Op::Plain, Op::Transposed] {
        let x = Plain::random::<B::Scalar>(Shape::new(2, n), 9);
        let (is_regular, _) = solved(b, a, op, &x)?;
        ensure(!is_regular, || {
            format!("solve {n}x{n}, {op:?}, accepts a matrix with {what}")
        })?;
    }
    Ok(())
}

pub(crate) fn definiteness<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    for n in DIMENSIONS {
        // The symmetric part decides: add an antisymmetric part as large as it.
        let symmetric = near_identity::<B::Scalar>(n, 5);
        let definite = Plain::new(n, n, |i, j| {
            let skew = f64::from(i8::from(i > j) - i8::from(j > i));
            symmetric.at(i, j) + skew
        });
        let with_last = |a: &Plain, x: f64| {
            let mut a = a.clone();
            a.as_mut_slice()[n * n - 1] = x;
            a
        };
        let v = Plain::random::<B::Scalar>(Shape::new(1, n), 6);
        // An even number of negative eigenvalues: the determinant is positive.
        let even = Plain::new(n, n, |i, j| match (i == j, i < 2) {
            (true, true) => -1.0,
            (true, false) => 1.0,
            _ => 0.0,
        });
        // A last pivot on either side of n ε, beyond which it is more than rounding.
        let rounding = n as f64 * B::Scalar::EPSILON;
        let floor = format!("n ε max_i a_ii = {rounding:.2e}");
        for (what, a, expected) in [
            ("definite", definite.clone(), true),
            ("indefinite", with_last(&definite, -0.5), false),
            ("with two negative eigenvalues", even, false),
            ("not finite", with_last(&definite, f64::INFINITY), false),
            ("not a number", with_last(&definite, f64::NAN), false),
            ("of rank one", v.t().times(&v), n == 1),
            (
                &format!(
                    "as good as singular: a pivot of {:.2e}, where {floor}",
                    0.5 * rounding
                ),
                with_last(&Plain::identity(n), 0.5 * rounding),
                n == 1,
            ),
            (
                &format!(
                    "barely definite: a pivot of {:.2e}, where {floor}",
                    2.0 * rounding
                ),
                with_last(&Plain::identity(n), 2.0 * rounding),
                true,
            ),
            ("zero", Plain::filled(square(n), 0.0), false),
        ] {
            let got = batch(b, &a)
                .and_then(|mut a| b.is_positive_definite(&mut a).map_err(Error::Device))?;
            ensure(got == expected, || {
                format!("is_positive_definite, {n}x{n}, says {got} of a matrix that is {what}")
            })?;
        }
    }
    Ok(())
}
