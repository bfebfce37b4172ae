//! The fused Adam step of a weight along a relative direction: panel by panel, so that the direction
//! never leaves the cache.

use core::mem;

use detfree_core::{Adam, Dense, Shape, Store};
use faer::{MatMut, MatRef};
use pulp::Arch;

use crate::product::{self, Beside, FEW, Product, block};
use crate::threads::{TILE, Threads, Work, part};
use crate::{Batch, Number};

/// Most elements of a panel: half a megabyte in `f32` stays in the second cache beside the weights and
/// moments that pass by.
const PANEL: usize = 1 << 17;

/// Rows of a panel, past which products gain nothing by more.
const ROWS: usize = 64;

/// Multiply-adds that take as long as Adam's root and division of one element.
const ADAM: usize = 16;

/// Numbers of a panel that are moved at a time: a vector of the widest CPU, or two.
const PIECE: usize = 16;

/// A panel for every thread.
pub(crate) fn scratch(threads: &Threads, dim: usize) -> Shape {
    Shape::new(panel_rows(dim) * threads.count(), dim)
}

fn panel_rows(dim: usize) -> usize {
    (PANEL / dim.max(1)).clamp(1, dim.clamp(1, ROWS))
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
        let at = part(self.left.ncols(), few, all, TILE);
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
        // Without packing to be worth, panels fit the nearest cache, and two that take turns hide the products.
        if rows > 1 && product::takes(self.arch, self.left.nrows(), dim) {
            return self.in_turns(dim, FEW.min(rows / 2));
        }
        let panel = rows * dim;
        if panel == 0 {
            return;
        }
        for (number, panel) in panels(panel, self.weight, self.first, self.second).enumerate() {
            let height = panel.weight.len() / dim;
            let left = self.left.subcols(number * rows, height);
            let Some(scratch) = self.scratch.get_mut(..height * dim) else {
                return;
            };
            let out = MatMut::from_row_major_slice_mut(&mut *scratch, height, dim);
            let (left, set) = (left.transpose(), Store::Set);
            if let Some(direction) = Product::new(self.arch, left, self.right, self.a, set, out) {
                direction.at_once();
            }
            panel.ascend(self.arch, self.step, scratch);
        }
    }
}

impl<T: Number> Pass<'_, T> {
    /// The direction of a panel of `height` rows, while the one before is moved along its own.
    fn in_turns(self, dim: usize, height: usize) {
        let (mut here, mut before) = self.scratch.split_at_mut(height * dim);
        let mut waiting = Panel::default();
        let panels = panels(height * dim, self.weight, self.first, self.second);
        for (number, panel) in panels.enumerate() {
            let rows = panel.weight.len() / dim;
            let left = self.left.subcols(number * height, rows).transpose();
            let out = MatMut::from_row_major_slice_mut(&mut here[..rows * dim], rows, dim);
            let previous = mem::replace(&mut waiting, panel);
            previous.ascend_beside(
                self.arch,
                self.step,
                before,
                ([left, self.right], self.a, out),
            );
            mem::swap(&mut here, &mut before);
        }
        waiting.ascend(self.arch, self.step, before);
    }
}

/// Some rows of the weight, and of its moments.
#[derive(Default)]
struct Panel<'a, T> {
    weight: &'a mut [T],
    first: &'a mut [T],
    second: &'a mut [T],
}

/// Panels of so many numbers each, but for the last.
fn panels<'a, T>(
    length: usize,
    weight: &'a mut [T],
    first: &'a mut [T],
    second: &'a mut [T],
) -> impl Iterator<Item = Panel<'a, T>> {
    let moments = first.chunks_mut(length).zip(second.chunks_mut(length));
    let panels = weight.chunks_mut(length).zip(moments);
    panels.map(|(weight, (first, second))| Panel {
        weight,
        first,
        second,
    })
}

impl<'a, T: Number> Panel<'a, T> {
    /// Takes the step along the weight and the first numbers of `correction`.
    fn ascend(self, arch: Arch, step: &Adam, correction: &[T]) {
        let Self {
            weight,
            first,
            second,
        } = self;
        arch.dispatch(
            #[inline(always)]
            || step.ascend_relative(correction, first, second, weight),
        );
    }

    /// The same, and the product `out ← alpha · lhs · rhs`.
    fn ascend_beside(
        self,
        arch: Arch,
        step: &Adam,
        correction: &[T],
        (sides, alpha, out): ([MatRef<'_, T>; 2], T, MatMut<'_, T>),
    ) {
        let correction = &correction[..self.weight.len()];
        let (weights, weight) = self.weight.as_chunks_mut::<PIECE>();
        let (firsts, first) = self.first.as_chunks_mut::<PIECE>();
        let (seconds, second) = self.second.as_chunks_mut::<PIECE>();
        let (corrections, correction) = correction.as_chunks::<PIECE>();
        let moved = weights.iter_mut().zip(corrections);
        let mut pieces = moved.zip(firsts.iter_mut().zip(seconds));
        // Copies, of which the compiler sees that no store changes them.
        let copy = *step;
        let beside = Beside::new(
            sides,
            alpha,
            out,
            pieces.len(),
            #[inline(always)]
            move || {
                let Some(((to, correction), moments)) = pieces.next() else {
                    return;
                };
                let (mut weight, mut first, mut second) = (*to, *moments.0, *moments.1);
                copy.ascend_relative(correction, &mut first, &mut second, &mut weight);
                (*to, *moments.0, *moments.1) = (weight, first, second);
            },
        );
        if let Some(beside) = beside {
            arch.dispatch(beside);
        }
        let rest = Panel {
            weight,
            first,
            second,
        };
        rest.ascend(arch, step, correction);
    }
}
