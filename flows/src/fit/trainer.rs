//! What a training run trains.

use alloc::string::{String, ToString};

use detfree_core::{Backend, Error, Shape};

use crate::norm::largest;

/// A flow with its optimiser and the memory of both.
///
/// [`RelativeTrainer`](crate::relative::RelativeTrainer) and
/// [`ResidualTrainer`](crate::residual::ResidualTrainer) are the two.
pub trait Trainer<B: Backend>: Send {
    /// One step of ascent on the mean log-likelihood of `batch`, row-major, at learning rate `rate`.
    ///
    /// # Errors
    /// [`Error::Shape`] where the batch does not fit; [`Error::Invalid`] for a rate that is negative or not
    /// finite; [`Error::Singular`] where a weight is; the device's.
    fn step(
        &mut self,
        b: &B,
        batch: &[B::Scalar],
        rate: f64,
    ) -> Result<StepReport, Error<B::Error>>;

    /// The mean log-density of `rows`, row-major, with the weights that evaluation uses; what an
    /// optimiser follows starts anew from exact figures.
    ///
    /// # Errors
    /// [`Error::Shape`] where the rows do not fit; [`Error::Singular`] where a weight is; the
    /// device's.
    fn validate(&mut self, b: &B, rows: &[B::Scalar]) -> Result<Validation, Error<B::Error>>;

    /// Remembers the weights that evaluation uses as the best so far; before the first call, those
    /// are the initial ones.
    ///
    /// # Errors
    /// The device's.
    fn keep(&mut self, b: &B) -> Result<(), B::Error>;

    /// Sees a batch that was trained on once more, with the best weights, for [`Self::conclude`]; `false`
    /// where that needs none.
    ///
    /// # Errors
    /// As [`Self::step`].
    fn review(&mut self, b: &B, batch: &[B::Scalar]) -> Result<bool, Error<B::Error>> {
        let _ = (b, batch);
        Ok(false)
    }

    /// After the last step: improves the best weights where a closed form can, if it raises the mean
    /// log-density of `validation` rows above `figure`. To what it has risen, `None` where it has not.
    ///
    /// # Errors
    /// As [`Self::validate`].
    fn conclude(
        &mut self,
        b: &B,
        validation: &[B::Scalar],
        figure: f64,
    ) -> Result<Option<f64>, Error<B::Error>> {
        let _ = (b, validation, figure);
        Ok(None)
    }

    /// Everything that the next step depends on, and the best weights, in a fixed order: a checkpoint
    /// reads it, and a resumed run writes it.
    ///
    /// # Errors
    /// The first of `visit`.
    fn visit<E>(&mut self, visit: impl FnMut(State<'_, B>) -> Result<(), E>) -> Result<(), E>;
}

/// One piece of a trainer's state.
#[derive(Debug)]
pub enum State<'a, B: Backend> {
    /// A weight, a moment or a running mean.
    Batch(&'a mut B::Batch),
    /// A parameter or a moment that lives on the host.
    Number(&'a mut f64),
    /// A number of steps.
    Count(&'a mut u64),
    /// What never changes, by its name and in words: a run with another value is another run.
    Setting(&'static str, String),
}

/// Refuses batches that no step could be taken on.
pub(crate) fn check_batch<E>(shape: Shape, dim: usize) -> Result<(), Error<E>> {
    Error::check_shape("a batch", Shape::new(shape.rows, dim), shape)?;
    if shape.rows == 0 {
        return Err(Error::Invalid(
            "a step is taken on the rows of a batch: give it at least one",
        ));
    }
    Ok(())
}

/// Refuses learning rates that would spoil every weight.
pub(crate) fn check_rate<E>(rate: f64) -> Result<(), Error<E>> {
    if rate >= 0.0 && rate.is_finite() {
        Ok(())
    } else {
        Err(Error::Invalid(
            "the learning rate must be finite and not negative: try 1e-3",
        ))
    }
}

/// A setting that may be left out, in words.
pub(crate) fn or_none(setting: Option<f64>) -> String {
    setting.map_or_else(|| "none".into(), |x| x.to_string())
}

/// What a step saw and did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepReport {
    /// The mean over the batch of what training maximises, but for terms that do not depend on its
    /// rows. Not finite where training has diverged.
    pub log_density: f64,
    /// The exact mean log-likelihood before the step, where the optimiser follows it.
    pub log_likelihood: Option<f64>,
    /// The exact change of Σ log|det W|, where the optimiser knows it.
    pub log_det_change: Option<f64>,
    /// How often the step was halved.
    pub shrinks: u32,
    /// Vector-Jacobian products, each of one row, that log-determinants and their gradients took: none
    /// where those are followed exactly.
    pub products: u64,
}

/// What a validation found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Validation {
    /// The mean log-density.
    pub mean: f64,
    /// Its standard error from the estimates of log-determinants; 0 where they are exact.
    pub standard_error: f64,
    /// How far what the optimiser follows was from exact figures.
    pub drift: Option<Drift>,
}

/// How far tracked numbers were from those of a fresh LU.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Drift {
    /// |tracked − LU| of log|det W|, the largest of any layer.
    pub log_det: f64,
    /// The largest |(tracked − LU)_ij| of W⁻¹ over the largest |LU_ij|, of any layer.
    pub inverse: f64,
}

impl Drift {
    pub(crate) fn worse(self, other: Self) -> Self {
        Self {
            log_det: largest([self.log_det, other.log_det]),
            inverse: largest([self.inverse, other.inverse]),
        }
    }
}
