//! The reference backend against naive loops: it is the specification of all others.

use detfree_core::reference::{Arrays, Heap, Slices};
use detfree_core::{
    Activation, Adam, Allocate, Backend, BaseDensity, Dense, DenseBackend, Fill, FlowBackend, Key,
    Op, Scalar, Shape, Store,
};

/// 1×1, single rows, dimensions on both sides of the eight lanes and of a Philox block.
const SHAPES: [(usize, usize, usize); 6] = [
    (1, 1, 1),
    (1, 9, 4),
    (3, 8, 8),
    (5, 17, 3),
    (4, 33, 130),
    (7, 129, 5),
];

fn normals<T: Scalar>(rows: usize, dim: usize, seed: u64) -> Dense<Vec<T>> {
    let mut x = Dense::on_heap(Shape::new(rows, dim));
    let what = Fill::Gaussian {
        key: Key::new(seed),
        first_row: 0,
        scale: 1.0,
    };
    Heap::<T>::new().fill(what, &mut x).unwrap();
    x
}

fn dirty<T: Scalar>(rows: usize, dim: usize) -> Dense<Vec<T>> {
    let mut x = Dense::on_heap(Shape::new(rows, dim));
    x.as_mut_slice().fill(T::from_f64(f64::NAN));
    x
}

fn at<T: Scalar>(x: &Dense<Vec<T>>, r: usize, c: usize) -> f64 {
    x.row(r)[c].to_f64()
}

/// Compares rows of `range` with `expected`, to `terms` roundings of values of size 10, and wants
/// the other rows untouched: still NaN.
fn compare<T: Scalar>(
    what: &str,
    found: &Dense<Vec<T>>,
    range: std::ops::Range<usize>,
    terms: usize,
    expected: impl Fn(usize, usize) -> f64,
) {
    let tolerance = 10.0 * terms as f64 * T::EPSILON;
    for r in 0..found.shape().rows {
        for c in 0..found.shape().dim {
            let found = at(found, r, c);
            if range.contains(&r) {
                let difference = (found - expected(r, c)).abs();
                assert!(difference <= tolerance, "{what} ({r}, {c}): {difference:e}");
            } else {
                assert!(found.is_nan(), "{what}: row {r} was written");
            }
        }
    }
}

fn products<T: Scalar>() {
    let b = Heap::<T>::new();
    for (rows, inputs, outputs) in SHAPES {
        let (w, x) = (
            normals::<T>(outputs, inputs, 1),
            normals::<T>(rows, inputs, 2),
        );
        let y = normals::<T>(rows, outputs, 3);
        for range in [0..rows, rows / 3..rows - rows / 3, rows..rows] {
            let wx = |r, i| {
                (0..inputs)
                    .map(|j| at(&w, i, j) * at(&x, r, j))
                    .sum::<f64>()
            };
            let wty = |r, j| {
                (0..outputs)
                    .map(|i| at(&w, i, j) * at(&y, r, i))
                    .sum::<f64>()
            };
            let mut out = dirty(rows, outputs);
            b.apply(range.clone(), &w, Op::Plain, &x, Store::Set, &mut out)
                .unwrap();
            compare("apply", &out, range.clone(), inputs, wx);
            b.apply(range.clone(), &w, Op::Plain, &x, Store::Add, &mut out)
                .unwrap();
            compare("apply +", &out, range.clone(), inputs, |r, i| {
                2.0 * wx(r, i)
            });
            let mut out = dirty(rows, inputs);
            b.apply(range.clone(), &w, Op::Transposed, &y, Store::Set, &mut out)
                .unwrap();
            compare("applyᵀ", &out, range.clone(), outputs, wty);
            b.apply(range.clone(), &w, Op::Transposed, &y, Store::Add, &mut out)
                .unwrap();
            compare("applyᵀ +", &out, range.clone(), outputs, |r, j| {
                2.0 * wty(r, j)
            });

            let a = -0.75;
            let yx = |i, j| {
                let range = range.clone();
                a * range.map(|r| at(&y, r, i) * at(&x, r, j)).sum::<f64>()
            };
            let mut g = dirty(outputs, inputs);
            b.outer(range.clone(), a, &y, &x, Store::Set, &mut g)
                .unwrap();
            compare("outer", &g, 0..outputs, rows, yx);
            b.outer(range.clone(), a, &y, &x, Store::Add, &mut g)
                .unwrap();
            compare("outer +", &g, 0..outputs, rows, |i, j| 2.0 * yx(i, j));
            let column = |_, j| a * range.clone().map(|r| at(&x, r, j)).sum::<f64>();
            let mut g = dirty(1, inputs);
            b.sum_rows(range.clone(), a, &x, Store::Set, &mut g)
                .unwrap();
            compare("sum", &g, 0..1, rows, column);
            b.sum_rows(range.clone(), a, &x, Store::Add, &mut g)
                .unwrap();
            compare("sum +", &g, 0..1, rows, |_, j| 2.0 * column(0, j));
        }
        let mut transposed = dirty(inputs, rows);
        b.transpose(&x, &mut transposed).unwrap();
        compare("transpose", &transposed, 0..inputs, 0, |r, c| at(&x, c, r));
    }
}

