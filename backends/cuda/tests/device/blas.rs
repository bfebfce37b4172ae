//! How this backend uses cuBLAS, where the interpreter stands in for it: the arguments, the context of
//! a handle, and what is left when the device is lost.

use std::{env, thread};

use detfree_core::{Allocate, DenseBackend, Op, Scalar, Shape, Store};
use detfree_cuda::{Cuda, CudaError, DeviceScalar, Products};
use libtest_mimic::Completion;

use crate::launches::{ALONE, alone};
use crate::{common, read};

const STANDS_IN: &str = "the interpreter stands in for cuBLAS; the suite runs with it on a GPU";

fn opened<T: DeviceScalar>() -> Cuda<T> {
    let b = Cuda::new(0).unwrap();
    assert_eq!(b.device().unwrap().products, Products::CuBlas);
    b
}

/// Whole numbers, whose sums are exact.
fn whole<B: Allocate>(b: &B, shape: Shape, seed: usize) -> B::Batch {
    let numbers: Vec<_> = (0..shape.rows * shape.dim)
        .map(|i| B::Scalar::from_f64(((i * 7 + seed) % 11) as f64))
        .collect();
    let mut x = b.batch(shape).unwrap();
    b.upload(&numbers, &mut x).unwrap();
    x
}

/// The same products as our own kernels', from a thread that has bound no context; and then the
/// backend is dropped on another.
pub(crate) fn products<T: DeviceScalar>() -> Completion {
    if common::device_required() {
        return Completion::ignored_with(STANDS_IN);
    }
    let (own, b) = (common::own::<T>().unwrap(), opened::<T>());
    let b = thread::spawn(move || {
        assert_eq!(results(&b), results(&own));
        b
    });
    drop(b.join().unwrap());
    Completion::Completed
}

fn results<T: DeviceScalar>(b: &Cuda<T>) -> Vec<Vec<f64>> {
    let (w, x) = (whole(b, Shape::new(3, 5), 1), whole(b, Shape::new(4, 5), 2));
    let mut y = whole(b, Shape::new(4, 3), 3);
    let mut back = whole(b, Shape::new(4, 5), 4);
    let mut g = whole(b, Shape::new(3, 5), 5);
    b.apply(1..4, &w, Op::Plain, &x, Store::Add, &mut y)
        .unwrap();
    b.apply(0..3, &w, Op::Transposed, &y, Store::Set, &mut back)
        .unwrap();
    b.outer(1..3, -2.0, &y, &back, Store::Add, &mut g).unwrap();
    [&y, &back, &g].map(|x| read(b, x)).into()
}

/// An error of a kernel is sticky: products name it as every call does, and dropping the backend is
/// quiet, though cuBLAS refuses to take its handle back.
pub(crate) fn lost_device() -> Completion {
    if common::device_required() {
        return Completion::ignored_with(STANDS_IN);
    }
    if env::var_os(ALONE).is_none() {
        alone("blas::lost_device", &[("DETFREE_PTX_BUDGET", "500")]);
        return Completion::Completed;
    }
    let b = opened::<f32>();
    let mut a = whole(&b, Shape::new(9, 9), 1);
    let mut y = b.batch(Shape::new(9, 9)).unwrap();
    let lost = |outcome: Result<(), CudaError>| {
        let error = outcome.unwrap_err();
        assert!(matches!(error, CudaError::DeviceLost { .. }), "{error}");
    };
    lost(b.log_abs_det(&mut a).map(|_| ()));
    lost(b.apply(0..9, &a, Op::Plain, &a, Store::Set, &mut y));
    drop(b);
    Completion::Completed
}
