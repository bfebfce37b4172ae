//! Estimates of the log-densities of many rows, in pieces of a fixed size on all threads.

use alloc::vec::Vec;

use detfree_core::{Allocate, Backend, Draw, Error, FlowBackend, Key, Shape};

use super::rounding::Rounding;
use super::{Estimator, ResidualFlow, Tape};

/// The most rows that are evaluated at once on a thread.
const PIECE: usize = 256;

/// The most numbers that the explicit Jacobians of those rows hold, but for a single row: 32 MiB.
const MATRICES: usize = 1 << 22;

/// The memory of evaluations.
pub struct Evaluator<B: Backend> {
    workers: Vec<Worker<B>>,
    shape: Shape,
}

struct Worker<B: Backend> {
    number: usize,
    tape: Tape<B>,
    rows: Vec<B::Scalar>,
    log: Vec<f64>,
    /// Of all its pieces, one after the other.
    figures: Vec<f64>,
    /// Bounds of their rounding, where those are wanted.
    rounding: Vec<f64>,
    products: u64,
    outcome: Result<(), Error<B::Error>>,
}

impl<B: FlowBackend + Allocate> Evaluator<B> {
    /// Memory for `flow` on pieces of at most `rows` rows, for as many threads as `workers`.
    ///
    /// # Errors
    /// As [`Tape::new`].
    pub fn new(
        b: &B,
        flow: &ResidualFlow<B>,
        estimator: Estimator,
        rows: usize,
        workers: usize,
    ) -> Result<Self, Error<B::Error>> {
        let dim = flow.dim();
        let most = match estimator {
            Estimator::Explicit => (MATRICES / (dim * dim).max(1)).clamp(1, PIECE),
            Estimator::Series(_) => PIECE,
        };
        let shape = Shape::new(rows.clamp(1, most), dim);
        let worker = |number| -> Result<_, Error<B::Error>> {
            Ok(Worker {
                number,
                tape: Tape::new(b, flow, shape, estimator)?,
                rows: alloc::vec![B::Scalar::default(); shape.rows * shape.dim],
                log: alloc::vec![0.0; shape.rows],
                figures: Vec::new(),
                rounding: Vec::new(),
                products: 0,
                outcome: Ok(()),
            })
        };
        Ok(Self {
            workers: (0..workers.max(1)).map(worker).collect::<Result<_, _>>()?,
            shape,
        })
    }
}

impl<B: FlowBackend + Allocate> Evaluator<B> {
    /// [`Tape::fit_controls`] of the first rows of row-major `rows`, for the estimates from now on; the
    /// products it took.
    ///
    /// # Errors
    /// As [`Tape::new`].
    pub(super) fn fit_controls(
        &mut self,
        b: &B,
        flow: &ResidualFlow<B>,
        estimator: Estimator,
        rows: &[B::Scalar],
        key: Key,
    ) -> Result<u64, Error<B::Error>> {
        let dim = self.shape.dim;
        // A piece may hold more rows than there are.
        let count = (rows.len() / dim.max(1)).min(self.shape.rows);
        let mut tape = Tape::new(b, flow, Shape::new(count, dim), estimator)?;
        let rows = rows.get(..count * dim).unwrap_or_default();
        let work = tape.fit_controls(b, flow, rows, Draw::new(key))?;
        for worker in &mut self.workers {
            worker.tape.set_controls(tape.controls());
        }
        Ok(work.products)
    }
}

impl<B: FlowBackend + Sync> Evaluator<B> {
    /// How many rows are evaluated at once on a thread, fewer at the same cost.
    pub(super) const fn piece(&self) -> usize {
        self.shape.rows
    }

