//! One product of matrices.

use detfree_core::Store;
use detfree_x86::Start;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::Arch;

use super::combine::Combine;
use super::dots::Dots;
use super::few;
use crate::threads::{TILE, VECTOR, Work, part};
use crate::{Matmul, Number};

/// The most columns of the output in one call of faer: two or a few of its blocks, whose packed
/// weights stay in the nearer caches. Past it a product of 784 inputs loses a tenth of its speed.
const PANEL: usize = 96;

/// Products that are not faer's.
#[derive(Clone, Copy)]
pub(super) enum Own<T> {
    /// Of few rows, or few terms.
    Combine,
    /// Of few rows with those of a weight.
    Dots,
    /// In another library of ours.
    Kernel(Matmul<T>),
}

/// out ← [out +] alpha · lhs · rhs
pub(crate) struct Product<'a, T> {
    pub(super) arch: Arch,
    pub(super) lhs: MatRef<'a, T>,
    pub(super) rhs: MatRef<'a, T>,
    pub(super) alpha: T,
    pub(super) store: Store,
    pub(super) out: MatMut<'a, T>,
}

impl<'a, T: Number> Product<'a, T> {
    /// `None` where the operands do not fit.
    pub(crate) fn new(
        arch: Arch,
        lhs: MatRef<'a, T>,
        rhs: MatRef<'a, T>,
        alpha: T,
        store: Store,
        out: MatMut<'a, T>,
    ) -> Option<Self> {
        let (rows, columns, depth) = (out.nrows(), out.ncols(), lhs.ncols());
        let fits = (lhs.nrows(), rhs.nrows(), rhs.ncols()) == (rows, depth, columns);
        fits.then_some(Self {
            arch,
            lhs,
            rhs,
            alpha,
            store,
            out,
        })
    }

    /// Which of our own products it is, if any.
    pub(super) fn own(&self) -> Option<Own<T>> {
        let ((rows, depth), columns) = (self.lhs.shape(), self.out.ncols());
        let (own, few, length) = if self.rhs.col_stride() == 1 {
            (Own::Combine, rows.min(depth), columns)
        } else {
            (Own::Dots, rows, depth)
        };
        if few::takes(self.arch, few, length) {
            return Some(own);
        }
        T::QUICKEST(self.out.as_ref(), self.lhs, self.rhs).map(Own::Kernel)
    }

    /// On this thread, as one block.
    pub(crate) fn at_once(self) {
        let own = self.own();
        let Self {
            arch,
            lhs,
            rhs,
            alpha,
            store,
            out,
        } = self;
        match own {
            Some(Own::Combine) => arch.dispatch(Combine {
                lhs,
                rhs,
                alpha,
                store,
                out,
            }),
            Some(Own::Dots) => arch.dispatch(Dots {
                x: lhs,
                w: rhs.transpose(),
                alpha,
                store,
                out,
            }),
            Some(Own::Kernel(matmul)) => {
                let start = match store {
                    Store::Set => Start::Zero,
                    Store::Add => Start::Here,
                };
                matmul(out, start, lhs, rhs, alpha);
            }
            None => {
                let accum = match store {
                    Store::Set => Accum::Replace,
                    Store::Add => Accum::Add,
                };
                matmul(out, accum, lhs, rhs, alpha, Par::Seq);
            }
        }
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

    pub(super) fn cut_rows(self, at: usize) -> [Self; 2] {
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

impl<T: Number> Work for Product<'_, T> {
    fn cost(&self) -> usize {
        let (rows, columns, depth) = (self.out.nrows(), self.out.ncols(), self.lhs.ncols());
        rows.saturating_mul(columns).saturating_mul(depth)
    }

    /// Cuts the longer side of the output: faer's own threading spins on barriers and was 1.3 to 2
    /// times slower.
    fn cut(self, few: usize, all: usize) -> [Self; 2] {
        let (rows, columns) = (self.out.nrows(), self.out.ncols());
        if columns >= rows {
            let grain = if self.rhs.col_stride() == 1 {
                VECTOR
            } else {
                TILE
            };
            self.cut_columns(part(columns, few, all, grain))
        } else {
            self.cut_rows(part(rows, few, all, TILE))
        }
    }

    fn run(mut self) {
        if self.own().is_some() {
            return self.at_once();
        }
        loop {
            let width = match self.out.ncols() {
                0..=PANEL => return self.at_once(),
                short if short < 2 * PANEL => part(short, 1, 2, VECTOR),
                _ => PANEL,
            };
            let [panel, rest] = self.cut_columns(width);
            panel.at_once();
            self = rest;
        }
    }
}
