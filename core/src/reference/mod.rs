//! The reference backend: the portable path, the no-allocation path, and the specification that
//! other backends are tested against.
//!
//! Every sum has a fixed order and no operation is contracted, so the results are the same bits
//! on every host.

mod dense;
mod elimination;
mod flow;
mod lanes;
mod matrix;

use core::convert::Infallible;
use core::marker::PhantomData;
use core::ops::Range;

pub use dense::{Dense, Storage, StorageError};
pub use lanes::dot_f64;

use crate::{Backend, Fill, Scalar, Shape};

/// Plain loops on the host over storage `S`, with per-row results in storage `R`.
///
/// The aliases [`Arrays`], [`Slices`] and `Heap` name the useful combinations.
///
/// ```
/// use detfree_core::{reference, Backend, Dense, Shape};
/// let b = reference::Arrays::<f32, 6, 2>::new();
/// let x = Dense::new(Shape::new(2, 3), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
/// let mut squares = Dense::new(Shape::new(2, 1), [0.0; 2]).unwrap();
/// b.dot_rows(0..2, 1.0, &x, &x, &mut squares).unwrap();
/// assert_eq!(squares.as_slice(), [14.0, 77.0]);
/// ```
#[derive(Debug)]
pub struct Reference<S, R> {
    storage: PhantomData<fn() -> (S, R)>,
}

/// The reference backend on arrays: at most `N` elements a batch and `R` rows.
pub type Arrays<T, const N: usize, const R: usize> = Reference<[T; N], [f64; R]>;

/// The reference backend on slices that the caller lends.
pub type Slices<'a, T> = Reference<&'a mut [T], &'a mut [f64]>;

/// The reference backend on the heap.
#[cfg(feature = "alloc")]
pub type Heap<T> = Reference<alloc::vec::Vec<T>, alloc::vec::Vec<f64>>;

impl<S, R> Reference<S, R> {
    /// The backend; it holds nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            storage: PhantomData,
        }
    }
}

impl<S, R> Clone for Reference<S, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, R> Copy for Reference<S, R> {}

impl<S, R> Default for Reference<S, R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Storage, R: Storage<Item = f64>> Backend for Reference<S, R> {
    type Scalar = S::Item;
    type Batch = Dense<S>;
    type Rows = Dense<R>;
    type Error = Infallible;

    fn shape(&self, x: &Self::Batch) -> Shape {
        x.shape()
    }

    fn row_count(&self, rows: &Self::Rows) -> usize {
        rows.shape().rows
    }

    #[inline(always)]
    fn fill(&self, what: Fill, x: &mut Self::Batch) -> Result<(), Infallible> {
        let rows = x.shape().rows;
        for (r, row) in x.rows_mut(0..rows).enumerate() {
            fill_row(what, r, row);
        }
        Ok(())
    }

    fn copy(&self, x: &Self::Batch, y: &mut Self::Batch) -> Result<(), Infallible> {
        copy_slice(x.as_slice(), y.as_mut_slice());
        Ok(())
    }

    fn axpy(
        &self,
        rows: Range<usize>,
        a: f64,
        x: &Self::Batch,
        y: &mut Self::Batch,
    ) -> Result<(), Infallible> {
        let a = S::Item::from_f64(a);
        for (x, y) in x.rows(rows.clone()).zip(y.rows_mut(rows)) {
            lanes::axpy(a, x, y);
        }
        Ok(())
    }

    fn dot_rows(
        &self,
        rows: Range<usize>,
        a: f64,
        x: &Self::Batch,
        y: &Self::Batch,
        out: &mut Self::Rows,
    ) -> Result<(), Infallible> {
        let pairs = x.rows(rows.clone()).zip(y.rows(rows.clone()));
        let out = out.as_mut_slice().get_mut(rows).unwrap_or_default();
        for (out, (x, y)) in out.iter_mut().zip(pairs) {
            *out += a * dot_f64(x, y);
        }
        Ok(())
    }

    fn flush_tiny(&self, rows: Range<usize>, x: &mut Self::Batch) -> Result<(), Infallible> {
        for x in x.rows_mut(rows) {
            flush_tiny(x);
        }
        Ok(())
    }

