//! Dense products on row ranges: faer's, cut into blocks.

use core::ops::Range;

use detfree_core::{Dense, Op, Scalar, Store};
use faer::linalg::matmul::matmul;
use faer::traits::ComplexField;
use faer::{Accum, MatMut, MatRef, Par};

use crate::rows::{span, span_mut};
use crate::threads::Threads;

/// Multiply-adds from which a product is worth waking a second thread for: 100 rows times a
/// weight of 100 × 100 break even.
pub(crate) const WORTH_THREADS: usize = 1 << 20;

/// The most outputs of a weight in one call of faer, which packs all of them: past this a block
/// and its packed copy leave the cache, and a weight of 1000 × 1000 loses up to 40% of its speed.
const PANEL: usize = 384;

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
    let w = block(w, 0..w.shape().rows);
    if let (Some(w), Some(x), Some(out)) = (w, block(x, rows.clone()), block_mut(out, rows)) {
        let product = Product {
            lhs: x,
            rhs: match op {
                Op::Plain => w.transpose(),
                Op::Transposed => w,
            },
            alpha: T::one(),
            store,
            out,
            panel: PANEL,
        };
        product.run(threads);
    }
}

/// `out_r ← op(W) x_r` for all rows of two batches, one panel of outputs after the other: both
/// products find the panel of a large weight in the cache.
pub(crate) fn apply_to_both<T: Scalar + ComplexField>(
    threads: &Threads,
    w: &Dense<Vec<T>>,
    op: Op,
    x: [&Dense<Vec<T>>; 2],
    out: [&mut Dense<Vec<T>>; 2],
) {
    let Some(w) = block(w, 0..w.shape().rows) else {
        return;
    };
    let rhs = match op {
        Op::Plain => w.transpose(),
        Op::Transposed => w,
    };
    let [x1, x2] = x;
    let [out1, out2] = out;
    let [rows1, rows2] = [x1, x2].map(|x| 0..x.shape().rows);
    if let (Some(x1), Some(x2), Some(out1), Some(out2)) = (
        block(x1, rows1.clone()),
        block(x2, rows2.clone()),
        block_mut(out1, rows1),
        block_mut(out2, rows2),
    ) {
        let product = |lhs, out| Product {
            lhs,
            rhs,
            alpha: T::one(),
            store: Store::Set,
            out,
            panel: PANEL,
        };
        Pair(product(x1, out1), product(x2, out2)).run(threads);
    }
}

/// `G ← [G +] a Σ_{r in rows} s_r v_rᵀ`
pub(crate) fn outer<T: Scalar + ComplexField>(
    threads: &Threads,
    rows: Range<usize>,
    a: f64,
    s: &Dense<Vec<T>>,
    v: &Dense<Vec<T>>,
    store: Store,
    g: &mut Dense<Vec<T>>,
) {
    let g_rows = 0..g.shape().rows;
    if let (Some(s), Some(v), Some(out)) =
        (block(s, rows.clone()), block(v, rows), block_mut(g, g_rows))
    {
        let product = Product {
            lhs: s.transpose(),
            rhs: v,
            alpha: T::from_f64(a),
            store,
            out,
            // A sum over few rows packs little.
            panel: usize::MAX,
        };
        product.run(threads);
    }
}

/// out ← [out +] alpha · lhs · rhs
struct Product<'a, T> {
    lhs: MatRef<'a, T>,
    rhs: MatRef<'a, T>,
    alpha: T,
    store: Store,
    out: MatMut<'a, T>,
    panel: usize,
}

impl<T: Scalar + ComplexField> Product<'_, T> {
    /// Multiply-adds, `None` where the operands do not fit.
    fn work(&self) -> Option<usize> {
        let (rows, columns, depth) = (self.out.nrows(), self.out.ncols(), self.lhs.ncols());
        let fits = (self.lhs.nrows(), self.rhs.nrows(), self.rhs.ncols()) == (rows, depth, columns);
        fits.then(|| rows.saturating_mul(columns).saturating_mul(depth))
    }

    fn run(self, threads: &Threads) {
        let Some(work) = self.work() else {
            return;
        };
        match threads.pool() {
            Some(pool) if work >= WORTH_THREADS => {
                pool.install(|| self.on_threads(threads.count()));
            }
            _ => self.in_panels(),
        }
    }

    /// Cuts the longer side of the output in proportion to the threads: faer's own threading
    /// spins on barriers and was 1.3 to 2 times slower.
    fn on_threads(self, threads: usize) {
        if threads <= 1 {
            return self.in_panels();
        }
        let few = threads / 2;
        let (rows, columns) = (self.out.nrows(), self.out.ncols());
        let (here, there) = if columns >= rows {
            self.cut_columns(columns * few / threads)
        } else {
            self.cut_rows(rows * few / threads)
        };
        rayon::join(|| here.on_threads(few), || there.on_threads(threads - few));
    }

    fn in_panels(self) {
        let columns = self.out.ncols();
        if columns > self.panel {
            let (left, right) = self.cut_columns(columns / 2);
            left.in_panels();
            right.in_panels();
        } else {
            let accum = match self.store {
                Store::Set => Accum::Replace,
                Store::Add => Accum::Add,
            };
            matmul(self.out, accum, self.lhs, self.rhs, self.alpha, Par::Seq);
        }
    }

    fn cut_columns(self, at: usize) -> (Self, Self) {
        let (left, right) = self.out.split_at_col_mut(at);
        let (rhs_left, rhs_right) = self.rhs.split_at_col(at);
        (
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
        )
    }

    fn cut_rows(self, at: usize) -> (Self, Self) {
        let (upper, lower) = self.out.split_at_row_mut(at);
        let (lhs_upper, lhs_lower) = self.lhs.split_at_row(at);
        (
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
        )
    }
}

/// Two products with the same right-hand side.
struct Pair<'a, T>(Product<'a, T>, Product<'a, T>);

impl<T: Scalar + ComplexField> Pair<'_, T> {
    fn run(self, threads: &Threads) {
        let (Some(one), Some(other)) = (self.0.work(), self.1.work()) else {
            return;
        };
        match threads.pool() {
            Some(pool) if one.saturating_add(other) >= WORTH_THREADS => {
                pool.install(|| self.on_threads(threads.count()));
            }
            _ => self.in_panels(),
        }
    }

    fn on_threads(self, threads: usize) {
        if threads <= 1 {
            return self.in_panels();
        }
        let few = threads / 2;
        let (here, there) = self.cut_columns(few, threads);
        rayon::join(|| here.on_threads(few), || there.on_threads(threads - few));
    }

    fn in_panels(self) {
        if self.0.out.ncols() > PANEL {
            let (left, right) = self.cut_columns(1, 2);
            left.in_panels();
            right.in_panels();
        } else {
            self.0.in_panels();
            self.1.in_panels();
        }
    }

    fn cut_columns(self, part: usize, of: usize) -> (Self, Self) {
        let at = self.0.out.ncols() * part / of;
        let (left, right) = self.0.cut_columns(at);
        let (other_left, other_right) = self.1.cut_columns(at);
        (Self(left, other_left), Self(right, other_right))
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
