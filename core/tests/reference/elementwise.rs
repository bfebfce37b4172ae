//! Elementwise passes, row results and fills.

use detfree_core::reference::Heap;
use detfree_core::{Backend, Dense, DenseBackend, Fill, Key, Scalar, Shape, Store};

use crate::{SHAPES, at, compare, dirty, normals};

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
