//! Storage that is larger than a batch, and contracts that are broken.

use detfree_core::reference::{Arrays, Heap, Slices};
use detfree_core::{Backend, Dense, DenseBackend, Fill, Op, Shape, Store};

use crate::{dirty, normals};

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
