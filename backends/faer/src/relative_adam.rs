//! The fused Adam step of a weight along a relative direction: panel by panel, so that the direction
//! never leaves the cache.

use detfree_core::{Adam, Dense, Shape, Store};
use faer::{MatMut, MatRef};
use pulp::Arch;

use crate::product::{self, FEW, Product, block};
use crate::threads::{Threads, Work, part};
use crate::{Batch, Number};

/// Elements of a panel: half a megabyte in `f32` stays in the second cache beside the weights and
/// moments that pass by.
const PANEL: usize = 1 << 17;

/// Multiply-adds that take as long as Adam's root and division of one element.
const ADAM: usize = 16;

/// A panel for every thread.
pub(crate) fn scratch(threads: &Threads, dim: usize) -> Shape {
    Shape::new(panel_rows(dim) * threads.count(), dim)
}

fn panel_rows(dim: usize) -> usize {
    (PANEL / dim.max(1)).clamp(1, dim.max(1))
}

/// What [`FlowBackend::relative_adam`](detfree_core::FlowBackend::relative_adam) asks for.
pub(crate) fn ascend<T: Number>(
    (threads, arch): (&Threads, Arch),
    step: &Adam,
    a: f64,
    [left, right]: [&Batch<T>; 2],
    scratch: &mut Batch<T>,
    [first, second, weight]: [&mut Batch<T>; 3],
) {
    let dim = weight.shape().dim;
    let rows = left.shape().rows;
    let square = Shape::new(dim, dim);
    let fits = [&*first, &*second, &*weight].map(Dense::shape) == [square; 3]
        && [left, right].map(Dense::shape) == [Shape::new(rows, dim); 2]
        && scratch.shape().dim == dim;
    let (Some(left), Some(right), true) = (block(left, 0..rows), block(right, 0..rows), fits)
    else {
        return;
    };
    let pass = Pass {
        arch,
        step,
        a: T::from_f64(a),
        left,
        right,
        scratch: scratch.as_mut_slice(),
        first: first.as_mut_slice(),
        second: second.as_mut_slice(),
        weight: weight.as_mut_slice(),
    };
    threads.run(pass);
}

/// Some rows of the weight, which are columns of the left factor.
struct Pass<'a, T> {
    arch: Arch,
    step: &'a Adam,
    a: T,
    left: MatRef<'a, T>,
    right: MatRef<'a, T>,
    scratch: &'a mut [T],
    first: &'a mut [T],
    second: &'a mut [T],
    weight: &'a mut [T],
}

impl<T: Number> Work for Pass<'_, T> {
    fn cost(&self) -> usize {
        (self.left.nrows() + ADAM).saturating_mul(self.weight.len())
    }

    fn cut(self, few: usize, all: usize) -> [Self; 2] {
        let dim = self.right.ncols();
        let at = part(self.left.ncols(), few, all);
        let buffered = self.scratch.len() / dim.max(1) * few / all;
        let (left, left_rest) = self.left.split_at_col(at);
        let (scratch, scratch_rest) = self.scratch.split_at_mut(buffered * dim);
        let (first, first_rest) = self.first.split_at_mut(at * dim);
        let (second, second_rest) = self.second.split_at_mut(at * dim);
        let (weight, weight_rest) = self.weight.split_at_mut(at * dim);
        [
            Self {
                left,
                scratch,
                first,
                second,
                weight,
                ..self
            },
            Self {
                left: left_rest,
                scratch: scratch_rest,
                first: first_rest,
                second: second_rest,
                weight: weight_rest,
                ..self
            },
        ]
    }

    fn run(self) {
        let dim = self.right.ncols();
        let rows = self.scratch.len() / dim.max(1);
        // Without packing to be worth, a panel fits the nearest cache.
        let few = product::takes(self.arch, self.left.nrows(), dim);
        let panel = if few { rows.min(FEW) } else { rows } * dim;
        if panel == 0 {
            return;
        }
        let moments = self
            .first
            .chunks_mut(panel)
            .zip(self.second.chunks_mut(panel));
        let panels = self.weight.chunks_mut(panel).zip(moments).enumerate();
        for (number, (weight, (first, second))) in panels {
            let rows = weight.len() / dim;
            let left = self.left.subcols(number * (panel / dim), rows);
            let Some(scratch) = self.scratch.get_mut(..rows * dim) else {
                return;
            };
            let out = MatMut::from_row_major_slice_mut(&mut *scratch, rows, dim);
            let left = left.transpose();
            let direction = Product::new(self.arch, left, self.right, self.a, Store::Set, out);
            if let Some(direction) = direction {
                direction.at_once();
            }
            let step = self.step;
            self.arch.dispatch(
                #[inline(always)]
                || step.ascend_relative(scratch, first, second, weight),
            );
        }
    }
}
