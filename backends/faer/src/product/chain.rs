//! Chains of products of which every thread takes some rows, from the first link to the last.

use core::array;
use core::convert::Infallible;
use core::mem;
use core::ops::Range;

use detfree_core::{Link, Op, Store, unfused};
use faer::MatRef;
use pulp::Arch;

use super::one::Product;
use super::{block, loops, matrix, matrix_mut};
use crate::rows::{span, span_mut};
use crate::threads::{TILE, Work, part};
use crate::{Batch, Faer, Number};

/// Links that are cut together: those of any net but a very deep one.
const LINKS: usize = 8;

/// Bytes of weights that stay in the second cache of a core.
const NEAR: usize = 1 << 21;

/// Bytes of a weight past which every thread had better read only some of it.
const FAR: usize = 1 << 23;

/// Rows for which it pays to wait for weights from the third cache.
const ROWS: usize = 4 * TILE;

/// [`DenseBackend::chain`](detfree_core::DenseBackend::chain), cut into rows once where that is quicker than
/// to cut every product into columns.
///
/// Nobody waits for the others between products, and a row's results stay where they were computed. But every
/// thread reads all weights: `residual --variant products` in `benches/` was quicker by 1.02 to 1.4
/// times where the bounds here allow it, and slower by up to 1.5 times where they do not.
pub(crate) fn chain<'a, T: Number>(
    b: &Faer<T>,
    rows: Range<usize>,
    x: &'a Batch<T>,
    links: impl IntoIterator<Item = Link<'a, Batch<T>>>,
) -> Result<(), Infallible> {
    let mut links = links.into_iter().fuse();
    let threads = b.threads.count();
    let each = rows.len() / threads;
    if threads == 1 || each < TILE {
        return unfused::chain(b, rows, x, links);
    }
    let mut x = x;
    loop {
        let mut some: [_; LINKS] = array::from_fn(|_| links.next());
        let steps = some.each_mut().map(|link| step(link.as_mut()?, &rows));
        let chain = Chain {
            arch: b.arch,
            rows: rows.len(),
            x: span(x, rows.clone()),
            steps,
        };
        if b.threads.alone(chain.cost()) || !chain.is_near(each) {
            return unfused::chain(b, rows, x, some.into_iter().flatten().chain(links));
        }
        b.threads.run(chain);
        let Some(last) = some.into_iter().flatten().last() else {
            return Ok(());
        };
        x = last.out;
    }
}

fn step<'a, T: Number>(
    link: &'a mut Link<'_, Batch<T>>,
    rows: &Range<usize>,
) -> Option<Step<'a, T>> {
    let weight = block(link.weight, 0..link.weight.shape().rows)?;
    Some(Step {
        rhs: match link.op {
            Op::Plain => weight.transpose(),
            Op::Transposed => weight,
        },
        scale: link.scale.map(|scale| span(scale, rows.clone())),
        out: span_mut(link.out, rows.clone()),
    })
}

/// `out ← scale ∘ x · rhs`
struct Step<'a, T> {
    rhs: MatRef<'a, T>,
    scale: Option<&'a [T]>,
    out: &'a mut [T],
}

/// One step after the other on some rows, the x of a step being the `out` of the one before.
struct Chain<'a, T> {
    arch: Arch,
    rows: usize,
    x: &'a [T],
    steps: [Option<Step<'a, T>>; LINKS],
}

impl<T: Number> Chain<'_, T> {
    /// The numbers of every weight.
    fn weights(&self) -> impl Iterator<Item = usize> {
        let steps = self.steps.iter().flatten();
        steps.map(|step| step.rhs.nrows().saturating_mul(step.rhs.ncols()))
    }

    /// Whether weights are near enough to be read for so many rows.
    fn is_near(&self, rows: usize) -> bool {
        let bytes = |numbers: usize| numbers.saturating_mul(size_of::<T>());
        bytes(self.weights().fold(0, usize::saturating_add)) <= NEAR
            || rows >= ROWS && self.weights().all(|numbers| bytes(numbers) <= FAR)
    }
}

impl<T: Number> Work for Chain<'_, T> {
    fn cost(&self) -> usize {
        let weights = self.weights().fold(0, usize::saturating_add);
        weights.saturating_mul(self.rows)
    }

    fn cut(mut self, few: usize, all: usize) -> [Self; 2] {
        let at = part(self.rows, few, all, TILE);
        let dim = self.x.len() / self.rows.max(1);
        let (x, x_rest) = self.x.split_at(at * dim);
        let rest = self.steps.each_mut().map(|step| {
            let Step { rhs, scale, out } = step.as_mut()?;
            let length = out.len().min(at * rhs.ncols());
            let (here, there) = mem::take(out).split_at_mut(length);
            *out = here;
            let scale = scale.as_mut().map(|scale| {
                let (here, there) = scale.split_at(scale.len().min(length));
                *scale = here;
                there
            });
            Some(Step {
                rhs: *rhs,
                scale,
                out: there,
            })
        });
        [
            Self {
                rows: at,
                x,
                ..self
            },
            Self {
                arch: self.arch,
                rows: self.rows - at,
                x: x_rest,
                steps: rest,
            },
        ]
    }

    fn run(self) {
        let mut x = self.x;
        for Step { rhs, scale, out } in self.steps.into_iter().flatten() {
            if let (Some(x), Some(out)) = (
                matrix(x, self.rows, rhs.nrows()),
                matrix_mut(out, self.rows, rhs.ncols()),
            ) {
                let product = Product::new(self.arch, x, rhs, T::one(), Store::Set, out);
                product.into_iter().for_each(Work::run);
            }
            if let Some(scale) = scale {
                self.arch.dispatch(
                    #[inline(always)]
                    || loops::multiply_by(scale, out),
                );
            }
            x = out;
        }
    }
}
