//! In steady state nothing is allocated, neither on the device nor by the host's part of a call.

use std::env;
use std::process::Command;

use allocation_counter::measure;
use detfree_core::{Activation, Adam, Allocate, BaseDensity, DenseBackend, FlowBackend};
use detfree_core::{Backend, Fill, Key, Link, Op, Shape, Store};
use detfree_cuda::{CudaError, DeviceScalar};

use crate::common;

/// Set in a process that runs nothing else: other tests' batches would count, too.
const ALONE: &str = "DETFREE_ALONE";

pub(crate) fn nothing<T: DeviceScalar>() {
    if env::var_os(ALONE).is_some() {
        return of_a_step::<T>();
    }
    let name = format!("steady::allocates_nothing_f{}", 8 * size_of::<T>());
    let run = Command::new(env::current_exe().unwrap())
        .args([&name, "--exact"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let answer = String::from_utf8_lossy(&run.stdout);
    assert!(answer.contains("1 passed"), "{answer}");
}

fn of_a_step<T: DeviceScalar>() {
    let b = common::own::<T>().unwrap();
    // Sums in parts, too.
    let (rows, dim) = (600, 5);
    let shape = Shape::new(rows, dim);
    let activation = Activation::LeakySoftplus { alpha: 0.3 };
    let [mut x, mut y, mut z, mut d1, mut score] = [(); 5].map(|()| b.batch(shape).unwrap());
    let square = Shape::new(dim, dim);
    let [mut w, mut g, mut m, mut v] = [(); 4].map(|()| b.batch(square).unwrap());
    let [mut bias, mut sum, mut scratch] =
        [dim, dim, 1].map(|n| b.batch(Shape::new(1, n)).unwrap());
    let mut log = b.rows(rows).unwrap();
    let tall = b.batch(Shape::new(600, dim)).unwrap();
    let mut large = b.batch(Shape::new(2, 600)).unwrap();
    let mut host = vec![0.0; rows];
    let mut step = || -> Result<(), CudaError> {
        let (key, first_row, scale) = (Key::new(1), 0, 0.1);
        #[rustfmt::skip]
        let (signs, normals) = (
            Fill::Rademacher { key, first_row, scale },
            Fill::Gaussian { key, first_row, scale },
        );
        b.fill(signs, &mut x)?;
        b.fill(Fill::Identity, &mut w)?;
        b.fill(normals, &mut bias)?;
        b.fill(Fill::Constant(0.0), &mut m)?;
        b.fill(Fill::Constant(0.5), &mut v)?;
        b.fill_rows(0.0, &mut log)?;
        for op in [Op::Plain, Op::Transposed] {
            b.apply(0..rows, &w, op, &x, Store::Set, &mut y)?;
        }
        let scaled = Link {
            weight: &w,
            op: Op::Plain,
            scale: Some(&x),
            out: &mut y,
        };
        b.chain(0..rows, &x, [scaled])?;
        // Products in tiles, one of them with a sum in parts.
        let [wide, back] = [
            (Op::Plain, None, &mut large),
            (Op::Transposed, Some(&x), &mut z),
        ]
        .map(|(op, scale, out)| Link {
            weight: &tall,
            op,
            scale,
            out,
        });
        b.chain(0..2, &x, [wide, back])?;
        let sums = Some(&mut log);
        b.bijection(activation, &bias, &mut y, &mut z, &mut d1, &mut score, sums)?;
        b.bias_activate(activation, &bias, &mut y, &mut z, &mut d1, &mut score)?;
        b.base_density(BaseDensity::Normal, &z, &mut score, &mut log)?;
        b.scale_shift(0..rows, &d1, Some(&z), &mut score)?;
        b.hadamard(0..rows, &d1, &z, Store::Add, &mut score)?;
        b.axpy(0..rows, 0.5, &z, &mut score)?;
        b.dot_rows(0..rows, 0.5, &z, &score, &mut log)?;
        b.scale_rows(&log, &mut score)?;
        b.outer(0..rows, 0.5, &score, &y, Store::Set, &mut g)?;
        b.sum_rows(0..rows, 0.5, &score, Store::Set, &mut sum)?;
        b.add_bias(&sum, &mut score)?;
        b.adam(&Adam::new(1e-3, 1), &g, &mut m, &mut v, &mut w)?;
        let step = Adam::new(1e-3, 1);
        b.relative_adam(&step, 0.1, &x, &y, &mut scratch, &mut m, &mut v, &mut w)?;
        b.inverse_bijection(activation, &bias, &mut z)?;
        b.transpose(&w, &mut g)?;
        b.is_positive_definite(&mut g)?;
        b.copy(&w, &mut g)?;
        b.log_abs_det(&mut g)?;
        b.copy(&w, &mut g)?;
        b.solve(&mut g, Op::Plain, &mut x)?;
        b.download_rows(&log, &mut host)
    };
    step().unwrap();
    let free = b.device().unwrap().memory_free;
    let allocated = measure(|| step().unwrap());
    assert_eq!(allocated.count_total, 0, "on the host");
    if !common::device_required() {
        // Others may use a GPU meanwhile.
        assert_eq!(b.device().unwrap().memory_free, free, "on the device");
    }
}