fn elementwise<T: Scalar>() {
    let b = Heap::<T>::new();
    for (rows, dim, _) in SHAPES {
        let [x, y, z] = [1, 2, 3].map(|seed| normals::<T>(rows, dim, seed));
        for range in [0..rows, rows / 3..rows - rows / 3, rows..rows] {
            let mut out = dirty(rows, dim);
            b.hadamard(range.clone(), &x, &y, Store::Set, &mut out)
                .unwrap();
            compare("∘", &out, range.clone(), 1, |r, c| {
                at(&x, r, c) * at(&y, r, c)
            });
            b.hadamard(range.clone(), &x, &y, Store::Add, &mut out)
                .unwrap();
            compare("∘ +", &out, range.clone(), 2, |r, c| {
                2.0 * at(&x, r, c) * at(&y, r, c)
            });
            // The range alone is read and written: NaN elsewhere stays.
            let mut out = dirty(rows, dim);
            for r in range.clone() {
                out.row_mut(r).copy_from_slice(x.row(r));
            }
            b.axpy(range.clone(), 0.5, &y, &mut out).unwrap();
            compare("axpy", &out, range.clone(), 1, |r, c| {
                at(&x, r, c) + 0.5 * at(&y, r, c)
            });
            b.scale_shift(range.clone(), &y, Some(&z), &mut out)
                .unwrap();
            compare("scale, shift", &out, range.clone(), 4, |r, c| {
                (at(&x, r, c) + 0.5 * at(&y, r, c)) * at(&y, r, c) + at(&z, r, c)
            });
            b.scale_shift(range.clone(), &y, None, &mut out).unwrap();
            let mut dots = Dense::on_heap(Shape::new(rows, 1));
            b.fill_rows(1.0, &mut dots).unwrap();
            b.dot_rows(range.clone(), 2.0, &x, &y, &mut dots).unwrap();
            for r in 0..rows {
                let dot: f64 = (0..dim).map(|c| at(&x, r, c) * at(&y, r, c)).sum();
                let expected = if range.contains(&r) {
                    1.0 + 2.0 * dot
                } else {
                    1.0
                };
                // Accumulated in f64 whatever the data.
                assert!((dots.row(r)[0] - expected).abs() < 1e-13 * dim as f64);
            }
        }
        let mut weights = Dense::on_heap(Shape::new(rows, 1));
        let host: Vec<f64> = (0..rows).map(|r| r as f64 - 1.5).collect();
        b.upload_rows(&host, &mut weights).unwrap();
        let mut scaled = dirty(rows, dim);
        b.copy(&x, &mut scaled).unwrap();
        b.scale_rows(&weights, &mut scaled).unwrap();
        compare("scale rows", &scaled, 0..rows, 1, |r, c| {
            host[r] * at(&x, r, c)
        });
        b.add_bias(&y, &mut scaled).unwrap();
        compare("bias", &scaled, 0..rows, 2, |r, c| {
            host[r] * at(&x, r, c) + at(&y, 0, c)
        });
    }
}

#[test]
fn products_match_loops() {
    products::<f32>();
    products::<f64>();
}

#[test]
fn elementwise_passes_match_loops() {
    elementwise::<f32>();
    elementwise::<f64>();
}

