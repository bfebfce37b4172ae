//! Determinants, solutions and definiteness.

use detfree_core::reference::Heap;
use detfree_core::{Dense, DenseBackend, Op, Shape, Store};

use crate::{dirty, normals};

/// The determinant by expansion along the first row.
fn expanded(a: &[Vec<f64>]) -> f64 {
    if a.is_empty() {
        return 1.0;
    }
    (0..a.len())
        .map(|c| {
            let minor: Vec<Vec<f64>> = a[1..]
                .iter()
                .map(|row| [&row[..c], &row[c + 1..]].concat())
                .collect();
            let sign = if c % 2 == 0 { 1.0 } else { -1.0 };
            sign * a[0][c] * expanded(&minor)
        })
        .sum()
}

#[test]
fn elimination_matches_expansion() {
    let b = Heap::<f64>::new();
    for n in 1..=6 {
        for seed in 0..20 {
            let a = normals::<f64>(n, n, 100 + seed);
            let rows: Vec<Vec<f64>> = (0..n).map(|r| a.row(r).to_vec()).collect();
            let det = expanded(&rows);
            let (sign, log) = b.log_abs_det(&mut a.clone()).unwrap();
            assert_eq!(sign, det.signum());
            assert!((log - det.abs().ln()).abs() < 1e-12, "n = {n}");

            let x = normals::<f64>(3, n, 200 + seed);
            for op in [Op::Plain, Op::Transposed] {
                let mut product = dirty(3, n);
                b.apply(0..3, &a, op, &x, Store::Set, &mut product).unwrap();
                assert!(b.solve(&mut a.clone(), op, &mut product).unwrap());
                for (x, back) in x.as_slice().iter().zip(product.as_slice()) {
                    // Condition numbers of these matrices stay below 1e4.
                    assert!((x - back).abs() < 1e-10, "{op:?}, n = {n}");
                }
            }
        }
    }
}

#[test]
fn singular_matrices_are_found() {
    let b = Heap::<f64>::new();
    let square = |n: usize, values: &[f64]| Dense::new(Shape::new(n, n), values.to_vec()).unwrap();
    for values in [[1.0, 2.0, 2.0, 4.0], [0.0; 4], [f64::NAN, 1.0, 1.0, 1.0]] {
        let a = square(2, &values);
        let found = b.log_abs_det(&mut a.clone()).unwrap();
        assert_eq!(found, (0.0, f64::NEG_INFINITY));
        let mut x = normals(1, 2, 1);
        assert!(!b.solve(&mut a.clone(), Op::Plain, &mut x).unwrap());
        assert!(!b.is_positive_definite(&mut a.clone()).unwrap());
    }
    // The symmetric part decides: a rotation by 80° is definite, one by 100° is not.
    for (degrees, definite) in [(80.0_f64, true), (100.0, false)] {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let mut a = square(2, &[cos, -sin, sin, cos]);
        assert_eq!(b.is_positive_definite(&mut a).unwrap(), definite);
    }
    // G Gᵀ + small I is, minus more than its smallest eigenvalue is not.
    for n in [1, 2, 5, 9] {
        let g = normals::<f64>(n, n, 5);
        let mut gram = dirty(n, n);
        b.apply(0..n, &g, Op::Plain, &g, Store::Set, &mut gram)
            .unwrap();
        for i in 0..n {
            gram.row_mut(i)[i] += 0.1;
        }
        assert!(b.is_positive_definite(&mut gram.clone()).unwrap());
        let trace: f64 = (0..n).map(|i| gram.row(i)[i]).sum();
        for i in 0..n {
            gram.row_mut(i)[i] -= trace / n as f64 + 1e-6;
        }
        assert!(!b.is_positive_definite(&mut gram).unwrap());
    }
}
