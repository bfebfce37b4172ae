//! Few rows times a weight whose columns they sum over, on several threads.

use detfree_core::Store;
use faer::{MatMut, MatRef};
use pulp::Arch;

use super::combine::{Combine, DEPTH};
use super::few::{FEW, OnLines};
use super::one::{Own, Product};
use crate::Number;
use crate::awake;
use crate::loops;
use crate::threads::{TILE, Threads, part};

/// Columns that are summed at a time.
const COLUMNS: usize = 1024;

/// More threads than this would add up more than they multiply.
const MOST: usize = 8;

/// `out_j ← [out_j +] x_j W` for `N` batches of few rows.
///
/// Every thread takes rows of W, as it does in the other products of a training step: those that lie in its
/// own cache. Columns would be pieces of all rows, and what the processor fetches ahead of their ends would
/// be another thread's.
pub(super) struct Gather<'a, T, const N: usize> {
    arch: Arch,
    x: [MatRef<'a, T>; N],
    w: MatRef<'a, T>,
    store: Store,
    out: [MatMut<'a, T>; N],
}

impl<'a, T: Number, const N: usize> Gather<'a, T, N> {
    /// Products with the same W that are alike, or what was given where they are others.
    pub(super) fn of(products: [Product<'a, T>; N]) -> Result<Self, [Product<'a, T>; N]> {
        let are = products.iter().all(|product| {
            let (rows, depth) = product.lhs.shape();
            rows <= FEW && depth > FEW && matches!(product.own(), Some(Own::Combine))
        });
        let first = products.first().filter(|_| are);
        let Some(&Product {
            arch, rhs, store, ..
        }) = first
        else {
            return Err(products);
        };
        Ok(Self {
            arch,
            x: products.each_ref().map(|product| product.lhs),
            w: rhs,
            store,
            out: products.map(|product| product.out),
        })
    }

    pub(super) fn run(self, threads: &Threads) {
        let rows: usize = self.x.iter().map(MatRef::nrows).sum();
        let cost = rows
            .saturating_mul(self.w.nrows())
            .saturating_mul(self.w.ncols());
        threads.share_out(cost, |threads| self.on(threads.min(MOST)));
    }

    fn on(mut self, threads: usize) {
        let (columns, mut at) = (self.w.ncols(), 0);
        while at < columns {
            let width = COLUMNS.min(columns - at);
            let panel = Gather {
                w: self.w.subcols(at, width),
                out: self
                    .out
                    .each_mut()
                    .map(|out| out.as_mut().subcols_mut(at, width)),
                ..self
            };
            panel.share(threads);
            at += width;
        }
    }

    fn share(mut self, threads: usize) {
        if threads <= 1 {
            return self.alone();
        }
        let half = threads / 2;
        let at = part(self.w.nrows(), half, threads, TILE);
        let OnLines(sums) = &mut OnLines([[T::zero(); FEW * COLUMNS]; N]);
        let width = self.w.ncols();
        let mut rows = self.x.map(|x| x.nrows()).into_iter();
        let (upper, lower) = self.w.split_at_row(at);
        let here = Gather {
            x: self.x.map(|x| x.split_at_col(at).0),
            w: upper,
            out: self.out.each_mut().map(MatMut::as_mut),
            ..self
        };
        let there = Gather {
            x: self.x.map(|x| x.split_at_col(at).1),
            w: lower,
            store: Store::Set,
            out: sums.each_mut().map(|sums| {
                let rows = rows.next().unwrap_or_default();
                MatMut::from_row_major_slice_mut(&mut sums[..rows * width], rows, width)
            }),
            ..self
        };
        awake::join(|| here.share(half), || there.share(threads - half));
        for (out, sums) in self.out.into_iter().zip(sums) {
            for (out, sums) in out.row_iter_mut().zip(sums.chunks_exact(width)) {
                if let Some(out) = out.try_as_row_major_mut() {
                    loops::add(sums, out.as_slice_mut());
                }
            }
        }
    }

    fn alone(mut self) {
        let (depth, mut from) = (self.w.nrows(), 0);
        while from < depth {
            let terms = DEPTH.min(depth - from);
            for (x, out) in self.x.iter().zip(&mut self.out) {
                self.arch.dispatch(Combine {
                    lhs: x.subcols(from, terms),
                    rhs: self.w.subrows(from, terms),
                    alpha: T::one(),
                    store: if from == 0 { self.store } else { Store::Add },
                    out: out.as_mut(),
                });
            }
            from += terms;
        }
    }
}