/// Numbers below 2⁻¹⁰⁰ (2⁻⁹⁰⁰) become zero in the rows of the range; others, NaN among them, stay.
#[test]
fn tiny_numbers_are_flushed() {
    fn check<T: Scalar>() {
        let tiny = T::TINY;
        let half = T::from_f64(0.5);
        let row = [
            tiny,
            -tiny,
            tiny * half,
            -tiny * half,
            T::one(),
            T::from_f64(f64::NAN),
        ];
        let mut x = Dense::new(Shape::new(3, 6), [row; 3].concat()).unwrap();
        Heap::<T>::new().flush_tiny(1..2, &mut x).unwrap();
        let [zero, one] = [T::zero(), T::one()];
        assert_eq!(x.row(1)[..5], [tiny, -tiny, zero, zero, one]);
        assert!(x.row(1)[5].to_f64().is_nan());
        assert_eq!((x.row(0)[2], x.row(2)[3]), (row[2], row[3]));
    }
    check::<f32>();
    check::<f64>();
    assert_eq!(f64::from(f32::TINY), 0.5_f64.powi(100));
    assert_eq!(f64::TINY, 0.5_f64.powi(900));
}

#[test]
fn fills_are_what_they_say() {
    let b = Heap::<f64>::new();
    let (rows, dim) = (3, 150);
    let key = Key::new(9);
    let (first_row, scale) = (1 << 33, 0.5);
    let fill = |what| {
        let mut x = dirty::<f64>(rows, dim);
        b.fill(what, &mut x).unwrap();
        x
    };
    let sign = |r: usize, c: usize| f64::from(key.sign(first_row + r as u64, c as u32));
    let same = |x: &Dense<Vec<f64>>, expected: &dyn Fn(usize, usize) -> f64| {
        compare("fill", x, 0..rows, 0, expected);
    };
    same(&fill(Fill::Constant(2.5)), &|_, _| 2.5);
    same(&fill(Fill::Identity), &|r, c| f64::from(u8::from(r == c)));
    same(&fill(Fill::Basis(140)), &|_, c| {
        f64::from(u8::from(c == 140))
    });
    same(
        &fill(Fill::Rademacher {
            key,
            first_row,
            scale,
        }),
        &|r, c| 0.5 * sign(r, c),
    );
    same(
        &fill(Fill::Gaussian {
            key,
            first_row,
            scale,
        }),
        &|r, c| 0.5 * key.normal(first_row + r as u64, c as u32),
    );
    let walsh = |index| {
        fill(Fill::Walsh {
            key,
            first_row,
            index,
            scale,
        })
    };
    same(&walsh(5), &|r, c| {
        let parity = (5 & c as u32).count_ones() & 1;
        0.5 * sign(r, c) * if parity == 1 { -1.0 } else { 1.0 }
    });
    // Walsh rows are orthogonal over the first 128 columns.
    let (a, b) = (walsh(5), walsh(77));
    let dot: f64 = a.row(1)[..128]
        .iter()
        .zip(b.row(1))
        .map(|(a, b)| a * b)
        .sum();
    assert_eq!(dot, 0.0);
}

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

/// The passes of a flow and of training: each row on its own, through the slice functions.
#[test]
fn flow_passes_go_row_by_row() {
    let b = Heap::<f64>::new();
    let (rows, dim) = (3, 9);
    let activation = Activation::LeakySoftplus { alpha: 0.3 };
    let (h, bias) = (normals::<f64>(rows, dim, 1), normals::<f64>(1, dim, 2));
    let mut y = h.clone();
    let [mut z, mut d1, mut d2] = [(); 3].map(|()| dirty::<f64>(rows, dim));
    let mut log = b.rows(rows).unwrap();
    b.fill_rows(1.0, &mut log).unwrap();
    b.bijection(
        activation, &bias, &mut y, &mut z, &mut d1, &mut d2, &mut log,
    )
    .unwrap();
    for r in 0..rows {
        let shifted: Vec<f64> = h
            .row(r)
            .iter()
            .zip(bias.row(0))
            .map(|(h, b)| h + b)
            .collect();
        let mut expected = [(); 3].map(|()| vec![0.0; dim]);
        let [ez, e1, es] = &mut expected;
        let sum = activation.bijection(&shifted, ez, e1, es);
        assert_eq!((y.row(r), z.row(r)), (&shifted[..], &ez[..]));
        assert_eq!((d1.row(r), d2.row(r)), (&e1[..], &es[..]));
        assert_eq!(log.row(r)[0], 1.0 + sum);
    }
    let mut back = z.clone();
    b.inverse_bijection(activation, &bias, &mut back).unwrap();
    compare("inverse", &back, 0..rows, 4, |r, c| at(&h, r, c));

    let mut again = h.clone();
    let [mut z2, mut first, mut second] = [(); 3].map(|()| dirty::<f64>(rows, dim));
    b.bias_activate(
        activation,
        &bias,
        &mut again,
        &mut z2,
        &mut first,
        &mut second,
    )
    .unwrap();
    assert_eq!(
        (again.as_slice(), z2.as_slice()),
        (y.as_slice(), z.as_slice())
    );
    compare("σ''", &second, 0..rows, 8, |r, c| {
        at(&first, r, c) * at(&d2, r, c)
    });

    let mut score = dirty::<f64>(rows, dim);
    b.base_density(BaseDensity::Normal, &z, &mut score, &mut log)
        .unwrap();
    compare("score", &score, 0..rows, 1, |r, c| -at(&z, r, c));

    // Two Adam steps against the published update with explicit bias corrections.
    let [g1, g2] = [5, 6].map(|seed| normals::<f64>(rows, dim, seed));
    let mut w = normals::<f64>(rows, dim, 7);
    let start = w.clone();
    let [mut m, mut v] = [(); 2].map(|()| Dense::on_heap(Shape::new(rows, dim)));
    for (t, g) in [(1, &g1), (2, &g2)] {
        b.adam(&Adam::new(0.01, t), g, &mut m, &mut v, &mut w)
            .unwrap();
    }
    compare("Adam", &w, 0..rows, 8, |r, c| {
        let (mut m, mut v, mut w) = (0.0_f64, 0.0_f64, at(&start, r, c));
        for (t, g) in [(1, at(&g1, r, c)), (2, at(&g2, r, c))] {
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            let (m, v) = (m / (1.0 - 0.9_f64.powi(t)), v / (1.0 - 0.999_f64.powi(t)));
            w += 0.01 * m / (v.sqrt() + 1e-8);
        }
        w
    });
}

