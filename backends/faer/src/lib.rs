//! The fast CPU backend of `detfree`: products through [faer], or through [`detfree_x86`] where `f32` gains by it,
//! elementwise passes with the widest vectors of the CPU it runs on, shards on threads.
//!
//! A batch is a [`Dense`], as on the reference backend, in memory that starts with a cache line.
//! Fills and elementwise passes give its bits; products, sums of rows and factorisations add in
//! another order and agree with it to rounding. Everything is bit-reproducible from run to run on
//! one machine with one number of threads. Products and passes on the caller's thread allocate
//! nothing, but for memory to pack into at the first large product of a thread.
//!
//! ```
//! use detfree_core::{Allocate, Backend, DenseBackend, Fill, Op, Shape, Store};
//! let b = detfree_faer::Faer::<f32>::sequential();
//! let (mut w, mut x) = (b.batch(Shape::new(2, 3))?, b.batch(Shape::new(1, 3))?);
//! let mut y = b.batch(Shape::new(1, 2))?;
//! b.upload(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &mut w)?;
//! b.fill(Fill::Constant(1.0), &mut x)?;
//! b.apply(0..1, &w, Op::Plain, &x, Store::Set, &mut y)?;
//! assert_eq!(y.as_slice(), [6.0, 15.0]);
//! # Ok::<(), core::convert::Infallible>(())
//! ```
#![forbid(unsafe_code)]

mod aligned;
mod awake;
mod dense_backend;
mod factorise;
mod flow_backend;
mod host;
mod layer;
mod loops;
mod product;
mod relative_adam;
mod rows;
mod slices;
mod threads;
mod tiny;

use core::convert::Infallible;
use core::marker::PhantomData;

use detfree_core::reference::Reference;
use detfree_core::{Allocate, Dense, Scalar, Shape};
use detfree_x86::Start;
use faer::traits::ComplexField;
use faer::{MatMut, MatRef};
use pulp::Arch;
use pulp::bytemuck::Pod;

pub use aligned::Aligned;
use threads::Threads;
pub use threads::ThreadsError;

/// Computes on the CPU in `f32` or `f64`, on one thread or several.
///
/// With more than one thread the shards of [`each_shard`](detfree_core::Backend::each_shard) run
/// in parallel, each on sequential arithmetic. Outside shards, a product of at least 2²⁰
/// multiply-adds, or a pass that takes as long, is cut into one block per thread, and a
/// [`chain`](detfree_core::DenseBackend::chain) of products once as a whole where weights are near; smaller ones lose
/// more to waking a thread than they gain, and so do factorisations. Between calls that are made
/// [`together`](detfree_core::Backend::together) half of that is enough: there the threads wait for more, awake for a
/// fifth of a millisecond after the last.
///
/// ```
/// use detfree_core::Backend;
/// let b = detfree_faer::Faer::<f64>::new(2)?;
/// let mut shards = [1.0, 2.0, 3.0];
/// let Ok(()) = b.each_shard(&mut shards, |_, x| {
///     *x *= *x;
///     Ok(())
/// });
/// assert_eq!(shards, [1.0, 4.0, 9.0]);
/// # Ok::<(), detfree_faer::ThreadsError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Faer<T> {
    threads: Threads,
    arch: Arch,
    scalar: PhantomData<fn() -> T>,
}

impl<T: Number> Faer<T> {
    /// A backend on `threads` threads of its own, or on the caller's where that is 1.
    ///
    /// # Errors
    /// [`ThreadsError`] where `threads` is 0 or the system refuses to start so many.
    pub fn new(threads: usize) -> Result<Self, ThreadsError> {
        Ok(Self::on(Threads::start(threads)?))
    }

    /// A backend on the caller's thread.
    #[must_use]
    pub fn sequential() -> Self {
        Self::on(Threads::caller())
    }

    /// How many shards run at the same time.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.count()
    }

    fn on(threads: Threads) -> Self {
        Self {
            threads,
            arch: Arch::new(),
            scalar: PhantomData,
        }
    }
}

/// `f32` or `f64`: a number that faer multiplies, and whose vectors lie in memory as its slices do.
pub trait Number: Scalar + ComplexField + Pod {
    /// A product that is quicker than faer's.
    #[doc(hidden)]
    const QUICKEST: Quickest<Self> = |_, _, _| None;
}

impl Number for f32 {
    const QUICKEST: Quickest<Self> = detfree_x86::quickest;
}

impl Number for f64 {}

/// What is quickest for a product `dst ← lhs · rhs`, unless it is faer.
type Quickest<T> = fn(MatRef<'_, T>, MatRef<'_, T>, MatRef<'_, T>) -> Option<Matmul<T>>;

/// `dst ← start + alpha · lhs · rhs`
type Matmul<T> = fn(MatMut<'_, T>, Start<'_, T>, MatRef<'_, T>, MatRef<'_, T>, T);

/// A batch of [`Faer`].
pub type Batch<T> = Dense<Aligned<T>>;

/// The reference's own loops on our batches, where there is nothing to gain.
type Plain<T> = Reference<Aligned<T>, Vec<f64>>;

impl<T: Number> Allocate for Faer<T> {
    fn batch(&self, shape: Shape) -> Result<Batch<T>, Infallible> {
        Ok(Dense::unchecked(
            shape,
            Aligned::zeros(shape.rows.saturating_mul(shape.dim)),
        ))
    }

    fn rows(&self, rows: usize) -> Result<Dense<Vec<f64>>, Infallible> {
        Ok(Dense::on_heap(Shape::new(rows, 1)))
    }
}
