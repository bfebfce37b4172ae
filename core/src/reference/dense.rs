//! Row-major batches over storage of the caller's choice.

use crate::{Scalar, Shape};

/// Memory that holds a batch: `[T; N]`, `&mut [T]` or (with the feature `alloc`) `Vec<T>`.
pub trait Storage: AsRef<[Self::Item]> + AsMut<[Self::Item]> + Send + Sync {
    /// `f32` or `f64`.
    type Item: Scalar;
}

impl<T: Scalar, const N: usize> Storage for [T; N] {
    type Item = T;
}

impl<T: Scalar> Storage for &mut [T] {
    type Item = T;
}

#[cfg(feature = "alloc")]
impl<T: Scalar> Storage for alloc::vec::Vec<T> {
    type Item = T;
}

/// A row-major [rows, dim] matrix with its shape known at run time, in storage that may be larger.
///
/// ```
/// use detfree_core::{Dense, Shape};
/// let x = Dense::new(Shape::new(2, 3), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// assert_eq!(x.row(1), [4.0, 5.0, 6.0]);
/// assert!(Dense::new(Shape::new(4, 2), [0.0; 6]).is_err());
/// # Ok::<(), detfree_core::StorageError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dense<S> {
    shape: Shape,
    data: S,
}

impl<S: Storage> Dense<S> {
    /// A batch over `data`, whose first rows · dim elements are the batch.
    ///
    /// # Errors
    /// [`StorageError`] where rows or dim is zero, or `data` is shorter than rows · dim.
    pub fn new(shape: Shape, data: S) -> Result<Self, StorageError> {
        let available = data.as_ref().len();
        match shape.rows.checked_mul(shape.dim) {
            Some(needed) if (1..=available).contains(&needed) => Ok(Self { shape, data }),
            _ => Err(StorageError { shape, available }),
        }
    }

    /// The same without a check: over storage that is shorter, and for a shape without elements, a batch
    /// that has none to read.
    pub const fn unchecked(shape: Shape, data: S) -> Self {
        Self { shape, data }
    }

    /// Rows and dimension.
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// The elements, row after row.
    pub fn as_slice(&self) -> &[S::Item] {
        let len = self.shape.rows.wrapping_mul(self.shape.dim);
        self.data.as_ref().get(..len).unwrap_or_default()
    }

    /// The elements, row after row.
    pub fn as_mut_slice(&mut self) -> &mut [S::Item] {
        let len = self.shape.rows.wrapping_mul(self.shape.dim);
        self.data.as_mut().get_mut(..len).unwrap_or_default()
    }

    /// Row `r`, empty where there is none.
    pub fn row(&self, r: usize) -> &[S::Item] {
        let dim = self.shape.dim;
        self.as_slice()
            .get(r.saturating_mul(dim)..r.saturating_add(1).saturating_mul(dim))
            .unwrap_or_default()
    }

    /// Row `r`, empty where there is none.
    pub fn row_mut(&mut self, r: usize) -> &mut [S::Item] {
        let dim = self.shape.dim;
        self.as_mut_slice()
            .get_mut(r.saturating_mul(dim)..r.saturating_add(1).saturating_mul(dim))
            .unwrap_or_default()
    }

    /// The rows of a range that lies inside the batch.
    pub(crate) fn rows(&self, range: core::ops::Range<usize>) -> RowIter<'_, S::Item> {
        let dim = self.shape.dim.max(1);
        let rest = self
            .data
            .as_ref()
            .get(range.start.wrapping_mul(dim)..range.end.wrapping_mul(dim))
            .unwrap_or_default();
        RowIter { rest, dim }
    }

    /// The rows of a range that lies inside the batch.
    pub(crate) fn rows_mut(&mut self, range: core::ops::Range<usize>) -> RowIterMut<'_, S::Item> {
        let dim = self.shape.dim.max(1);
        let rest = self
            .data
            .as_mut()
            .get_mut(range.start.wrapping_mul(dim)..range.end.wrapping_mul(dim))
            .unwrap_or_default();
        RowIterMut { rest, dim }
    }
}

/// Rows of `dim` ≥ 1 numbers. `chunks_exact` divides by its length wherever two are zipped, and the
/// optimiser for size leaves the panic of a division by zero in.
pub(crate) struct RowIter<'a, T> {
    rest: &'a [T],
    dim: usize,
}

impl<'a, T> Iterator for RowIter<'a, T> {
    type Item = &'a [T];

    #[inline]
    fn next(&mut self) -> Option<&'a [T]> {
        let (row, rest) = self.rest.split_at_checked(self.dim)?;
        self.rest = rest;
        Some(row)
    }
}

/// As [`RowIter`], to be written.
pub(crate) struct RowIterMut<'a, T> {
    rest: &'a mut [T],
    dim: usize,
}

impl<'a, T> Iterator for RowIterMut<'a, T> {
    type Item = &'a mut [T];

    #[inline]
    fn next(&mut self) -> Option<&'a mut [T]> {
        let (row, rest) = core::mem::take(&mut self.rest).split_at_mut_checked(self.dim)?;
        self.rest = rest;
        Some(row)
    }
}

/// Storage that cannot hold a batch of the shape asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageError {
    /// The shape asked for.
    pub shape: Shape,
    /// Elements in the storage.
    pub available: usize,
}

impl core::fmt::Display for StorageError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Shape { rows, dim } = self.shape;
        write!(
            f,
            "a batch of {rows} rows of {dim} numbers does not fit storage of {} elements: \
             give at least one row, one column and rows times dim elements",
            self.available
        )
    }
}

impl core::error::Error for StorageError {}

#[cfg(feature = "alloc")]
impl<T: Scalar> Dense<alloc::vec::Vec<T>> {
    /// A batch of zeros on the heap. A shape without elements gives one that has none to read.
    #[must_use]
    pub fn on_heap(shape: Shape) -> Self {
        let data = alloc::vec![T::zero(); shape.rows.saturating_mul(shape.dim)];
        Self::unchecked(shape, data)
    }
}
