//! Log-likelihoods of many rows, in pieces of a fixed size.

use alloc::vec::Vec;

use detfree_core::{Allocate, Backend, Error, FlowBackend, Shape, Side};

use super::{FlowTape, RelativeFlow};

/// The most rows that are evaluated at once.
const PIECE: usize = 256;

/// The memory of evaluations, a fixed number of rows at a time.
pub struct Evaluator<B: Backend> {
    tape: FlowTape<B>,
    shape: Shape,
    rows: Vec<B::Scalar>,
    log: Vec<f64>,
}

impl<B: FlowBackend + Allocate> Evaluator<B> {
    /// Memory for `flow` on rows of `dim` numbers.
    ///
    /// # Errors
    /// The device's.
    pub fn new(b: &B, flow: &RelativeFlow<B>, dim: usize) -> Result<Self, B::Error> {
        let shape = Shape::new(PIECE, dim);
        Ok(Self {
            tape: FlowTape::new(b, flow, shape, Side::Plain)?,
            shape,
            rows: alloc::vec![B::Scalar::default(); PIECE * dim],
            log: alloc::vec![0.0; PIECE],
        })
    }

    /// The log-density of every row of row-major `rows`, in order, appended to `out`.
    ///
    /// A row's figure does not depend on the rows beside it.
    ///
    /// # Errors
    /// [`Error::Singular`] where a weight is; [`Error::Shape`] where `rows` is no whole number of
    /// rows; the device's.
    pub fn log_density(
        &mut self,
        b: &B,
        flow: &RelativeFlow<B>,
        rows: &[B::Scalar],
        out: &mut Vec<f64>,
    ) -> Result<(), Error<B::Error>> {
        Error::check_whole_rows(rows.len(), self.shape.dim)?;
        let dim = self.shape.dim.max(1);
        let log_det = flow.log_abs_det(b)?;
        for piece in rows.chunks(PIECE * dim) {
            // A last, shorter piece leaves old rows behind itself; their figures are not read.
            for (to, &from) in self.rows.iter_mut().zip(piece) {
                *to = from;
            }
            self.tape.forward(b, flow, &self.rows, &mut self.log)?;
            let figures = self.log.iter().take(piece.len() / dim);
            out.extend(figures.map(|log| log + log_det));
        }
        Ok(())
    }

    /// The mean log-density of the rows; NaN without any.
    ///
    /// # Errors
    /// As [`Self::log_density`].
    pub fn mean(
        &mut self,
        b: &B,
        flow: &RelativeFlow<B>,
        rows: &[B::Scalar],
    ) -> Result<f64, Error<B::Error>> {
        let mut figures = Vec::with_capacity(rows.len() / self.shape.dim.max(1));
        self.log_density(b, flow, rows, &mut figures)?;
        Ok(figures.iter().sum::<f64>() / figures.len() as f64)
    }
}
