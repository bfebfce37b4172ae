//! The nalgebra backend of `detfree`: products, LU and Cholesky by [`nalgebra`], and batches that
//! are nalgebra matrices without a copy.
//!
//! The memory of a batch is that of the reference backend, [`Dense`](detfree_core::Dense): row after
//! row, which nalgebra reads as the columns of a dim × rows matrix. [`columns`] and [`columns_mut`]
//! show it so, to take and give matrices of any of nalgebra's sizes and storages. Fills and
//! elementwise passes give the reference's bits; products and factorisations add in another order
//! and agree with it to rounding. All run on the caller's thread, and give the same bits from run to
//! run on one machine.
//!
//! # Two sizes
//!
//! - [`Nalgebra`] is *dynamic*: batches on the heap, of any shape, as `DMatrix` has them.
//! - [`NalgebraArrays`] is *statically sized*: a batch is an array of `N` numbers, as `SMatrix` has
//!   them, and the type bounds how many numbers and rows fit. Which of the shapes that fit a batch
//!   has is known at run time, because one type serves samples, weights and biases alike.
//!
//! Both are [`NalgebraOn`], which also computes in slices that a caller lends. Wherever batches are,
//! large products copy or pack their operands on the heap, and factorisations work on a copy there.
//!
//! ```
//! use detfree_core::{Allocate, Backend, Dense, DenseBackend, Op, Shape, Store};
//! use detfree_nalgebra::{Nalgebra, NalgebraArrays, columns, columns_mut};
//! use nalgebra::{Matrix2, Matrix2x3, Vector2, Vector3};
//!
//! let b = Nalgebra::<f64>::new();
//! let (mut w, mut x) = (b.batch(Shape::new(2, 3))?, b.batch(Shape::new(1, 3))?);
//! // A sample is a column; a weight goes in transposed.
//! columns_mut(&mut w).tr_copy_from(&Matrix2x3::new(1.0, 2.0, 3.0, 4.0, 5.0, 6.0));
//! columns_mut(&mut x).copy_from(&Vector3::new(1.0, 0.0, 1.0));
//! let mut y = b.batch(Shape::new(1, 2))?;
//! b.apply(0..1, &w, Op::Plain, &x, Store::Set, &mut y)?;
//! assert_eq!(columns(&y), Vector2::new(4.0, 10.0));
//!
//! // At most 4 numbers a batch, and 2 rows.
//! let b = NalgebraArrays::<f64, 4, 2>::new();
//! let mut a = Dense::new(Shape::new(2, 2), [0.0; 4]).unwrap();
//! columns_mut(&mut a).tr_copy_from(&Matrix2::new(0.0, 2.0, -3.0, 0.0));
//! assert_eq!(b.log_abs_det(&mut a)?, (1.0, 2.0_f64.ln() + 3.0_f64.ln()));
//! # Ok::<(), core::convert::Infallible>(())
//! ```
#![forbid(unsafe_code)]

mod dense_backend;
mod factorise;
mod flow_backend;
mod host;
mod product;
mod view;

use detfree_core::Reference;

pub use view::{columns, columns_mut};

/// Computes on the CPU in storage `S`, with per-row results in storage `R`.
///
/// The aliases [`Nalgebra`] and [`NalgebraArrays`] name the useful combinations.
///
/// ```
/// use detfree_core::{Dense, DenseBackend, Shape};
/// use detfree_nalgebra::NalgebraOn;
/// let mut memory = [2.0_f32, 1.0, 1.0, 2.0];
/// let mut a = Dense::new(Shape::new(2, 2), &mut memory[..])?;
/// let on_slices = NalgebraOn::<&mut [f32], &mut [f64]>::new();
/// assert_eq!(on_slices.is_positive_definite(&mut a), Ok(true));
/// # Ok::<(), detfree_core::StorageError>(())
/// ```
#[derive(Debug)]
pub struct NalgebraOn<S, R> {
    /// Does what is neither a product nor a factorisation.
    passes: Reference<S, R>,
}

/// The dynamic backend: batches on the heap, of any shape.
pub type Nalgebra<T> = NalgebraOn<Vec<T>, Vec<f64>>;

/// The statically sized backend: at most `N` numbers a batch and `R` rows, in arrays.
pub type NalgebraArrays<T, const N: usize, const R: usize> = NalgebraOn<[T; N], [f64; R]>;

impl<S, R> NalgebraOn<S, R> {
    /// The backend; it holds nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            passes: Reference::new(),
        }
    }
}

impl<S, R> Clone for NalgebraOn<S, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, R> Copy for NalgebraOn<S, R> {}

impl<S, R> Default for NalgebraOn<S, R> {
    fn default() -> Self {
        Self::new()
    }
}
