//! In steady state products and passes on the caller's thread allocate nothing.

use std::hint::black_box;

use allocation_counter::measure;
use detfree_core::{Activation, Adam, Allocate, BaseDensity, DenseBackend, FlowBackend};
use detfree_core::{Backend, Fill, Key, Op, Shape, Store};
use detfree_faer::{Faer, Number};

fn training_step<T: Number>(rows: usize, dim: usize) {
    let b = Faer::<T>::sequential();
    let shape = Shape::new(rows, dim);
    let activation = Activation::LeakySoftplus { alpha: 0.3 };
    let [mut x, mut y, mut z, mut d1, mut score] = [(); 5].map(|()| b.batch(shape).unwrap());
    let [mut w, mut g, mut m, mut v] = [(); 4].map(|()| b.batch(Shape::new(dim, dim)).unwrap());
    let [mut bias, mut sum] = [(); 2].map(|()| b.batch(Shape::new(1, dim)).unwrap());
    let mut log = b.rows(rows).unwrap();
    let mut step = || {
        let (key, first_row, scale) = (Key::new(1), 0, 0.1);
        #[rustfmt::skip]
        let (signs, normals) = (
            Fill::Rademacher { key, first_row, scale },
            Fill::Gaussian { key, first_row, scale },
        );
        b.fill(signs, &mut x)?;
        b.fill(normals, &mut w)?;
        b.fill(normals, &mut bias)?;
        for op in [Op::Plain, Op::Transposed] {
            b.apply(0..rows, &w, op, &x, Store::Set, &mut y)?;
        }
        b.bijection(
            activation,
            &bias,
            &mut y,
            &mut z,
            &mut d1,
            &mut score,
            Some(&mut log),
        )?;
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
        b.inverse_bijection(activation, &bias, &mut z)?;
        b.copy(&score, &mut x)
    };
    // The first large product on a thread reserves faer's packing memory.
    let Ok(()) = step();
    let allocated = measure(|| {
        let Ok(()) = step();
    });
    assert_eq!(allocated.count_total, 0, "{rows} × {dim}");
}

#[test]
fn a_training_step_allocates_nothing() {
    // The counter counts.
    assert_eq!(measure(|| drop(black_box(vec![0_u8; 9]))).count_total, 1);
    // Loops of faer's for tiny products, its large kernels, and several panels.
    for (rows, dim) in [(3, 5), (20, 70), (8, 500)] {
        training_step::<f32>(rows, dim);
        training_step::<f64>(rows, dim);
    }
}
