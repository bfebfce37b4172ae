//! A model where a backend computes.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use detfree_core::{Allocate, Backend, Error, FlowBackend, Key, ScheduleError, Shape};

use super::{FlowParameters, Model};
use crate::relative::{Evaluator, RelativeFlow};
use crate::residual::{
    Accuracy, Estimator, Inversion, InversionError, ResidualFlow, ScoreError, Scores,
};
use crate::transfer::download;

/// Sets the estimates of log-determinants apart from everything else that a seed is for.
const ESTIMATES: u64 = 0x6c6f_675f_6465_7473;

/// The density of a [`Model`] of either kind: log-likelihoods of rows, and samples, in the data's own units.
///
/// ```
/// # use detfree_core::{Activation, Affine, BaseDensity};
/// use detfree_core::{Key, reference::Heap};
/// use detfree_flows::residual::Accuracy;
/// use detfree_flows::{Density, Model};
/// # use detfree_flows::{FlowParameters, Precision, RelativeParameters, Standardisation};
/// # let model = Model {
/// #     columns: vec!["x".into()],
/// #     dequantized: vec![],
/// #     seed: 0,
/// #     precision: Precision::Double,
/// #     squash: None,
/// #     standardisation: Standardisation { mean: vec![1.0], scale: vec![2.0] },
/// #     base: BaseDensity::Normal,
/// #     flow: FlowParameters::Relative(RelativeParameters {
/// #         activation: Activation::Identity,
/// #         layers: vec![Affine { weight: vec![1.5], bias: vec![0.0] }],
/// #     }),
/// # };
/// # let file = model.to_bytes()?;
/// let b = Heap::<f64>::new();
/// // Of one column, x ~ N(1, (4/3)²).
/// let density = Density::new(&b, Model::from_bytes(&file)?)?;
/// let accuracy = Accuracy::StandardError { tolerance: 0.05, most_products: 10_000 };
/// let found = density.log_likelihood(&b, &[1.0, 7.0 / 3.0], accuracy, 1)?;
/// assert!((found.values[0] - found.values[1] - 0.5).abs() < 1e-12);
/// assert_eq!(found.standard_errors, [0.0, 0.0]); // exact: the flow is a relative one
/// let samples = density.sample(&b, Key::new(1), 0, 1000, 1e-11)?;
/// assert!((samples.rows.iter().sum::<f64>() / 1000.0 - 1.0).abs() < 0.2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Density<B: Backend> {
    model: Model,
    flow: Flow<B>,
}

enum Flow<B: Backend> {
    Relative(RelativeFlow<B>),
    Residual(ResidualFlow<B>),
}

/// Log-likelihoods of rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogLikelihoods {
    /// log p of every row, in nats; -∞ outside the range of a logit, and where a row is so far from the data
    /// of training that its numbers overflow.
    pub values: Vec<f64>,
    /// 0 where a value is deterministic.
    pub standard_errors: Vec<f64>,
    /// How many of them stayed above the tolerance.
    pub above_tolerance: usize,
    /// Rows that need more estimates than the products allow.
    pub limited: usize,
    /// What rounding does to deterministic log-determinants at most, where that is certified.
    pub rounding: Option<f64>,
}

impl LogLikelihoods {
    /// The standard error of the values' mean as an estimate of the mean of exact ones.
    #[must_use]
    pub fn mean_standard_error(&self) -> f64 {
        let squares: f64 = self.standard_errors.iter().map(|e| e * e).sum();
        libm::sqrt(squares) / self.values.len() as f64
    }
}

/// Samples of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// Row-major.
    pub rows: Vec<f64>,
    /// What the inversion of a residual flow took.
    pub inversion: Option<Inversion>,
}

impl<B: FlowBackend + Allocate> Density<B> {
    /// The density of `model`, its flow in the backend's memory and precision.
    ///
    /// # Errors
    /// [`Error::Shape`] and [`Error::Invalid`] where a model made by hand contradicts itself;
    /// [`Error::Schedule`] where the weights of a residual flow do not certify that its blocks are
    /// contractions; the device's.
    pub fn new(b: &B, model: Model) -> Result<Self, Error<B::Error>> {
        if let Some(flaw) = model.flaw() {
            return Err(Error::Invalid(flaw));
        }
        let (dim, base) = (model.dim(), model.base);
        let flow = match &model.flow {
            FlowParameters::Relative(flow) => {
                let flow = RelativeFlow::from_layers(b, dim, &flow.layers, flow.activation, base);
                Flow::Relative(flow?)
            }
            FlowParameters::Residual(flow) => {
                Flow::Residual(ResidualFlow::from_parameters(b, dim, flow, base)?)
            }
        };
        Ok(Self { model, flow })
    }

