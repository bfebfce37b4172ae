//! Batches as matrices of nalgebra's, without a copy.
//!
//! Only views whose columns lie in one piece are handed out: nalgebra 0.35 adds multiples of
//! columns with a stride beyond their end (its issue 1616).

use core::ops::Range;

use detfree_core::{Dense, Storage};
use nalgebra::{DMatrixView, DMatrixViewMut, Dyn, U1};

/// The batch as a dim × rows matrix: column r is row r of the batch.
///
/// Samples are columns, as nalgebra's users have them; a weight is seen transposed.
///
/// ```
/// use detfree_core::{Dense, Shape};
/// let w = Dense::new(Shape::new(2, 3), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// assert_eq!(detfree_nalgebra::columns(&w).column(1).as_slice(), [4.0, 5.0, 6.0]);
/// let fixed = detfree_nalgebra::columns(&w).fixed_view::<3, 2>(0, 0).transpose();
/// assert_eq!(fixed, nalgebra::Matrix2x3::new(1.0, 2.0, 3.0, 4.0, 5.0, 6.0));
/// # Ok::<(), detfree_core::StorageError>(())
/// ```
pub fn columns<S: Storage>(x: &Dense<S>) -> DMatrixView<'_, S::Item> {
    range(x, 0..x.shape().rows).unwrap_or_else(|| DMatrixView::from_slice(&[], 0, 0))
}

/// The batch as a dim × rows matrix, to write into: column r is row r of the batch.
///
/// ```
/// use detfree_core::{Dense, Shape};
/// let mut w = Dense::new(Shape::new(2, 3), [0.0; 6])?;
/// let fixed = nalgebra::Matrix2x3::new(1.0, 2.0, 3.0, 4.0, 5.0, 6.0);
/// detfree_nalgebra::columns_mut(&mut w).tr_copy_from(&fixed);
/// assert_eq!(w.row(1), [4.0, 5.0, 6.0]);
/// # Ok::<(), detfree_core::StorageError>(())
/// ```
pub fn columns_mut<S: Storage>(x: &mut Dense<S>) -> DMatrixViewMut<'_, S::Item> {
    let rows = 0..x.shape().rows;
    range_mut(x, rows).unwrap_or_else(|| DMatrixViewMut::from_slice(&mut [], 0, 0))
}

/// The rows of a range as columns, `None` where the batch is empty or ends before them.
pub(crate) fn range<S: Storage>(
    x: &Dense<S>,
    rows: Range<usize>,
) -> Option<DMatrixView<'_, S::Item>> {
    let data = x.as_slice().get(elements(x, &rows)?)?;
    Some(DMatrixView::from_slice(data, x.shape().dim, rows.len()))
}

/// The rows of a range as columns, `None` where the batch is empty or ends before them.
pub(crate) fn range_mut<S: Storage>(
    x: &mut Dense<S>,
    rows: Range<usize>,
) -> Option<DMatrixViewMut<'_, S::Item>> {
    let (elements, dim) = (elements(x, &rows)?, x.shape().dim);
    let data = x.as_mut_slice().get_mut(elements)?;
    Some(DMatrixViewMut::from_slice(data, dim, rows.len()))
}

/// The rows of a range as rows, for the right factor of a product: nalgebra reads that element by
/// element, and strides do no harm.
pub(crate) fn range_of_rows<S: Storage>(
    x: &Dense<S>,
    rows: Range<usize>,
) -> Option<DMatrixView<'_, S::Item, Dyn, U1>> {
    let data = x.as_slice().get(elements(x, &rows)?)?;
    let [count, dim] = [rows.len(), x.shape().dim].map(Dyn);
    Some(DMatrixView::from_slice_with_strides_generic(
        data, count, dim, dim, U1,
    ))
}

/// Where a range of rows is, `None` in an empty batch: the other of its extents may be so large that
/// nalgebra's arithmetic with it would overflow.
fn elements<S: Storage>(x: &Dense<S>, rows: &Range<usize>) -> Option<Range<usize>> {
    let dim = x.shape().dim;
    (!x.as_slice().is_empty()).then(|| rows.start.saturating_mul(dim)..rows.end.saturating_mul(dim))
}
