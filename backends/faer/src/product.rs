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
const WORTH_THREADS: usize = 1 << 20;

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
    fn run(self, threads: &Threads) {
        let (rows, columns, depth) = (self.out.nrows(), self.out.ncols(), self.lhs.ncols());
        if (self.lhs.nrows(), self.rhs.nrows(), self.rhs.ncols()) != (rows, depth, columns) {
            return;
        }
        match threads.pool() {
            Some(pool) if rows.saturating_mul(columns).saturating_mul(depth) >= WORTH_THREADS => {
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

/// The rows of a range as a matrix, `None` where it reaches outside the batch.
fn block<T: Scalar>(x: &Dense<Vec<T>>, rows: Range<usize>) -> Option<MatRef<'_, T>> {
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