    /// An estimate of the log-density of every row of row-major `rows`, in order, appended to `out`;
    /// the products it took.
    ///
    /// A row's probes depend on `key` and its number alone. Its number of terms depends on the rows of
    /// its piece too, as they are stratified: the errors of rows in no systematic order add up in their mean
    /// like those of independent ones.
    ///
    /// # Errors
    /// [`Error::Shape`] where `rows` is no whole number of rows; the device's.
    pub fn log_density(
        &mut self,
        b: &B,
        flow: &ResidualFlow<B>,
        rows: &[B::Scalar],
        key: Key,
        out: &mut Vec<f64>,
    ) -> Result<u64, Error<B::Error>> {
        let products = self.run(b, flow, rows, key, None)?;
        self.gather(rows.len(), |worker| &worker.figures, out);
        Ok(products)
    }

    /// The same with explicit Jacobians, and for every row a bound of what rounding does to their
    /// log-determinants.
    ///
    /// # Errors
    /// As [`Self::log_density`].
    pub(super) fn bounded_log_density(
        &mut self,
        b: &B,
        flow: &ResidualFlow<B>,
        rows: &[B::Scalar],
        key: Key,
        out: &mut Vec<f64>,
        bounds: &mut Vec<f64>,
    ) -> Result<u64, Error<B::Error>> {
        let rounding = Rounding::new(b, flow)?;
        let products = self.run(b, flow, rows, key, Some(&rounding))?;
        self.gather(rows.len(), |worker| &worker.figures, out);
        self.gather(rows.len(), |worker| &worker.rounding, bounds);
        Ok(products)
    }

    fn run(
        &mut self,
        b: &B,
        flow: &ResidualFlow<B>,
        rows: &[B::Scalar],
        key: Key,
        rounding: Option<&Rounding>,
    ) -> Result<u64, Error<B::Error>> {
        Error::check_whole_rows(rows.len(), self.shape.dim)?;
        let dim = self.shape.dim.max(1);
        let (piece, step) = (self.shape.rows, self.workers.len());
        b.each_shard(&mut self.workers, |b, worker| {
            let pieces = rows.chunks(piece * dim).enumerate();
            let pieces = pieces.skip(worker.number).step_by(step);
            worker.outcome = worker.run(b, flow, pieces, key, rounding);
            Ok(())
        })?;
        let mut products = 0;
        for worker in &mut self.workers {
            core::mem::replace(&mut worker.outcome, Ok(()))?;
            products += worker.products;
        }
        Ok(products)
    }

    /// What the workers found for `numbers` numbers, in the order of their rows.
    fn gather(&self, numbers: usize, of: impl Fn(&Worker<B>) -> &[f64], out: &mut Vec<f64>) {
        let (piece, step) = (self.shape.rows, self.workers.len());
        let (start, rows) = (out.len(), numbers / self.shape.dim.max(1));
        for number in 0..rows.div_ceil(piece) {
            let found = self.workers.get(number % step).map_or(&[][..], &of);
            out.extend(found.iter().skip(number / step * piece).take(piece));
        }
        out.truncate(start + rows);
    }
}

impl<B: FlowBackend> Worker<B> {
    /// A last, shorter piece leaves old rows behind itself; their figures are not read.
    fn take(&mut self, piece: &[B::Scalar]) {
        for (to, &from) in self.rows.iter_mut().zip(piece) {
            *to = from;
        }
    }

    fn run<'a>(
        &mut self,
        b: &B,
        flow: &ResidualFlow<B>,
        pieces: impl Iterator<Item = (usize, &'a [B::Scalar])>,
        key: Key,
        rounding: Option<&Rounding>,
    ) -> Result<(), Error<B::Error>> {
        self.figures.clear();
        self.rounding.clear();
        self.products = 0;
        for (number, piece) in pieces {
            self.take(piece);
            let draw = Draw::new(key).at_row((number * self.log.len()) as u64);
            let work = self
                .tape
                .log_density(b, flow, &self.rows, draw, &mut self.log)?;
            self.products += work.products;
            self.figures.extend_from_slice(&self.log);
            if let Some(rounding) = rounding {
                rounding.of_rows(b, &mut self.tape, &mut self.log)?;
                self.rounding.extend_from_slice(&self.log);
            }
        }
        Ok(())
    }
}
