//! What a place of computation offers: batches, per-row results and the passes over them.

use core::fmt::Debug;
use core::ops::Range;

use crate::{Key, Scalar};

/// The extent of a row-major batch: `rows` vectors of `dim` numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Number of rows (samples, probes, or the outputs of a weight).
    pub rows: usize,
    /// Numbers in a row.
    pub dim: usize,
}

impl Shape {
    /// `rows` vectors of `dim` numbers.
    #[must_use]
    pub const fn new(rows: usize, dim: usize) -> Self {
        Self { rows, dim }
    }
}

/// What [`Backend::fill`] writes.
///
/// Random fills are functions of (key, row, column) alone, with row `r` of the batch numbered
/// `first_row + r` modulo 2⁶⁴: two shards of one batch that state their first rows never repeat a probe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fill {
    /// Every element is this number.
    Constant(f64),
    /// Row `r` has a one in column `r`: the identity, for a square batch.
    Identity,
    /// Every row is the unit vector of this column.
    Basis(usize),
    /// ±scale with equal probability, independent: [`Key::sign`].
    Rademacher {
        /// The stream.
        key: Key,
        /// The number of the batch's first row.
        first_row: u64,
        /// The magnitude.
        scale: f64,
    },
    /// scale times a standard normal, independent: [`Key::normal`].
    Gaussian {
        /// The stream.
        key: Key,
        /// The number of the batch's first row.
        first_row: u64,
        /// The standard deviation.
        scale: f64,
    },
    /// scale · [`Key::sign`] · (−1)^popcount(index ∧ column): random signs times row `index` of
    /// the Walsh–Hadamard matrix. Vectors of one row with different `index` are orthogonal when
    /// the dimension is a power of two that exceeds every index.
    Walsh {
        /// The stream of the signs, the same for every index.
        key: Key,
        /// The number of the batch's first row.
        first_row: u64,
        /// The row of the Walsh–Hadamard matrix.
        index: u32,
        /// The magnitude.
        scale: f64,
    },
}

/// Whether a product uses a weight or its transpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// W
    Plain,
    /// Wᵀ
    Transposed,
}

/// Whether a result replaces what the output held or is added to it.
///
/// With [`Store::Set`] the output is never read: it may hold NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// out ← result
    Set,
    /// out ← out + result
    Add,
}

/// A place of computation: where batches live and how a series runs over them.
///
/// Contract of every method here and in the capability subtraits:
/// - operands have the shapes stated; entry points of this crate check them once, a primitive need
///   not. A broken contract gives an error or unspecified numbers, never a panic or undefined
///   behaviour;
/// - a row range lies inside the batch, and **rows outside it are neither read nor written**;
/// - an operand that is only written may hold anything before, NaN included;
/// - a NaN in an element that is read reaches every result that depends on it, and large numbers are not
///   clamped: what diverges must be seen to.
///
/// Scalars that steer (`a`, row results) are `f64`. `a` may be rounded to the data type where the
/// output is a batch, never where it is a row result.
///
/// Hosts need not write everything anew: [`reference::fill_row`](crate::reference::fill_row),
/// [`reference::dot_f64`](crate::reference::dot_f64) and
/// [`reference::flush_tiny`](crate::reference::flush_tiny) are the specifications of [`Self::fill`],
/// [`Self::dot_rows`] and [`Self::flush_tiny`], a row at a time.
pub trait Backend {
    /// The type of a batch's numbers.
    type Scalar: Scalar;
    /// A [rows, dim] matrix where the backend computes; also a weight, or an optimiser's moment.
    type Batch: Send + Sync;
    /// One `f64` per row.
    type Rows: Send + Sync;
    /// What can go wrong; `core::convert::Infallible` on hosts.
    type Error: Debug + Send;

    /// The extent of a batch.
    fn shape(&self, x: &Self::Batch) -> Shape;

    /// The number of rows that `rows` holds results for.
    fn row_count(&self, rows: &Self::Rows) -> usize;

    /// x ← what; on hosts, [`reference::fill_row`](crate::reference::fill_row) for every row.
    ///
    /// # Errors
    /// The device's.
    fn fill(&self, what: Fill, x: &mut Self::Batch) -> Result<(), Self::Error>;

    /// y ← x, of one shape.
    ///
    /// # Errors
    /// The device's.
    fn copy(&self, x: &Self::Batch, y: &mut Self::Batch) -> Result<(), Self::Error>;

