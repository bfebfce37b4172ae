//! Whatever ends a command, in one line.

use std::io;
use std::path::PathBuf;

use detfree::flows::ModelError;
use detfree::flows::residual::ScoreError;

use crate::data::DataError;
use crate::plot::PlotError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Data(#[from] DataError),
    #[error("{}: {reason}", path.display())]
    Model { path: PathBuf, reason: ModelError },
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: io::Error },
    #[error("{}: {reason}", path.display())]
    Output { path: PathBuf, reason: String },
    #[error("{}: {reason}", path.display())]
    Checkpoint { path: PathBuf, reason: String },
    #[error("{0}")]
    Option(String),
    #[error("cannot write to standard output: {0}")]
    Stdout(#[from] io::Error),
    #[error("cannot draw the picture: {0}")]
    Plot(#[from] PlotError),
    #[error("training diverged before it found a density: lower --lr, or raise --batch")]
    Diverged,
    #[error("{0}")]
    Compute(String),
}

impl Failure {
    /// The reader of our output has gone: nothing to report.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// What the library refused on the way; on a host these are about the model's numbers.
impl<E: std::fmt::Display> From<detfree::Error<E>> for Failure {
    fn from(error: detfree::Error<E>) -> Self {
        Self::Compute(error.to_string())
    }
}

impl<E: std::fmt::Display> From<ScoreError<E>> for Failure {
    fn from(error: ScoreError<E>) -> Self {
        match error {
            ScoreError::TooManyProducts { needed, most } => Self::Option(format!(
                "exact log-determinants take {needed} products a row, and {most} are allowed: raise \
                 --products, or ask for a standard error with --tol"
            )),
            ScoreError::TooFewProducts { least, most } => Self::Option(format!(
                "scores take {least} products a row at least, and {most} are allowed: raise --products"
            )),
            error => Self::Compute(error.to_string()),
        }
    }
}

#[cfg(feature = "cuda")]
impl From<detfree::cuda::CudaError> for Failure {
    fn from(error: detfree::cuda::CudaError) -> Self {
        Self::Compute(error.to_string())
    }
}

impl From<detfree::faer::ThreadsError> for Failure {
    fn from(error: detfree::faer::ThreadsError) -> Self {
        Self::Compute(error.to_string())
    }
}
