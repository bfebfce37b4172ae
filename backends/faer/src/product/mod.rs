//! Dense products on row ranges: faer's, cut into blocks, and our own where there are few rows.

mod beside;
mod chain;
mod combine;
mod dots;
mod few;
mod gather;
mod one;
mod several;

use core::ops::Range;

use detfree_core::{Op, Scalar, Store};
use faer::{MatMut, MatRef};
use pulp::Arch;

use crate::rows::{span, span_mut};
use crate::{Batch, Faer, Number, loops};

pub(crate) use beside::Beside;
pub(crate) use chain::chain;
pub(crate) use few::{FEW, takes};
use gather::Gather;
pub(crate) use one::Product;
use several::{Both, Onto};

/// `out_r ← [out_r +] op(W) x_r` for r in `rows`.
pub(crate) fn apply<T: Number>(
    b: &Faer<T>,
    rows: Range<usize>,
    w: &Batch<T>,
    op: Op,
    x: &Batch<T>,
    store: Store,
    out: &mut Batch<T>,
) {
    let Some(product) = applied(b.arch, rows, w, op, x, store, out) else {
        return;
    };
    match Gather::of([product]) {
        Ok(gather) => gather.run(&b.threads),
        Err([product]) => b.threads.run(product),
    }
}

/// `out_r ← op(W) x_r` for all rows of two batches.
pub(crate) fn apply_to_both<T: Number>(
    b: &Faer<T>,
    w: &Batch<T>,
    op: Op,
    [x1, x2]: [&Batch<T>; 2],
    [out1, out2]: [&mut Batch<T>; 2],
) {
    let one = applied(b.arch, 0..x1.shape().rows, w, op, x1, Store::Set, out1);
    let other = applied(b.arch, 0..x2.shape().rows, w, op, x2, Store::Set, out2);
    let (Some(one), Some(other)) = (one, other) else {
        return;
    };
    match Gather::of([one, other]) {
        Ok(gather) => gather.run(&b.threads),
        Err([one, other]) => b.threads.run(Both(one, other)),
    }
}

fn applied<'a, T: Number>(
    arch: Arch,
    rows: Range<usize>,
    w: &'a Batch<T>,
    op: Op,
    x: &'a Batch<T>,
    store: Store,
    out: &'a mut Batch<T>,
) -> Option<Product<'a, T>> {
    let w = block(w, 0..w.shape().rows)?;
    let rhs = match op {
        Op::Plain => w.transpose(),
        Op::Transposed => w,
    };
    let (lhs, out) = (block(x, rows.clone())?, block_mut(out, rows)?);
    Product::new(arch, lhs, rhs, T::one(), store, out)
}

/// `G ← [G +] a Σ_{r in rows} s_r v_rᵀ`
pub(crate) fn outer<T: Number>(
    b: &Faer<T>,
    rows: Range<usize>,
    a: f64,
    factors: [&Batch<T>; 2],
    store: Store,
    g: &mut Batch<T>,
) {
    if let Some(product) = outer_product(b.arch, rows, a, factors, store, g) {
        b.threads.run(product);
    }
}

/// `G ← base + a Σ_{r in rows} s_r v_rᵀ`
pub(crate) fn outer_onto<T: Number>(
    b: &Faer<T>,
    rows: Range<usize>,
    a: f64,
    factors: [&Batch<T>; 2],
    base: &Batch<T>,
    g: &mut Batch<T>,
) {
    let (same, all) = (base.shape() == g.shape(), 0..base.shape().rows);
    if let (Some(base), Some(product), true) = (
        block(base, all),
        outer_product(b.arch, rows, a, factors, Store::Add, g),
        same,
    ) {
        b.threads.run(Onto { base, product });
    }
}

fn outer_product<'a, T: Number>(
    arch: Arch,
    rows: Range<usize>,
    a: f64,
    [s, v]: [&'a Batch<T>; 2],
    store: Store,
    g: &'a mut Batch<T>,
) -> Option<Product<'a, T>> {
    let all = 0..g.shape().rows;
    let (s, v, g) = (block(s, rows.clone())?, block(v, rows)?, block_mut(g, all)?);
    Product::new(arch, s.transpose(), v, T::from_f64(a), store, g)
}

/// The rows of a range as a matrix, `None` where it reaches outside the batch.
pub(crate) fn block<T: Scalar>(x: &Batch<T>, rows: Range<usize>) -> Option<MatRef<'_, T>> {
    let count = rows.len();
    matrix(span(x, rows), count, x.shape().dim)
}

/// The rows of a range as a matrix, `None` where it reaches outside the batch.
fn block_mut<T: Scalar>(x: &mut Batch<T>, rows: Range<usize>) -> Option<MatMut<'_, T>> {
    let (count, dim) = (rows.len(), x.shape().dim);
    matrix_mut(span_mut(x, rows), count, dim)
}

/// Rows one after the other, `None` where they are others.
fn matrix<T>(numbers: &[T], rows: usize, columns: usize) -> Option<MatRef<'_, T>> {
    (numbers.len() == rows.saturating_mul(columns))
        .then(|| MatRef::from_row_major_slice(numbers, rows, columns))
}

/// Rows one after the other, `None` where they are others.
fn matrix_mut<T>(numbers: &mut [T], rows: usize, columns: usize) -> Option<MatMut<'_, T>> {
    (numbers.len() == rows.saturating_mul(columns))
        .then(|| MatMut::from_row_major_slice_mut(numbers, rows, columns))
}
