//! Factorisations by one block, of a warp and of many: the reference's answers.

use detfree_core::reference::Heap;
use detfree_core::{Allocate, Backend, DenseBackend, Fill, Op, Shape};
use detfree_cuda::DeviceScalar;

use crate::{common, near, normals, read};

/// Around the numbers of threads that a block has.
const DIMS: [usize; 7] = [1, 2, 8, 9, 33, 70, 260];

/// Well conditioned, and with the largest elements off the diagonal, so that rows are exchanged.
fn matrix<B: DenseBackend + Allocate>(b: &B, n: usize) -> B::Batch {
    let small = 0.2 / (n as f64).sqrt();
    let host = Heap::<B::Scalar>::new();
    let mut a = normals(&host, Shape::new(n, n), 7, small);
    for i in 0..n {
        a.row_mut(i)[(i + n / 2) % n] += <B::Scalar as detfree_core::Scalar>::from_f64(1.0);
    }
    let mut x = b.batch(Shape::new(n, n)).unwrap();
    b.upload(a.as_slice(), &mut x).unwrap();
    x
}

pub(crate) fn lu<T: DeviceScalar>() {
    let (b, reference) = (common::own::<T>().unwrap(), Heap::<T>::new());
    for n in DIMS {
        let (sign, log) = b.log_abs_det(&mut matrix(&b, n)).unwrap();
        let Ok((want_sign, want_log)) = reference.log_abs_det(&mut matrix(&reference, n));
        assert_eq!(sign, want_sign, "{n}");
        near("log|det|", &[log], &[want_log], 4.0 * T::EPSILON * n as f64);
        for op in [Op::Plain, Op::Transposed] {
            // More rows than a block has warps.
            for rows in [1, 9] {
                let got = solution(&b, n, op, rows);
                let want = solution(&reference, n, op, rows);
                let case = format!("solve {op:?} {n}, {rows} rows");
                near(&case, &got, &want, 64.0 * T::EPSILON * n as f64);
            }
        }
    }
    for bad in [0.0, f64::NAN, f64::INFINITY] {
        let mut a = b.batch(Shape::new(40, 40)).unwrap();
        b.fill(Fill::Constant(bad), &mut a).unwrap();
        let singular = (0.0, f64::NEG_INFINITY);
        assert_eq!(b.log_abs_det(&mut a).unwrap(), singular, "{bad}");
        b.fill(Fill::Constant(bad), &mut a).unwrap();
        let mut x = normals(&b, Shape::new(3, 40), 1, 1.0);
        assert!(!b.solve(&mut a, Op::Plain, &mut x).unwrap(), "{bad}");
    }
}

fn solution<B: DenseBackend + Allocate>(b: &B, n: usize, op: Op, rows: usize) -> Vec<f64> {
    let mut x = normals(b, Shape::new(rows, n), 2, 1.0);
    assert!(b.solve(&mut matrix(b, n), op, &mut x).unwrap());
    read(b, &x)
}

pub(crate) fn cholesky<T: DeviceScalar>() {
    let b = common::own::<T>().unwrap();
    for n in DIMS {
        // Dominated by the diagonal; the antisymmetric part is no part of the answer.
        let definite = |change: &dyn Fn(&mut [T], usize)| {
            let host = Heap::<T>::new();
            let mut a = normals(&host, Shape::new(n, n), 7, 0.1 / n as f64);
            for i in 0..n {
                a.row_mut(i)[i] += T::from_f64(1.0);
                for j in 0..i {
                    a.row_mut(i)[j] += T::from_f64(5.0);
                    a.row_mut(j)[i] += T::from_f64(-5.0);
                }
            }
            change(a.as_mut_slice(), n);
            let mut x = b.batch(Shape::new(n, n)).unwrap();
            b.upload(a.as_slice(), &mut x).unwrap();
            b.is_positive_definite(&mut x).unwrap()
        };
        assert!(definite(&|_, _| ()), "{n}");
        let last = |x: f64| move |a: &mut [T], n: usize| a[n * n - 1] = T::from_f64(x);
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(!definite(&last(bad)), "{n}, last element {bad}");
        }
        if n > 1 {
            // [1 2; 2 1] in the corner, all of it in the lower triangle.
            assert!(!definite(&|a, n| a[(n - 1) * n] += T::from_f64(4.0)), "{n}");
        }
    }
}
