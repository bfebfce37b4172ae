//! Dense products on row ranges: faer's, cut into blocks.

use core::ops::Range;

use detfree_core::{Dense, Op, Scalar, Store};
use faer::linalg::matmul::matmul;
use faer::traits::ComplexField;
use faer::{Accum, MatMut, MatRef, Par};

use crate::rows::{span, span_mut};
use crate::threads::{Threads, Work, part};

/// The most columns of the output in one call of faer: two or a few of its blocks, whose packed
/// weights stay in the nearer caches. Past it a product of 784 inputs loses a tenth of its speed.
const PANEL: usize = 96;

/// Elements of the output in one block of rows, where it starts from another matrix: half a megabyte
/// in `f32` stays in the second cache between the copy and the sum.
const BLOCK: usize = 1 << 17;

/// Rows that make such a block worth the packing.
const BLOCK_ROWS: usize = 64;

/// `out_r ← [out_r +] op(W) x_r` for r in `rows`.
pub(crate) fn apply<T: Scalar + ComplexField>(
    threads: &Threads,
    rows: Range<usize>,
    w: &Dense<Vec<T>>,
    op: Op,
    x: &Dense<Vec<T>>,
    store: Store,
    out: &mut Dense<Vec<T>>,
) {
    if let Some(product) = applied(rows, w, op, x, store, out) {
        threads.run(product);
    }
}

/// `out_r ← op(W) x_r` for all rows of two batches.
pub(crate) fn apply_to_both<T: Scalar + ComplexField>(
    threads: &Threads,
    w: &Dense<Vec<T>>,
    op: Op,
    [x1, x2]: [&Dense<Vec<T>>; 2],
    [out1, out2]: [&mut Dense<Vec<T>>; 2],
) {
    let one = applied(0..x1.shape().rows, w, op, x1, Store::Set, out1);
    let other = applied(0..x2.shape().rows, w, op, x2, Store::Set, out2);
    if let (Some(one), Some(other)) = (one, other) {
        threads.run(Both(one, other));
    }
}

fn applied<'a, T: Scalar + ComplexField>(
    rows: Range<usize>,
    w: &'a Dense<Vec<T>>,
    op: Op,
    x: &'a Dense<Vec<T>>,
    store: Store,
    out: &'a mut Dense<Vec<T>>,
) -> Option<Product<'a, T>> {
    let w = block(w, 0..w.shape().rows)?;
    let rhs = match op {
        Op::Plain => w.transpose(),
        Op::Transposed => w,
    };
    let (lhs, out) = (block(x, rows.clone())?, block_mut(out, rows)?);
    Product::new(lhs, rhs, T::one(), store, out)
}

/// `G ← [G +] a Σ_{r in rows} s_r v_rᵀ`
pub(crate) fn outer<T: Scalar + ComplexField>(
    threads: &Threads,
    rows: Range<usize>,
    a: f64,
    factors: [&Dense<Vec<T>>; 2],
    store: Store,
    g: &mut Dense<Vec<T>>,
) {
    if let Some(product) = outer_product(rows, a, factors, store, g) {
        threads.run(product);
    }
}

/// `G ← base + a Σ_{r in rows} s_r v_rᵀ`
pub(crate) fn outer_onto<T: Scalar + ComplexField>(
    threads: &Threads,
    rows: Range<usize>,
    a: f64,
    factors: [&Dense<Vec<T>>; 2],
    base: &Dense<Vec<T>>,
    g: &mut Dense<Vec<T>>,
) {
    let (same, all) = (base.shape() == g.shape(), 0..base.shape().rows);
    if let (Some(base), Some(product), true) = (
        block(base, all),
        outer_product(rows, a, factors, Store::Add, g),
        same,
    ) {
        threads.run(Onto { base, product });
    }
}

fn outer_product<'a, T: Scalar + ComplexField>(
    rows: Range<usize>,
    a: f64,
    [s, v]: [&'a Dense<Vec<T>>; 2],
    store: Store,
    g: &'a mut Dense<Vec<T>>,
) -> Option<Product<'a, T>> {
    let all = 0..g.shape().rows;
    let (s, v, g) = (block(s, rows.clone())?, block(v, rows)?, block_mut(g, all)?);
    Product::new(s.transpose(), v, T::from_f64(a), store, g)
}

/// out ← [out +] alpha · lhs · rhs
struct Product<'a, T> {
    lhs: MatRef<'a, T>,
    rhs: MatRef<'a, T>,
    alpha: T,
    store: Store,
    out: MatMut<'a, T>,
}

impl<'a, T: Scalar + ComplexField> Product<'a, T> {
    /// `None` where the operands do not fit.
    fn new(
        lhs: MatRef<'a, T>,
        rhs: MatRef<'a, T>,
        alpha: T,
        store: Store,
        out: MatMut<'a, T>,
    ) -> Option<Self> {
        let (rows, columns, depth) = (out.nrows(), out.ncols(), lhs.ncols());
        let fits = (lhs.nrows(), rhs.nrows(), rhs.ncols()) == (rows, depth, columns);
        fits.then_some(Self {
            lhs,
            rhs,
            alpha,
            store,
            out,
        })
    }