    fn scale_rows(&self, c: &Self::Rows, x: &mut Self::Batch) -> Result<(), Infallible> {
        let rows = x.shape().rows;
        for (&c, x) in c.as_slice().iter().zip(x.rows_mut(0..rows)) {
            let c = S::Item::from_f64(c);
            for x in x {
                *x *= c;
            }
        }
        Ok(())
    }

    fn fill_rows(&self, a: f64, out: &mut Self::Rows) -> Result<(), Infallible> {
        out.as_mut_slice().fill(a);
        Ok(())
    }

    fn upload(&self, host: &[S::Item], x: &mut Self::Batch) -> Result<(), Infallible> {
        copy_slice(host, x.as_mut_slice());
        Ok(())
    }

    fn download(&self, x: &Self::Batch, host: &mut [S::Item]) -> Result<(), Infallible> {
        copy_slice(x.as_slice(), host);
        Ok(())
    }

    fn upload_rows(&self, host: &[f64], out: &mut Self::Rows) -> Result<(), Infallible> {
        copy_slice(host, out.as_mut_slice());
        Ok(())
    }

    fn download_rows(&self, rows: &Self::Rows, host: &mut [f64]) -> Result<(), Infallible> {
        copy_slice(rows.as_slice(), host);
        Ok(())
    }
}

#[cfg(feature = "alloc")]
impl<T: Scalar> crate::Allocate for Heap<T> {
    fn batch(&self, shape: Shape) -> Result<Self::Batch, Infallible> {
        Ok(Dense::on_heap(shape))
    }

    fn rows(&self, rows: usize) -> Result<Self::Rows, Infallible> {
        Ok(Dense::on_heap(Shape::new(rows, 1)))
    }
}

/// Writes row `r` of a fill; the specification of [`Fill`] that host backends share.
// Inlined, as `Backend::fill` is, where the fill is known: a host without normal probes then does not
// link their sine and cosine.
#[inline(always)]
pub fn fill_row<T: Scalar>(what: Fill, r: usize, row: &mut [T]) {
    match what {
        Fill::Constant(a) => row.fill(T::from_f64(a)),
        Fill::Identity => fill_basis(r, row),
        Fill::Basis(column) => fill_basis(column, row),
        Fill::Rademacher {
            key,
            first_row,
            scale,
        } => fill_signs(key, first_row.wrapping_add(r as u64), scale, row),
        Fill::Gaussian {
            key,
            first_row,
            scale,
        } => {
            for (block, pair) in row.chunks_mut(2).enumerate() {
                let normals = key.normal_pair(first_row.wrapping_add(r as u64), block as u32);
                for (x, normal) in pair.iter_mut().zip(normals) {
                    *x = T::from_f64(scale * normal);
                }
            }
        }
        Fill::Walsh {
            key,
            first_row,
            index,
            scale,
        } => {
            fill_signs(key, first_row.wrapping_add(r as u64), scale, row);
            for (column, x) in row.iter_mut().enumerate() {
                if (index & column as u32).count_ones() & 1 == 1 {
                    *x = -*x;
                }
            }
        }
    }
}

fn fill_basis<T: Scalar>(column: usize, row: &mut [T]) {
    row.fill(T::zero());
    if let Some(x) = row.get_mut(column) {
        *x = T::one();
    }
}

fn fill_signs<T: Scalar>(key: crate::Key, row: u64, scale: f64, out: &mut [T]) {
    // Indexed by the bit: a branch on random bits would be mispredicted half the time.
    let signed = [T::from_f64(scale), T::from_f64(-scale)];
    for (block, columns) in out.chunks_mut(128).enumerate() {
        let words = key.sign_words(row, block as u32);
        for (word, columns) in words.into_iter().zip(columns.chunks_mut(32)) {
            for (bit, x) in columns.iter_mut().enumerate() {
                *x = signed[(word >> bit & 1) as usize];
            }
        }
    }
}

/// The specification of [`Backend::flush_tiny`] that host backends share.
#[inline(always)]
pub fn flush_tiny<T: Scalar>(row: &mut [T]) {
    for x in row {
        // Written so that NaN stays.
        *x = if *x < T::TINY && *x > -T::TINY {
            T::zero()
        } else {
            *x
        };
    }
}

/// Copies as many elements as both have; their lengths agree by contract.
fn copy_slice<T: Copy>(from: &[T], to: &mut [T]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}
