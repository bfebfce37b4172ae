//! The file that a run is saved in as it goes.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use detfree::flows::CheckpointError;

use super::lock::Lock;
use crate::args::Fit;
use crate::failure::Failure;
use crate::model_file::Output;

pub(crate) struct Checkpoint {
    output: Output,
    _lock: Lock,
    every: Duration,
    /// When the file was written, or the program began.
    last: Instant,
}

impl Checkpoint {
    /// # Errors
    ///
    /// A file that is there and is not to be resumed from; one that cannot be written, or that another
    /// run is saved in.
    pub(crate) fn new(options: &Fit) -> Result<Option<Self>, Failure> {
        let Some(path) = &options.checkpoint else {
            return Ok(None);
        };
        let output = Output::probe(path)?;
        // First: what follows may be the advice to remove the file.
        let lock = Lock::take(path)?;
        if path.exists() && !options.resume {
            return Err(Failure::Output {
                path: path.clone(),
                reason:
                    "holds a run already: add --resume to go on from it, or remove it to start \
                         anew"
                        .to_owned(),
            });
        }
        Ok(Some(Self {
            output,
            _lock: lock,
            every: options.checkpoint_every,
            last: Instant::now(),
        }))
    }

    /// What is in the file, where there is one.
    pub(crate) fn read(&self) -> Result<Option<Vec<u8>>, Failure> {
        let path = self.output.path();
        if !path.exists() {
            return Ok(None);
        }
        fs::read(path).map(Some).map_err(|reason| Failure::File {
            path: path.to_owned(),
            reason,
        })
    }

    pub(crate) fn is_due(&self) -> bool {
        self.last.elapsed() >= self.every
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.output.write(bytes)?;
        self.last = Instant::now();
        Ok(())
    }

    pub(crate) fn refuse<E: std::fmt::Display>(&self, reason: &CheckpointError<E>) -> Failure {
        let reason = match reason {
            CheckpointError::OtherRun(_) => format!(
                "{reason}; resume with the same data and options as at its start, --threads among \
                 them, or name another --checkpoint"
            ),
            reason => reason.to_string(),
        };
        Failure::Checkpoint {
            path: PathBuf::from(self.output.path()),
            reason,
        }
    }
}
