//! Both sizes of the backend, and the way between batches and nalgebra's matrices.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap like tests")]

use std::convert::Infallible;

use detfree_core::{Allocate, Backend, Dense, DenseBackend, Fill, Key, Op, Scalar, Shape, Store};
use detfree_nalgebra::{Nalgebra, NalgebraArrays, NalgebraOn, columns, columns_mut};
use nalgebra::{DMatrix, RealField, SMatrix};

/// A product of more rows than nalgebra multiplies without blocks, one of fewer, and
/// factorisations; `[n, n]` batches.
fn results<B>(b: &B, [w, x, y, g]: [&mut B::Batch; 4]) -> Result<Vec<f64>, Infallible>
where
    B: DenseBackend<Error = Infallible>,
{
    let n = b.shape(w).dim;
    for (seed, batch) in [(1, &mut *w), (2, &mut *x)] {
        let fill = Fill::Gaussian {
            key: Key::new(seed),
            first_row: 0,
            scale: 1.0,
        };
        b.fill(fill, batch)?;
    }
    b.apply(0..n, w, Op::Plain, x, Store::Set, y)?;
    b.apply(1..4, w, Op::Plain, x, Store::Add, y)?;
    b.apply(0..n, w, Op::Transposed, y, Store::Set, g)?;
    b.outer(2..n, 0.5, y, x, Store::Add, g)?;
    let mut numbers = vec![B::Scalar::from_f64(0.0); n * n];
    let mut results = Vec::new();
    b.copy(g, y)?;
    let definite = b.is_positive_definite(y)?;
    b.copy(g, y)?;
    let (sign, log) = b.log_abs_det(y)?;
    results.extend([sign, log, f64::from(u8::from(definite))]);
    assert!(b.solve(g, Op::Transposed, x)?);
    b.download(x, &mut numbers)?;
    results.extend(numbers.iter().map(|x| x.to_f64()));
    Ok(results)
}

/// One arithmetic, wherever the numbers are.
fn sizes_agree<T: Scalar + RealField>() {
    const N: usize = 9;
    let square = Shape::new(N, N);
    let b = Nalgebra::<T>::new();
    let [w, x, y, g] = &mut [(); 4].map(|()| b.batch(square).unwrap());
    let Ok(dynamic) = results(&b, [w, x, y, g]);
    assert!(dynamic.iter().all(|x| x.is_finite()));

    // Larger than the batch.
    let on_arrays = NalgebraArrays::<T, 100, N>::new();
    let [w, x, y, g] = &mut [[T::zero(); 100]; 4].map(|data| Dense::new(square, data).unwrap());
    assert_eq!(results(&on_arrays, [w, x, y, g]), Ok(dynamic.clone()));

    let mut memory = [T::zero(); 4 * N * N];
    let mut batches = memory
        .chunks_exact_mut(N * N)
        .map(|data| Dense::new(square, data).unwrap());
    let [w, x, y, g] = &mut [(); 4].map(|()| batches.next().unwrap());
    let on_slices = NalgebraOn::<&mut [T], &mut [f64]>::new();
    assert_eq!(results(&on_slices, [w, x, y, g]), Ok(dynamic));
}

#[test]
fn all_storages_give_the_same_bits() {
    sizes_agree::<f32>();
    sizes_agree::<f64>();
}

#[test]
fn rows_of_a_batch_are_columns_of_a_matrix() {
    let mut x = Dense::new(Shape::new(2, 3), [0.0; 8]).unwrap();
    let samples = SMatrix::<f64, 3, 2>::new(1.0, 4.0, 2.0, 5.0, 3.0, 6.0);
    columns_mut(&mut x).copy_from(&samples);
    assert_eq!(x.as_slice(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(columns(&x), samples);

    let b = Nalgebra::<f64>::new();
    let mut w = b.batch(Shape::new(3, 2)).unwrap();
    columns_mut(&mut w).tr_copy_from(&DMatrix::from_column_slice(3, 2, x.as_slice()));
    assert_eq!(w.row(2), [3.0, 6.0]);
    assert_eq!(columns(&w).transpose(), samples);
}

/// `apply` is the product of nalgebra's own matrices, and `solve` undoes it.
#[test]
fn a_weight_acts_as_its_matrix_does() {
    let w = SMatrix::<f64, 2, 2>::new(0.0, 2.0, -3.0, 1.0);
    let x = SMatrix::<f64, 2, 3>::new(1.0, -1.0, 4.0, 2.0, 0.5, 0.0);
    let b = NalgebraArrays::<f64, 6, 3>::new();
    let batch = |rows| Dense::new(Shape::new(rows, 2), [f64::NAN; 6]).unwrap();
    for (op, expected) in [(Op::Plain, w * x), (Op::Transposed, w.transpose() * x)] {
        let (mut weight, mut input, mut output) = (batch(2), batch(3), batch(3));
        columns_mut(&mut weight).tr_copy_from(&w);
        columns_mut(&mut input).copy_from(&x);
        let Ok(()) = b.apply(0..3, &weight, op, &input, Store::Set, &mut output);
        assert_eq!(columns(&output), expected);
        assert_eq!(b.solve(&mut weight, op, &mut output), Ok(true));
        // Pivots of 3 and 2: a few roundings of numbers up to 12.
        let error = (columns(&output) - x).abs().max();
        assert!(error <= 16.0 * f64::EPSILON, "{error}");
    }
}

#[test]
fn numbers_too_small_to_matter_become_zero() {
    let b = Nalgebra::<f64>::new();
    let mut x = b.batch(Shape::new(3, 2)).unwrap();
    b.upload(&[1e-310, 1.0, 1e-310, f64::NAN, 1e-310, -2.0], &mut x)
        .unwrap();
    b.flush_tiny(0..2, &mut x).unwrap();
    let bits = x.as_slice().iter().map(|x| x.to_bits());
    let want = [0.0, 1.0, 0.0, f64::NAN, 1e-310, -2.0].map(f64::to_bits);
    assert!(bits.eq(want), "{x:?}");
}
