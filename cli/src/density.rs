//! The density of a model of either kind: log-likelihoods and samples in the data's own units.

use detfree::flows::relative::{Evaluator, RelativeFlow};
use detfree::flows::residual::{Accuracy, Estimator, Inversion, ResidualFlow, ResidualParameters};
use detfree::flows::{FlowParameters, Model, Precision};
use detfree::{Allocate, Backend, FlowBackend, Key, Scalar, Shape};

use crate::failure::Failure;
use crate::singular::pivots;

/// Sets the estimates of log-determinants apart from everything else that a seed is for.
const ESTIMATES: u64 = 0x6c6f_675f_6465_7473;

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
pub(crate) struct Density<'a, B: Backend> {
    model: &'a Model,
    flow: Flow<B>,
    threads: usize,
}

enum Flow<B: Backend> {
    Relative(RelativeFlow<B>),
    Residual(ResidualFlow<B>),
}

/// Log-likelihoods of rows.
#[derive(Default)]
pub(crate) struct Likelihoods {
    pub(crate) values: Vec<f64>,
    /// 0 where a value is deterministic.
    pub(crate) standard_errors: Vec<f64>,
    /// How many of them stayed above the tolerance.
    pub(crate) above_tolerance: usize,
    /// What rounding does to deterministic log-determinants at most, where that is certified.
    pub(crate) rounding: Option<f64>,
}

impl Likelihoods {
    /// How many rows have no density at all, and why.
    pub(crate) fn warning(&self) -> Option<String> {
        let none = self.values.iter().filter(|&&x| x == f64::NEG_INFINITY);
        match none.count() {
            0 => None,
            none => Some(format!(
                "{none} of {} rows have log-likelihood -inf: they are so far from what the model was \
                 fitted to that its numbers overflow, or outside the range of its logit",
                self.values.len()
            )),
        }
    }

    /// The standard error of the values' mean as an estimate of the mean of exact ones.
    pub(crate) fn mean_standard_error(&self) -> f64 {
        let squares: f64 = self.standard_errors.iter().map(|e| e * e).sum();
        squares.sqrt() / self.values.len() as f64
    }
}

/// Samples of a model.
pub(crate) struct Samples {
    /// Row-major.
    pub(crate) rows: Vec<f64>,
    /// Of the fixed-point iteration, where the flow is inverted by one.
    pub(crate) inversion: Option<Inversion>,
}

