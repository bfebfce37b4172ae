//! Elementwise passes on all threads.

use core::mem;

use crate::threads::{VECTOR, Work, part};
use crate::{Faer, Number};

/// Multiply-adds of a product that take as long as a pass that loads, adds and stores an element.
pub(crate) const QUICK: usize = 16;

/// The same for a pass with exponentials or logarithms in it.
pub(crate) const SLOW: usize = 128;

impl<T: Number> Faer<T> {
    /// A quick pass over slices of one length. To be compiled for wide vectors, `pass` has to be inlined.
    #[inline(always)]
    pub(crate) fn elementwise<const R: usize, const W: usize>(
        &self,
        read: [&[T]; R],
        write: [&mut [T]; W],
        pass: impl Fn([&[T]; R], [&mut [T]; W]) + Copy + Send,
    ) {
        let arch = self.arch;
        let slices = Slices {
            dim: 1,
            cost: QUICK,
            read,
            write,
            results: &mut [],
            pass: move |read: [&[T]; R], write: [&mut [T]; W], _: &mut [f64]| {
                arch.dispatch(
                    #[inline(always)]
                    move || pass(read, write),
                );
            },
        };
        // A flow of many narrow layers makes hundreds of these calls a step.
        if self.threads.alone(slices.cost()) {
            return slices.run();
        }
        self.threads.run(slices);
    }
}

/// Rows side by side: some that are read, some that are written, and their numbers in `f64`.
pub(crate) struct Slices<'a, T, const R: usize, const W: usize, F> {
    pub(crate) dim: usize,
    /// Of an element, in multiply-adds.
    pub(crate) cost: usize,
    pub(crate) read: [&'a [T]; R],
    pub(crate) write: [&'a mut [T]; W],
    pub(crate) results: &'a mut [f64],
    pub(crate) pass: F,
}

impl<T, const R: usize, const W: usize, F> Slices<'_, T, R, W, F> {
    fn len(&self) -> usize {
        let results = self.results.len() * self.dim;
        self.write.first().map_or(results, |x| x.len())
    }
}

impl<T, const R: usize, const W: usize, F> Work for Slices<'_, T, R, W, F>
where
    T: Send + Sync,
    F: Fn([&[T]; R], [&mut [T]; W], &mut [f64]) + Copy + Send,
{
    fn cost(&self) -> usize {
        self.cost.saturating_mul(self.len())
    }

    fn cut(mut self, few: usize, all: usize) -> [Self; 2] {
        let dim = self.dim.max(1);
        let rows = part(self.len() / dim, few, all, VECTOR);
        let read = self.read.each_mut().map(|x| {
            let (here, there) = x.split_at(x.len().min(rows * dim));
            *x = here;
            there
        });
        let write = self.write.each_mut().map(|x| split(x, rows * dim));
        let results = split(&mut self.results, rows);
        let rest = Self {
            read,
            write,
            results,
            ..self
        };
        [self, rest]
    }

    fn run(self) {
        (self.pass)(self.read, self.write, self.results);
    }
}

/// Leaves the first elements, and gives the others.
fn split<'a, T>(x: &mut &'a mut [T], at: usize) -> &'a mut [T] {
    let all = mem::take(x);
    let (here, there) = all.split_at_mut(all.len().min(at));
    *x = here;
    there
}
