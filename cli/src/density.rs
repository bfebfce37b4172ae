//! The density of a model of either kind, and what users are told where it has none.

use detfree::flows::residual::{Accuracy, InversionError, ResidualParameters};
use detfree::flows::{self, FlowParameters, LogLikelihoods, Model, Precision, Samples};
use detfree::{Allocate, Backend, Error, FlowBackend, Key};

use crate::failure::Failure;
use crate::singular::pivots;

/// What log-likelihoods may cost and how well they are known, where the user does not say.
pub(crate) const USUAL: Accuracy = Accuracy::StandardError {
    tolerance: TOLERANCE,
    most_products: MOST_PRODUCTS,
};

/// The standard error of a row, in nats.
pub(crate) const TOLERANCE: f64 = 0.05;

/// A row's products.
pub(crate) const MOST_PRODUCTS: u64 = 10_000;

/// How far a sample may be from the exact preimage of its draw in a block, in standardised units.
const TO_WITHIN: f64 = 1e-11;

/// What to score and sample a model with. Residual flows want double precision, whatever they were
/// trained in: single would leave certified bounds of tenths of a nat, and fixed points without digits.
pub(crate) const fn precision(model: &Model) -> Precision {
    match model.flow {
        FlowParameters::Relative(_) => model.precision,
        FlowParameters::Residual(_) => Precision::Double,
    }
}

/// A model where the backend computes.
pub(crate) struct Density<B: Backend> {
    density: flows::Density<B>,
    threads: usize,
}

/// How many rows have no density at all, and why.
pub(crate) fn warning(found: &LogLikelihoods) -> Option<String> {
    let none = found.values.iter().filter(|&&x| x == f64::NEG_INFINITY);
    match none.count() {
        0 => None,
        none => Some(format!(
            "{none} of {} rows have log-likelihood -inf: they are so far from what the model was \
             fitted to that its numbers overflow, or outside the range of its logit",
            found.values.len()
        )),
    }
}

impl<B> Density<B>
where
    B: FlowBackend + Allocate + Sync,
    B::Error: std::fmt::Display,
{
    /// # Errors
    ///
    /// A residual flow whose blocks are not contractions; the device's.
    pub(crate) fn new(b: &B, model: &Model, threads: usize) -> Result<Self, Failure> {
        let density = flows::Density::new(b, model.clone());
        let density = density.map_err(|error| match &model.flow {
            FlowParameters::Residual(flow) => not_invertible(error, flow),
            FlowParameters::Relative(_) => error.into(),
        })?;
        Ok(Self { density, threads })
    }

    pub(crate) const fn model(&self) -> &Model {
        self.density.model()
    }

    /// log p of row-major rows in the data's own units: the same figures for the same rows, model
    /// and accuracy.
    pub(crate) fn log_likelihood(
        &self,
        b: &B,
        rows: &[f64],
        accuracy: Accuracy,
    ) -> Result<LogLikelihoods, Failure> {
        let found = self.density.log_likelihood(b, rows, accuracy, self.threads);
        Ok(found?)
    }

    /// Rows `first_row` and on of the key's stream; columns that were dequantised are whole numbers
    /// again.
    ///
    /// # Errors
    ///
    /// A flow that is not inverted to the accuracy asked for; the device's.
    pub(crate) fn sample(
        &self,
        b: &B,
        key: Key,
        first_row: u64,
        rows: u64,
    ) -> Result<Samples, Failure> {
        let sampled = self
            .density
            .sample(b, key, first_row, rows as usize, TO_WITHIN);
        sampled.map_err(|error| match error {
            InversionError::Compute(Error::Singular) => self.no_samples(),
            InversionError::Compute(error) => error.into(),
            error => Failure::Compute(error.to_string()),
        })
    }

    /// Why numbers overflow on the way back.
    pub(crate) fn no_samples(&self) -> Failure {
        let worst = pivots(self.model()).min_by(|(_, [a, _]), (_, [b, _])| a.total_cmp(b));
        let worst = worst.map(|(layer, [least, _])| {
            format!(
                ": the weight of layer {layer} (from 0) is the nearest to singular, with a pivot of \
                 {least:.0e}"
            )
        });
        Failure::Compute(format!(
            "samples of this model are no finite numbers{}; fit it anew with fewer --layers or a lower \
             --lr",
            worst.unwrap_or_default()
        ))
    }

    /// How log-likelihoods are computed, in one line.
    pub(crate) fn explain(&self, b: &B, accuracy: Accuracy) -> Result<String, Failure> {
        let explained = self.density.explain(b, accuracy);
        explained.map_err(|error| Failure::Compute(error.to_string()))
    }
}

/// What is wrong with the numbers of a residual flow, as a model file's.
fn not_invertible<E: std::fmt::Display>(
    error: Error<E>,
    parameters: &ResidualParameters,
) -> Failure {
    match error {
        Error::Schedule(_) => Failure::Compute(format!(
            "a corrupt model file: it says that the Lipschitz constants of its blocks are at most {}, \
             but the weights of one do not even certify 1, and may have no inverse",
            parameters.lipschitz
        )),
        error => error.into(),
    }
}
