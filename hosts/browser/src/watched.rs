//! A trainer that counts.

use core::convert::Infallible;

use detfree_core::{Error, Shape};
use detfree_flows::{State, StepReport, Trainer, Validation};

use crate::{Host, Real};

/// A trainer of a flow with so many layers or blocks.
pub(crate) struct Watched<T> {
    pub(crate) trainer: T,
    pub(crate) layers: usize,
    /// Rows of a batch.
    rows: usize,
    pub(crate) steps: u64,
    /// Vector-Jacobian products, of a row with a layer or block: of backpropagation, which takes one for
    /// each, and of log-determinants.
    pub(crate) products: u64,
}

impl<T> Watched<T> {
    pub(crate) const fn new(trainer: T, layers: usize, batch: Shape) -> Self {
        Self {
            trainer,
            layers,
            rows: batch.rows,
            steps: 0,
            products: 0,
        }
    }
}

impl<T: Trainer<Host>> Trainer<Host> for Watched<T> {
    fn step(
        &mut self,
        b: &Host,
        batch: &[Real],
        rate: f64,
    ) -> Result<StepReport, Error<Infallible>> {
        let report = self.trainer.step(b, batch, rate)?;
        self.steps += 1;
        self.products += (self.rows * self.layers) as u64 + report.products;
        Ok(report)
    }

    fn validate(&mut self, b: &Host, rows: &[Real]) -> Result<Validation, Error<Infallible>> {
        self.trainer.validate(b, rows)
    }

    fn keep(&mut self, b: &Host) -> Result<(), Infallible> {
        self.trainer.keep(b)
    }

    fn visit<E>(&mut self, visit: impl FnMut(State<'_, Host>) -> Result<(), E>) -> Result<(), E> {
        self.trainer.visit(visit)
    }
}