/// A broken contract gives unspecified numbers, never a panic: absurd ranges, and shapes whose size
/// overflows, in a build that checks for overflow.
#[test]
fn absurd_ranges_and_shapes_do_not_panic() {
    let b = Heap::<f64>::new();
    let x = normals::<f64>(3, 4, 1);
    for range in [usize::MAX - 1..usize::MAX, 2..usize::MAX, 9..12] {
        let mut y = x.clone();
        b.axpy(range.clone(), 1.0, &x, &mut y).unwrap();
        b.flush_tiny(range.clone(), &mut y).unwrap();
        b.hadamard(range, &x, &x, Store::Add, &mut y).unwrap();
        assert_eq!(y.as_slice(), x.as_slice());
    }
    assert!(x.row(usize::MAX).is_empty());
    let mut empty = Dense::<Vec<f64>>::on_heap(Shape::new(0, usize::MAX));
    b.fill(Fill::Constant(1.0), &mut empty).unwrap();
    b.axpy(0..1, 1.0, &x, &mut empty).unwrap();
    assert!(empty.row(0).is_empty() && empty.as_slice().is_empty());
}

/// Arrays and slices give the bits of the heap, in storage that is larger than the batch.
#[test]
fn storages_agree() {
    let (rows, dim) = (2, 5);
    let shape = Shape::new(rows, dim);
    let (w, x) = (normals::<f32>(dim, dim, 1), normals::<f32>(rows, dim, 2));
    let mut expected = dirty(rows, dim);
    Heap::<f32>::new()
        .apply(0..rows, &w, Op::Transposed, &x, Store::Set, &mut expected)
        .unwrap();

    let array = |from: &Dense<Vec<f32>>| {
        let mut storage = [f32::NAN; 40];
        storage[..from.as_slice().len()].copy_from_slice(from.as_slice());
        Dense::new(from.shape(), storage).unwrap()
    };
    let mut out = Dense::new(shape, [f32::NAN; 40]).unwrap();
    Arrays::<f32, 40, 2>::new()
        .apply(
            0..rows,
            &array(&w),
            Op::Transposed,
            &array(&x),
            Store::Set,
            &mut out,
        )
        .unwrap();
    assert_eq!(out.as_slice(), expected.as_slice());

    let (mut ws, mut xs, mut outs) = (
        w.as_slice().to_vec(),
        x.as_slice().to_vec(),
        vec![f32::NAN; 64],
    );
    let [ws, xs] = [
        Dense::new(w.shape(), &mut ws[..]).unwrap(),
        Dense::new(x.shape(), &mut xs[..]).unwrap(),
    ];
    let mut outs = Dense::new(shape, &mut outs[..]).unwrap();
    Slices::<f32>::new()
        .apply(0..rows, &ws, Op::Transposed, &xs, Store::Set, &mut outs)
        .unwrap();
    assert_eq!(outs.as_slice(), expected.as_slice());
}
