//! Products that go together with something else.

use detfree_x86::Start;
use faer::MatRef;

use super::FEW;
use super::one::{Own, Product};
use crate::Number;
use crate::threads::{TILE, Work, part};

/// Elements of the output in one block of rows, where it starts from another matrix: half a megabyte
/// in `f32` stays in the second cache between the copy and the sum.
const BLOCK: usize = 1 << 17;

/// Rows that make such a block worth the packing.
const BLOCK_ROWS: usize = 64;

/// Two products.
pub(super) struct Both<'a, T>(pub(super) Product<'a, T>, pub(super) Product<'a, T>);

impl<T: Number> Work for Both<'_, T> {
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
pub(super) struct Onto<'a, T> {
    pub(super) base: MatRef<'a, T>,
    pub(super) product: Product<'a, T>,
}

impl<T: Number> Onto<'_, T> {
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

impl<T: Number> Work for Onto<'_, T> {
    fn cost(&self) -> usize {
        self.product.cost()
    }

    fn cut(self, few: usize, all: usize) -> [Self; 2] {
        let rows = self.base.nrows();
        self.cut_rows(part(rows, few, all, TILE))
    }

    fn run(mut self) {
        let rows = match self.product.own() {
            Some(Own::Kernel(matmul)) => {
                let Product {
                    lhs,
                    rhs,
                    alpha,
                    out,
                    ..
                } = self.product;
                return matmul(out, Start::From(self.base), lhs, rhs, alpha);
            }
            Some(Own::Combine | Own::Dots) => FEW,
            None => (BLOCK / self.base.ncols().max(1)).max(BLOCK_ROWS),
        };
        while self.base.nrows() > rows {
            let [block, rest] = self.cut_rows(rows);
            block.at_once();
            self = rest;
        }
        self.at_once();
    }
}