    /// y_r ← y_r + a x_r for r in `rows`.
    ///
    /// # Errors
    /// The device's.
    fn axpy(
        &self,
        rows: Range<usize>,
        a: f64,
        x: &Self::Batch,
        y: &mut Self::Batch,
    ) -> Result<(), Self::Error>;

    /// out_r ← out_r + a ⟨x_r, y_r⟩ for r in `rows`, accumulated in `f64`.
    ///
    /// # Errors
    /// The device's.
    fn dot_rows(
        &self,
        rows: Range<usize>,
        a: f64,
        x: &Self::Batch,
        y: &Self::Batch,
        out: &mut Self::Rows,
    ) -> Result<(), Self::Error>;

    /// x_rj ← 0 where |x_rj| < [`Scalar::TINY`], for r in `rows`.
    ///
    /// A hint: a long series underflows, and hosts compute with subnormal numbers a hundred times
    /// slower. The provided method does nothing, which is never wrong, and right for a device that
    /// does not mind them. On hosts it is [`reference::flush_tiny`](crate::reference::flush_tiny) for
    /// every row; NaN stays.
    ///
    /// # Errors
    /// The device's.
    fn flush_tiny(&self, rows: Range<usize>, x: &mut Self::Batch) -> Result<(), Self::Error> {
        let _ = (rows, x);
        Ok(())
    }

    /// x_r ← c_r x_r for every row.
    ///
    /// # Errors
    /// The device's.
    fn scale_rows(&self, c: &Self::Rows, x: &mut Self::Batch) -> Result<(), Self::Error>;

    /// out_r ← a for every row.
    ///
    /// # Errors
    /// The device's.
    fn fill_rows(&self, a: f64, out: &mut Self::Rows) -> Result<(), Self::Error>;

    /// x ← host, row-major, `host.len() == rows · dim`.
    ///
    /// # Errors
    /// The device's.
    fn upload(&self, host: &[Self::Scalar], x: &mut Self::Batch) -> Result<(), Self::Error>;

    /// host ← x, row-major, `host.len() == rows · dim`.
    ///
    /// # Errors
    /// The device's.
    fn download(&self, x: &Self::Batch, host: &mut [Self::Scalar]) -> Result<(), Self::Error>;

    /// out ← host, one number per row.
    ///
    /// # Errors
    /// The device's.
    fn upload_rows(&self, host: &[f64], out: &mut Self::Rows) -> Result<(), Self::Error>;

    /// host ← rows, one number per row.
    ///
    /// # Errors
    /// The device's.
    fn download_rows(&self, rows: &Self::Rows, host: &mut [f64]) -> Result<(), Self::Error>;

    /// Runs `work` once for every shard: a set of rows with its own operator, workspace and sums.
    ///
    /// A threaded backend runs shards in parallel and hands each a sequential self. The caller
    /// folds results in index order, so that a run is deterministic.
    ///
    /// # Errors
    /// The first error in index order.
    fn each_shard<S: Send>(
        &self,
        shards: &mut [S],
        work: impl Fn(&Self, &mut S) -> Result<(), Self::Error> + Sync,
    ) -> Result<(), Self::Error>
    where
        Self: Sync,
    {
        shards.iter_mut().try_for_each(|shard| work(self, shard))
    }

    /// Makes calls that follow each other closely, and gives what they give; `work` is about how
    /// many multiply-adds they take in all, `usize::MAX` where that is not known to be little.
    ///
    /// A backend overrides it where it can have threads at hand for all of them, instead of waking
    /// some for each.
    fn together<R: Send>(&self, work: usize, calls: impl FnOnce(&Self) -> R + Send) -> R {
        let _ = work;
        calls(self)
    }
}

/// Convenience for hosts with memory to spare: algorithms themselves take buffers of the caller's.
/// The conformance suite asks for it, and for `Sync`.
pub trait Allocate: Backend {
    /// A batch with unspecified contents.
    ///
    /// # Errors
    /// The device's, out of memory among them.
    fn batch(&self, shape: Shape) -> Result<Self::Batch, Self::Error>;

    /// Per-row results with unspecified contents.
    ///
    /// # Errors
    /// The device's, out of memory among them.
    fn rows(&self, rows: usize) -> Result<Self::Rows, Self::Error>;
}