impl<'a, B> Density<'a, B>
where
    B: FlowBackend + Allocate + Sync,
    B::Error: std::fmt::Display,
{
    /// # Errors
    ///
    /// A residual flow whose blocks are not contractions; the device's.
    pub(crate) fn new(b: &B, model: &'a Model, threads: usize) -> Result<Self, Failure> {
        let (dim, base) = (model.dim(), model.base);
        let flow = match &model.flow {
            FlowParameters::Relative(flow) => {
                let flow = RelativeFlow::from_layers(b, dim, &flow.layers, flow.activation, base);
                Flow::Relative(flow?)
            }
            FlowParameters::Residual(parameters) => {
                let flow = ResidualFlow::from_parameters(b, dim, parameters, base);
                Flow::Residual(flow.map_err(|error| not_invertible(error, parameters))?)
            }
        };
        Ok(Self {
            model,
            flow,
            threads,
        })
    }

    pub(crate) const fn model(&self) -> &'a Model {
        self.model
    }

    /// log p of row-major rows in the data's own units: the same figures for the same rows, model
    /// and accuracy.
    pub(crate) fn log_likelihood(
        &self,
        b: &B,
        rows: &[f64],
        accuracy: Accuracy,
    ) -> Result<Likelihoods, Failure> {
        let dim = self.model.dim();
        let inputs = self.model.inputs(rows);
        let mut found = self.log_density(b, &inputs, accuracy)?;
        let errors = found.standard_errors.iter_mut();
        let figures = found.values.iter_mut().zip(errors);
        for ((figure, error), row) in figures.zip(rows.chunks_exact(dim)) {
            let log_density = *figure + self.model.log_jacobian(row);
            // NaN is made of infinities only: outside the range of a logit, or so far out that numbers
            // overflow. The density is zero there.
            if log_density.is_finite() {
                *figure = log_density;
            } else {
                (*figure, *error) = (f64::NEG_INFINITY, 0.0);
            }
        }
        Ok(found)
    }

    /// Of the flow's inputs.
    fn log_density(
        &self,
        b: &B,
        inputs: &[B::Scalar],
        accuracy: Accuracy,
    ) -> Result<Likelihoods, Failure> {
        let dim = self.model.dim();
        match &self.flow {
            Flow::Relative(flow) => {
                let mut values = Vec::with_capacity(inputs.len() / dim);
                Evaluator::new(b, flow, dim)
                    .map_err(detfree::Error::Device)?
                    .log_density(b, flow, inputs, &mut values)?;
                Ok(Likelihoods {
                    standard_errors: vec![0.0; values.len()],
                    values,
                    ..Likelihoods::default()
                })
            }
            Flow::Residual(flow) => {
                let key = Key::new(self.model.seed).fold_in(ESTIMATES);
                let scores = flow.score(b, inputs, accuracy, key, self.threads)?;
                let rounding = scores.rows.iter().map(|row| row.rounding);
                let rounding = rounding.fold(0.0, f64::max);
                let rows = scores.rows.iter();
                let (values, standard_errors) = rows
                    .map(|row| (row.log_density, row.standard_error))
                    .unzip();
                Ok(Likelihoods {
                    values,
                    standard_errors,
                    above_tolerance: scores.above_tolerance,
                    rounding: (scores.estimator == Estimator::Explicit).then_some(rounding),
                })
            }
        }
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
        let shape = Shape::new(rows as usize, self.model.dim());
        let mut z = b.batch(shape).map_err(detfree::Error::Device)?;
        let inversion = match &self.flow {
            Flow::Relative(flow) => {
                match flow.sample(b, key, first_row, &mut z) {
                    Err(detfree::Error::Singular) => return Err(self.no_samples()),
                    sampled => sampled?,
                }
                None
            }
            Flow::Residual(flow) => {
                let inversion = flow.sample(b, key, first_row, TO_WITHIN, &mut z);
                Some(inversion.map_err(|error| Failure::Compute(error.to_string()))?)
            }
        };
        let mut host = vec![B::Scalar::default(); shape.rows * shape.dim];
        b.download(&z, &mut host).map_err(detfree::Error::Device)?;
        let mut rows: Vec<f64> = host.into_iter().map(Scalar::to_f64).collect();
        for row in rows.chunks_exact_mut(shape.dim) {
            self.model.invert_input(row);
        }
        Ok(Samples { rows, inversion })
    }

    /// Why numbers overflow on the way back.
    pub(crate) fn no_samples(&self) -> Failure {
        let worst = pivots(self.model).min_by(|(_, [a, _]), (_, [b, _])| a.total_cmp(b));
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
        Ok(match &self.flow {
            Flow::Relative(_) => {
                "exact: log|det W| of every layer by one LU decomposition for all rows".to_owned()
            }
            Flow::Residual(flow) => {
                let estimator = flow.estimator(b, accuracy);
                let estimator = estimator.map_err(|error| Failure::Compute(error.to_string()))?;
                let bound = flow.contractions().fold(0.0, f64::max);
                estimator.explain(&flow.widths(b), bound)
            }
        })
    }
}

/// What is wrong with the numbers of a residual flow, as a model file's.
fn not_invertible<E: std::fmt::Display>(
    error: detfree::Error<E>,
    parameters: &ResidualParameters,
) -> Failure {
    match error {
        detfree::Error::Schedule(_) => Failure::Compute(format!(
            "a corrupt model file: it says that the Lipschitz constants of its blocks are at most {}, \
             but the weights of one do not even certify 1, and may have no inverse",
            parameters.lipschitz
        )),
        error => error.into(),
    }
}
