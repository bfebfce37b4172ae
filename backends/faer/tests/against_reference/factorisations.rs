//! LU and Cholesky, in loops and blocked.
//!
//! Regular matrices are rows of I + E in cyclic order, E random with norm about ½: the condition
//! number is about 3, and elimination must swap every row.

use detfree_core::{Op, Scalar, Shape};

use crate::operands::{Complete, batch, compare, full, numbers, read};

/// Dimensions on both sides of the one from which faer's factorisations take over, and of their
/// blocks.
const DIMENSIONS: [usize; 10] = [1, 2, 3, 8, 15, 16, 17, 31, 64, 150];

/// Numbers in [−1, 1] have variance ⅓ and a random matrix of them the norm 2√(n/3).
fn near_identity(n: usize, seed: u64) -> Vec<f64> {
    let small = 0.25 * (3.0 / n as f64).sqrt();
    let mut a = numbers(Shape::new(n, n), seed);
    a.iter_mut().for_each(|a| *a *= small);
    a.iter_mut().step_by(n + 1).for_each(|a| *a += 1.0);
    a
}

fn regular(n: usize, seed: u64) -> Vec<f64> {
    let mut a = near_identity(n, seed);
    a.rotate_left(n * (seed as usize % n));
    a
}

fn square(n: usize) -> Shape {
    Shape::new(n, n)
}

pub(crate) fn determinants_agree<B: Complete, R: Complete<Scalar = B::Scalar>>(
    b: &B,
    reference: &R,
) {
    for n in DIMENSIONS {
        for seed in 1..4 {
            // Every pivot carries an error of some ε (growth and condition are below 4), n of them.
            let tolerance = 32.0 * B::Scalar::EPSILON * n as f64;
            compare!(
                format!("log_abs_det {n} {seed}"),
                tolerance,
                b,
                reference,
                |on| {
                    let (sign, log) = on
                        .log_abs_det(&mut batch(on, square(n), &regular(n, seed)))
                        .unwrap();
                    assert_eq!(sign.abs(), 1.0);
                    vec![sign, log]
                }
            );
        }
    }
}

pub(crate) fn solutions_agree<B: Complete, R: Complete<Scalar = B::Scalar>>(b: &B, reference: &R) {
    for n in DIMENSIONS {
        for op in [Op::Plain, Op::Transposed] {
            for count in [1, 5] {
                // Backward errors of n ε, times a condition number below 8, of numbers up to 2.
                let tolerance = 32.0 * B::Scalar::EPSILON * n as f64;
                let case = format!("solve {n} {op:?} {count}");
                compare!(case, tolerance, b, reference, |on| {
                    let mut x = full(on, Shape::new(count, n), 9);
                    let mut a = batch(on, square(n), &regular(n, 2));
                    assert!(on.solve(&mut a, op, &mut x).unwrap());
                    read(on, &x)
                });
            }
        }
    }
}

pub(crate) fn definiteness_agrees<B: Complete, R: Complete<Scalar = B::Scalar>>(
    b: &B,
    reference: &R,
) {
    for n in DIMENSIONS {
        // The symmetric part decides: add an antisymmetric part as large as it.
        let mut definite = near_identity(n, 5);
        for i in 0..n {
            for j in 0..i {
                definite[i * n + j] += 1.0;
                definite[j * n + i] -= 1.0;
            }
        }
        let mut indefinite = definite.clone();
        indefinite[n * n - 1] = -0.5;
        let mut not_finite = definite.clone();
        not_finite[n * n - 1] = f64::INFINITY;
        // Rank one, and its diagonal positive: definite but for n − 1 vanishing eigenvalues.
        let v = numbers(Shape::new(1, n), 6);
        let outer = |i: usize| v.iter().map(move |x| (i, x));
        let rank_one: Vec<f64> = (0..n).flat_map(outer).map(|(i, x)| v[i] * x).collect();
        // A last pivot on either side of n ε, beyond which it is more than rounding.
        let rounding = n as f64 * B::Scalar::EPSILON;
        let last_pivot = |pivot: f64| {
            let mut a = vec![0.0; n * n];
            a.iter_mut().step_by(n + 1).for_each(|a| *a = 1.0);
            a[n * n - 1] = pivot;
            a
        };
        for (what, a, expected) in [
            ("definite", definite, true),
            ("indefinite", indefinite, false),
            ("not finite", not_finite, false),
            ("rank one", rank_one, n == 1),
            ("as good as singular", last_pivot(0.5 * rounding), n == 1),
            ("barely definite", last_pivot(2.0 * rounding), true),
            ("zero", vec![0.0; n * n], false),
        ] {
            let on_b = b
                .is_positive_definite(&mut batch(b, square(n), &a))
                .unwrap();
            let on_reference = reference
                .is_positive_definite(&mut batch(reference, square(n), &a))
                .unwrap();
            assert_eq!((on_b, on_reference), (expected, expected), "{what} {n}");
        }
    }
}

pub(crate) fn singular_matrices_are_refused<B: Complete, R: Complete<Scalar = B::Scalar>>(
    b: &B,
    reference: &R,
) {
    for n in DIMENSIONS {
        let whole = regular(n, 3);
        let mut zero_row = whole.clone();
        zero_row[(n / 2) * n..(n / 2 + 1) * n].fill(0.0);
        let mut zero_column = whole.clone();
        zero_column
            .iter_mut()
            .skip(n / 2)
            .step_by(n)
            .for_each(|a| *a = 0.0);
        refuses(b, "a row of zeros", n, &zero_row);
        refuses(b, "a column of zeros", n, &zero_column);
        refuses(b, "zero", n, &vec![0.0; n * n]);
        refuses(reference, "a row of zeros", n, &zero_row);
        refuses(reference, "a column of zeros", n, &zero_column);
        // One bad number, anywhere.
        for i in (0..n * n).step_by(1 + n * n / 300) {
            for bad in [f64::NAN, f64::INFINITY] {
                let mut broken = whole.clone();
                broken[i] = bad;
                refuses(b, "an element that is not finite", n, &broken);
            }
        }
    }
}

fn refuses<B: Complete>(b: &B, what: &str, n: usize, a: &[f64]) {
    let matrix = || batch(b, square(n), a);
    let singular = (0.0, f64::NEG_INFINITY);
    assert_eq!(
        b.log_abs_det(&mut matrix()).unwrap(),
        singular,
        "{what} {n}"
    );
    for op in [Op::Plain, Op::Transposed] {
        let mut x = full(b, Shape::new(2, n), 9);
        assert!(!b.solve(&mut matrix(), op, &mut x).unwrap(), "{what} {n}");
    }
}
