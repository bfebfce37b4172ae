//! Fills, copies and the passes that every series needs.

use core::convert::Infallible;
use core::ops::Range;

use detfree_core::reference::{dot_f64, flush_tiny};
use detfree_core::{Backend, Dense, Fill, Shape};

use crate::rows::{each_mut, span, span_mut};
use crate::slices::{QUICK, Slices};
use crate::threads::Threads;
use crate::{Batch, Faer, Number, Plain, loops};

impl<T: Number> Backend for Faer<T> {
    type Scalar = T;
    type Batch = Batch<T>;
    type Rows = Dense<Vec<f64>>;
    type Error = Infallible;

    fn shape(&self, x: &Batch<T>) -> Shape {
        x.shape()
    }

    fn row_count(&self, rows: &Dense<Vec<f64>>) -> usize {
        rows.shape().rows
    }

    fn fill(&self, what: Fill, x: &mut Batch<T>) -> Result<(), Infallible> {
        match what {
            Fill::Constant(a) => {
                let a = T::from_f64(a);
                self.elementwise(
                    [],
                    [x.as_mut_slice()],
                    #[inline(always)]
                    move |[], [x]| x.fill(a),
                );
                Ok(())
            }
            _ => Plain::<T>::new().fill(what, x),
        }
    }

    fn copy(&self, x: &Batch<T>, y: &mut Batch<T>) -> Result<(), Infallible> {
        self.elementwise(
            [x.as_slice()],
            [y.as_mut_slice()],
            #[inline(always)]
            |[x], [y]| {
                let length = x.len().min(y.len());
                y[..length].copy_from_slice(&x[..length]);
            },
        );
        Ok(())
    }

    fn axpy(
        &self,
        rows: Range<usize>,
        a: f64,
        x: &Batch<T>,
        y: &mut Batch<T>,
    ) -> Result<(), Infallible> {
        let a = T::from_f64(a);
        self.elementwise(
            [span(x, rows.clone())],
            [span_mut(y, rows)],
            #[inline(always)]
            move |[x], [y]| loops::axpy(a, x, y),
        );
        Ok(())
    }

    fn dot_rows(
        &self,
        rows: Range<usize>,
        a: f64,
        x: &Batch<T>,
        y: &Batch<T>,
        out: &mut Dense<Vec<f64>>,
    ) -> Result<(), Infallible> {
        let (arch, dim) = (self.arch, x.shape().dim.max(1));
        let slices = Slices {
            dim,
            cost: QUICK,
            read: [span(x, rows.clone()), span(y, rows.clone())],
            write: [],
            results: out.as_mut_slice().get_mut(rows).unwrap_or_default(),
            pass: move |[x, y]: [&[T]; 2], []: [&mut [T]; 0], out: &mut [f64]| {
                let pairs = x.chunks_exact(dim).zip(y.chunks_exact(dim));
                let rows = out.iter_mut().zip(pairs);
                arch.dispatch(
                    #[inline(always)]
                    move || {
                        for (out, (x, y)) in rows {
                            *out += a * dot_f64(x, y);
                        }
                    },
                );
            },
        };
        self.threads.run(slices);
        Ok(())
    }

    fn flush_tiny(&self, rows: Range<usize>, x: &mut Batch<T>) -> Result<(), Infallible> {
        self.elementwise(
            [],
            [span_mut(x, rows)],
            #[inline(always)]
            |[], [x]| flush_tiny(x),
        );
        Ok(())
    }

    fn scale_rows(&self, c: &Dense<Vec<f64>>, x: &mut Batch<T>) -> Result<(), Infallible> {
        let pairs = c.as_slice().iter().zip(each_mut(x));
        self.arch.dispatch(
            #[inline(always)]
            || {
                for (&c, x) in pairs {
                    loops::scale(T::from_f64(c), x);
                }
            },
        );
        Ok(())
    }

    fn fill_rows(&self, a: f64, out: &mut Dense<Vec<f64>>) -> Result<(), Infallible> {
        Plain::<T>::new().fill_rows(a, out)
    }

    fn upload(&self, host: &[T], x: &mut Batch<T>) -> Result<(), Infallible> {
        Plain::<T>::new().upload(host, x)
    }

    fn download(&self, x: &Batch<T>, host: &mut [T]) -> Result<(), Infallible> {
        Plain::<T>::new().download(x, host)
    }

    fn upload_rows(&self, host: &[f64], out: &mut Dense<Vec<f64>>) -> Result<(), Infallible> {
        Plain::<T>::new().upload_rows(host, out)
    }

    fn download_rows(&self, rows: &Dense<Vec<f64>>, host: &mut [f64]) -> Result<(), Infallible> {
        Plain::<T>::new().download_rows(rows, host)
    }

    fn each_shard<S: Send>(
        &self,
        shards: &mut [S],
        work: impl Fn(&Self, &mut S) -> Result<(), Infallible> + Sync,
    ) -> Result<(), Infallible> {
        let sequential = Self::on(Threads::caller());
        let run = |shard: &mut S| {
            let Ok(()) = work(&sequential, shard);
        };
        match self.threads.pool() {
            None => shards.iter_mut().for_each(run),
            Some(pool) => pool.each(shards, run),
        }
        Ok(())
    }

    fn together<R: Send>(&self, work: usize, calls: impl FnOnce(&Self) -> R + Send) -> R {
        self.threads.at_hand(work, || calls(self))
    }
}