    fn at_once(self) {
        let accum = match self.store {
            Store::Set => Accum::Replace,
            Store::Add => Accum::Add,
        };
        matmul(self.out, accum, self.lhs, self.rhs, self.alpha, Par::Seq);
    }

    fn cut_columns(self, at: usize) -> [Self; 2] {
        let (left, right) = self.out.split_at_col_mut(at);
        let (rhs_left, rhs_right) = self.rhs.split_at_col(at);
        [
            Self {
                out: left,
                rhs: rhs_left,
                ..self
            },
            Self {
                out: right,
                rhs: rhs_right,
                ..self
            },
        ]
    }

    fn cut_rows(self, at: usize) -> [Self; 2] {
        let (upper, lower) = self.out.split_at_row_mut(at);
        let (lhs_upper, lhs_lower) = self.lhs.split_at_row(at);
        [
            Self {
                out: upper,
                lhs: lhs_upper,
                ..self
            },
            Self {
                out: lower,
                lhs: lhs_lower,
                ..self
            },
        ]
    }
}

impl<T: Scalar + ComplexField> Work for Product<'_, T> {
    fn cost(&self) -> usize {
        let (rows, columns, depth) = (self.out.nrows(), self.out.ncols(), self.lhs.ncols());
        rows.saturating_mul(columns).saturating_mul(depth)
    }

    /// Cuts the longer side of the output: faer's own threading spins on barriers and was 1.3 to 2
    /// times slower.
    fn cut(self, few: usize, all: usize) -> [Self; 2] {
        let (rows, columns) = (self.out.nrows(), self.out.ncols());
        if columns >= rows {
            self.cut_columns(part(columns, few, all))
        } else {
            self.cut_rows(part(rows, few, all))
        }
    }

    fn run(mut self) {
        loop {
            let width = match self.out.ncols() {
                0..=PANEL => return self.at_once(),
                short if short < 2 * PANEL => part(short, 1, 2),
                _ => PANEL,
            };
            let [panel, rest] = self.cut_columns(width);
            panel.at_once();
            self = rest;
        }
    }
}

/// Two products.
struct Both<'a, T>(Product<'a, T>, Product<'a, T>);

impl<T: Scalar + ComplexField> Work for Both<'_, T> {
    fn cost(&self) -> usize {
        self.0.cost().saturating_add(self.1.cost())
    }

    fn cut(self, few: usize, all: usize) -> [Self; 2] {
        let [one, one_rest] = self.0.cut(few, all);
        let [other, other_rest] = self.1.cut(few, all);
        [Self(one, other), Self(one_rest, other_rest)]
    }

    fn run(self) {
        self.0.run();
        self.1.run();
    }
}

/// A product that is added to another matrix.
struct Onto<'a, T> {
    base: MatRef<'a, T>,
    product: Product<'a, T>,
}

impl<T: Scalar + ComplexField> Onto<'_, T> {
    fn cut_rows(self, at: usize) -> [Self; 2] {
        let (upper, lower) = self.base.split_at_row(at);
        let [product, rest] = self.product.cut_rows(at);
        [
            Self {
                base: upper,
                product,
            },
            Self {
                base: lower,
                product: rest,
            },
        ]
    }

    fn at_once(mut self) {
        // Row by row as slices: faer's own copy is slower.
        for (to, from) in self
            .product
            .out
            .as_mut()
            .row_iter_mut()
            .zip(self.base.row_iter())
        {
            let (to, from) = (to.try_as_row_major_mut(), from.try_as_row_major());
            if let (Some(to), Some(from)) = (to, from) {
                to.as_slice_mut().copy_from_slice(from.as_slice());
            }
        }
        self.product.run();
    }
}

impl<T: Scalar + ComplexField> Work for Onto<'_, T> {
    fn cost(&self) -> usize {
        self.product.cost()
    }

    fn cut(self, few: usize, all: usize) -> [Self; 2] {
        let rows = self.base.nrows();
        self.cut_rows(part(rows, few, all))
    }

    fn run(mut self) {
        let rows = (BLOCK / self.base.ncols().max(1)).max(BLOCK_ROWS);
        while self.base.nrows() > rows {
            let [block, rest] = self.cut_rows(rows);
            block.at_once();
            self = rest;
        }
        self.at_once();
    }
}

/// The rows of a range as a matrix, `None` where it reaches outside the batch.
pub(crate) fn block<T: Scalar>(x: &Dense<Vec<T>>, rows: Range<usize>) -> Option<MatRef<'_, T>> {
    let (count, dim) = (rows.len(), x.shape().dim);
    let data = span(x, rows);
    (data.len() == count.saturating_mul(dim))
        .then(|| MatRef::from_row_major_slice(data, count, dim))
}

/// The rows of a range as a matrix, `None` where it reaches outside the batch.
fn block_mut<T: Scalar>(x: &mut Dense<Vec<T>>, rows: Range<usize>) -> Option<MatMut<'_, T>> {
    let (count, dim) = (rows.len(), x.shape().dim);
    let data = span_mut(x, rows);
    (data.len() == count.saturating_mul(dim))
        .then(|| MatMut::from_row_major_slice_mut(data, count, dim))
}