    /// Samples `first_row` to `first_row` + `rows` − 1 of the key's stream, row-major; columns that were
    /// dequantised are whole numbers again. A residual flow is inverted to within `tolerance` in every block, in
    /// standardised units.
    ///
    /// The samples of a relative flow with nearly singular weights may not be finite.
    ///
    /// # Errors
    /// [`InversionError`] where a residual flow cannot be inverted so well; with [`Error::Singular`] where a
    /// relative flow has a singular weight; the device's.
    pub fn sample(
        &self,
        b: &B,
        key: Key,
        first_row: u64,
        rows: usize,
        tolerance: f64,
    ) -> Result<Samples, InversionError<B::Error>> {
        let mut z = b.batch(Shape::new(rows, self.model.dim()))?;
        let inversion = match &self.flow {
            Flow::Relative(flow) => {
                let sampled = flow.sample(b, key, first_row, &mut z);
                sampled.map_err(InversionError::Compute)?;
                None
            }
            Flow::Residual(flow) => Some(flow.sample(b, key, first_row, tolerance, &mut z)?),
        };
        let mut rows = download(b, &z)?;
        for row in rows.chunks_exact_mut(self.model.dim().max(1)) {
            self.model.invert_input(row);
        }
        Ok(Samples { rows, inversion })
    }
}

impl<B: FlowBackend + Allocate + Sync> Density<B> {
    /// log p of row-major `rows`, as well as `accuracy` asks and on as many threads as `workers`: the same
    /// figures for the same rows, model and accuracy. Those of a relative flow are always exact.
    ///
    /// # Errors
    /// As [`ResidualFlow::score`]; [`Error::Shape`] where `rows` is no whole number of rows; [`Error::Invalid`]
    /// where one of them holds NaN, which has no density;
    /// [`Error::Singular`] where a relative flow has a singular weight; the device's.
    pub fn log_likelihood(
        &self,
        b: &B,
        rows: &[f64],
        accuracy: Accuracy,
        workers: usize,
    ) -> Result<LogLikelihoods, ScoreError<B::Error>> {
        let dim = self.model.dim();
        Error::check_whole_rows(rows.len(), dim)?;
        if rows.iter().any(|x| x.is_nan()) {
            let reason =
                "a number of the rows is NaN: remove such rows, or replace what is missing";
            return Err(ScoreError::Compute(Error::Invalid(reason)));
        }
        let inputs = self.model.inputs(rows);
        let mut found = match &self.flow {
            Flow::Relative(flow) => exact(b, flow, &inputs, dim)?,
            Flow::Residual(flow) => {
                let key = Key::new(self.model.seed).fold_in(ESTIMATES);
                scored(flow.score(b, &inputs, accuracy, key, workers)?)
            }
        };
        let errors = found.standard_errors.iter_mut();
        let figures = found.values.iter_mut().zip(errors);
        for ((figure, error), row) in figures.zip(rows.chunks_exact(dim.max(1))) {
            let log_density = *figure + self.model.log_jacobian(row);
            // NaN is made of infinities only: outside the range of a logit, or so far out that numbers
            // overflow. The density is zero there.
            if log_density.is_finite() {
                *figure = log_density;
            } else {
                found.above_tolerance -= usize::from(error.is_nan());
                (*figure, *error) = (f64::NEG_INFINITY, 0.0);
            }
        }
        Ok(found)
    }

    /// How log-likelihoods are computed, in one line.
    ///
    /// # Errors
    /// [`ScheduleError`] for a residual flow that is not certified to be invertible.
    pub fn explain(&self, b: &B, accuracy: Accuracy) -> Result<String, ScheduleError> {
        Ok(match &self.flow {
            Flow::Relative(_) => {
                "exact: log|det W| of every layer by one LU decomposition for all rows".to_owned()
            }
            Flow::Residual(flow) => {
                let bound = flow.contractions().fold(0.0, f64::max);
                let estimator = flow.estimator(b, accuracy)?;
                estimator.explain(&flow.widths(b), bound)
            }
        })
    }
}

impl<B: Backend> Density<B> {
    /// Whose it is.
    #[must_use]
    pub const fn model(&self) -> &Model {
        &self.model
    }
}

impl<B: Backend> fmt::Debug for Density<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Density")
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

fn exact<B: FlowBackend + Allocate>(
    b: &B,
    flow: &RelativeFlow<B>,
    inputs: &[B::Scalar],
    dim: usize,
) -> Result<LogLikelihoods, Error<B::Error>> {
    let mut values = Vec::with_capacity(inputs.len() / dim.max(1));
    Evaluator::new(b, flow, dim)
        .map_err(Error::Device)?
        .log_density(b, flow, inputs, &mut values)?;
    Ok(LogLikelihoods {
        standard_errors: alloc::vec![0.0; values.len()],
        values,
        ..LogLikelihoods::default()
    })
}

fn scored(scores: Scores) -> LogLikelihoods {
    let finite = scores.rows.iter().filter(|row| row.log_density.is_finite());
    let rounding = finite.map(|row| row.rounding).fold(0.0, f64::max);
    let rows = scores.rows.iter();
    let (values, standard_errors) = rows
        .map(|row| (row.log_density, row.standard_error))
        .unzip();
    LogLikelihoods {
        values,
        standard_errors,
        above_tolerance: scores.above_tolerance,
        limited: scores.limited,
        rounding: (scores.estimator == Estimator::Explicit).then_some(rounding),
    }
}
