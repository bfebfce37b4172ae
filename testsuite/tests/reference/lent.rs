//! The reference backend on memory that the caller lends, with a lender, so that the suite can ask it
//! for batches.

use std::ops::Range;

use detfree_core::reference::{Reference, StorageError};
use detfree_core::{
    Activation, Adam, Allocate, Backend, BaseDensity, Dense, DenseBackend, Fill, FlowBackend, Op,
    Scalar, Shape, Storage, Store,
};

/// Storage for at least `len` numbers, or as many as it ever has.
pub(crate) trait Lend: Storage {
    fn lend(len: usize) -> Self;
}

/// All of the array, however small the batch.
impl<T: Scalar, const N: usize> Lend for [T; N] {
    fn lend(_: usize) -> Self {
        [T::from_f64(f64::NAN); N]
    }
}

/// Never given back: a test is short, and a lender that takes it back would need more code than
/// the backend under test.
impl<T: Scalar> Lend for &'static mut [T] {
    fn lend(len: usize) -> Self {
        vec![T::from_f64(f64::NAN); len].leak()
    }
}

/// Passes everything on to [`Reference`], and lends it storage. Boxed, because arrays for the
/// suite's largest batches are too large for the stack of a thread.
pub(crate) struct Lent<S, R>(Reference<S, R>);

impl<S, R> Lent<S, R> {
    pub(crate) const fn new() -> Self {
        Self(Reference::new())
    }
}

fn lent<S: Lend>(shape: Shape) -> Result<Box<Dense<S>>, StorageError> {
    let storage = S::lend(shape.rows.saturating_mul(shape.dim));
    Dense::new(shape, storage).map(Box::new)
}

impl<S: Lend, R: Lend + Storage<Item = f64>> Allocate for Lent<S, R> {
    fn batch(&self, shape: Shape) -> Result<Self::Batch, StorageError> {
        lent(shape)
    }

    fn rows(&self, rows: usize) -> Result<Self::Rows, StorageError> {
        lent(Shape::new(rows, 1))
    }
}

macro_rules! passed_on {
    ($(fn $name:ident($($operand:ident: $type:ty),*) -> $output:ty;)+) => {$(
        fn $name(&self, $($operand: $type),*) -> Result<$output, StorageError> {
            let Ok(output) = self.0.$name($($operand),*);
            Ok(output)
        }
    )+};
}

impl<S: Lend, R: Lend + Storage<Item = f64>> Backend for Lent<S, R> {
    type Scalar = S::Item;
    type Batch = Box<Dense<S>>;
    type Rows = Box<Dense<R>>;
    type Error = StorageError;

    fn shape(&self, x: &Self::Batch) -> Shape {
        self.0.shape(x)
    }

    fn row_count(&self, rows: &Self::Rows) -> usize {
        self.0.row_count(rows)
    }

    passed_on! {
        fn fill(what: Fill, x: &mut Self::Batch) -> ();
        fn copy(x: &Self::Batch, y: &mut Self::Batch) -> ();
        fn axpy(rows: Range<usize>, a: f64, x: &Self::Batch, y: &mut Self::Batch) -> ();
        fn dot_rows(
            rows: Range<usize>, a: f64, x: &Self::Batch, y: &Self::Batch, out: &mut Self::Rows
        ) -> ();
        fn flush_tiny(rows: Range<usize>, x: &mut Self::Batch) -> ();
        fn scale_rows(c: &Self::Rows, x: &mut Self::Batch) -> ();
        fn fill_rows(a: f64, out: &mut Self::Rows) -> ();
        fn upload(host: &[S::Item], x: &mut Self::Batch) -> ();
        fn download(x: &Self::Batch, host: &mut [S::Item]) -> ();
        fn upload_rows(host: &[f64], out: &mut Self::Rows) -> ();
        fn download_rows(rows: &Self::Rows, host: &mut [f64]) -> ();
    }
}

impl<S: Lend, R: Lend + Storage<Item = f64>> DenseBackend for Lent<S, R> {
    passed_on! {
        fn apply(
            rows: Range<usize>, w: &Self::Batch, op: Op, x: &Self::Batch, store: Store,
            out: &mut Self::Batch
        ) -> ();
        fn outer(
            rows: Range<usize>, a: f64, s: &Self::Batch, v: &Self::Batch, store: Store,
            g: &mut Self::Batch
        ) -> ();
        fn sum_rows(
            rows: Range<usize>, a: f64, x: &Self::Batch, store: Store, g: &mut Self::Batch
        ) -> ();
        fn hadamard(
            rows: Range<usize>, x: &Self::Batch, y: &Self::Batch, store: Store,
            out: &mut Self::Batch
        ) -> ();
        fn add_bias(bias: &Self::Batch, x: &mut Self::Batch) -> ();
        fn bias_activate(
            activation: Activation, bias: &Self::Batch, h: &mut Self::Batch,
            z: &mut Self::Batch, d1: &mut Self::Batch, d2: &mut Self::Batch
        ) -> ();
        fn transpose(x: &Self::Batch, out: &mut Self::Batch) -> ();
        fn log_abs_det(a: &mut Self::Batch) -> (f64, f64);
        fn solve(a: &mut Self::Batch, op: Op, x: &mut Self::Batch) -> bool;
        fn is_positive_definite(a: &mut Self::Batch) -> bool;
    }

    fn scale_shift(
        &self,
        rows: Range<usize>,
        scale: &Self::Batch,
        shift: Option<&Self::Batch>,
        x: &mut Self::Batch,
    ) -> Result<(), StorageError> {
        let Ok(()) = self.0.scale_shift(rows, scale, shift.map(Box::as_ref), x);
        Ok(())
    }
}

impl<S: Lend, R: Lend + Storage<Item = f64>> FlowBackend for Lent<S, R> {
    passed_on! {
        fn inverse_bijection(
            activation: Activation, bias: &Self::Batch, z: &mut Self::Batch
        ) -> ();
        fn base_density(
            base: BaseDensity, z: &Self::Batch, score: &mut Self::Batch, log: &mut Self::Rows
        ) -> ();
        fn adam(
            step: &Adam, direction: &Self::Batch, first_moment: &mut Self::Batch,
            second_moment: &mut Self::Batch, parameters: &mut Self::Batch
        ) -> ();
    }

    fn bijection(
        &self,
        activation: Activation,
        bias: &Self::Batch,
        y: &mut Self::Batch,
        z: &mut Self::Batch,
        d1: &mut Self::Batch,
        score: &mut Self::Batch,
        log: Option<&mut Self::Rows>,
    ) -> Result<(), StorageError> {
        let log = log.map(Box::as_mut);
        let Ok(()) = self.0.bijection(activation, bias, y, z, d1, score, log);
        Ok(())
    }
}
