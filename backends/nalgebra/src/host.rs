//! Memory, copies, and the passes that every series needs.

use core::convert::Infallible;
use core::ops::Range;

use detfree_core::{Allocate, Backend, Dense, Fill, Scalar, Shape, Storage};

use crate::{Nalgebra, NalgebraOn};

impl<S: Storage, R: Storage<Item = f64>> Backend for NalgebraOn<S, R> {
    type Scalar = S::Item;
    type Batch = Dense<S>;
    type Rows = Dense<R>;
    type Error = Infallible;

    fn shape(&self, x: &Dense<S>) -> Shape {
        x.shape()
    }

    fn row_count(&self, rows: &Dense<R>) -> usize {
        rows.shape().rows
    }

    fn fill(&self, what: Fill, x: &mut Dense<S>) -> Result<(), Infallible> {
        self.passes.fill(what, x)
    }

    fn copy(&self, x: &Dense<S>, y: &mut Dense<S>) -> Result<(), Infallible> {
        self.passes.copy(x, y)
    }

    fn axpy(
        &self,
        rows: Range<usize>,
        a: f64,
        x: &Dense<S>,
        y: &mut Dense<S>,
    ) -> Result<(), Infallible> {
        self.passes.axpy(rows, a, x, y)
    }

    fn dot_rows(
        &self,
        rows: Range<usize>,
        a: f64,
        x: &Dense<S>,
        y: &Dense<S>,
        out: &mut Dense<R>,
    ) -> Result<(), Infallible> {
        self.passes.dot_rows(rows, a, x, y, out)
    }

    fn flush_tiny(&self, rows: Range<usize>, x: &mut Dense<S>) -> Result<(), Infallible> {
        self.passes.flush_tiny(rows, x)
    }

    fn scale_rows(&self, c: &Dense<R>, x: &mut Dense<S>) -> Result<(), Infallible> {
        self.passes.scale_rows(c, x)
    }

    fn fill_rows(&self, a: f64, out: &mut Dense<R>) -> Result<(), Infallible> {
        self.passes.fill_rows(a, out)
    }

    fn upload(&self, host: &[S::Item], x: &mut Dense<S>) -> Result<(), Infallible> {
        self.passes.upload(host, x)
    }

    fn download(&self, x: &Dense<S>, host: &mut [S::Item]) -> Result<(), Infallible> {
        self.passes.download(x, host)
    }

    fn upload_rows(&self, host: &[f64], out: &mut Dense<R>) -> Result<(), Infallible> {
        self.passes.upload_rows(host, out)
    }

    fn download_rows(&self, rows: &Dense<R>, host: &mut [f64]) -> Result<(), Infallible> {
        self.passes.download_rows(rows, host)
    }
}

impl<T: Scalar> Allocate for Nalgebra<T> {
    fn batch(&self, shape: Shape) -> Result<Dense<Vec<T>>, Infallible> {
        self.passes.batch(shape)
    }

    fn rows(&self, rows: usize) -> Result<Dense<Vec<f64>>, Infallible> {
        self.passes.rows(rows)
    }
}
