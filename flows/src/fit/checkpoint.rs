//! Where a training run stands, saved and resumed.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use detfree_core::{Backend, Scalar};

use super::snapshot::{Snapshot, VERSION};
use super::training::Followed;
use super::{Schedule, State, Trainer, Training, TrainingRows};
use crate::checksum::checksum;
use crate::transfer::download;
use crate::{Squash, Standardisation, tensor};

/// Why bytes are not where a run stood.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckpointError<E> {
    /// Not a safetensors file, or a truncated one.
    NotSafetensors(String),
    /// A safetensors file without our metadata entry.
    Foreign,
    /// Written by another version of the format.
    Version(u32),
    /// Of a run of other settings: those that differ.
    OtherRun(Vec<Difference>),
    /// The parts contradict each other.
    Corrupt(String),
    /// The backend failed.
    Device(E),
}

/// A setting of another run, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which one.
    pub setting: String,
    /// In the checkpoint.
    pub found: String,
    /// In the run to be resumed.
    pub expected: String,
}

impl<E> From<E> for CheckpointError<E> {
    fn from(error: E) -> Self {
        Self::Device(error)
    }
}

impl<E: core::fmt::Display> core::fmt::Display for CheckpointError<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotSafetensors(reason) => {
                write!(f, "not a checkpoint, or a truncated one ({reason})")
            }
            Self::Foreign => f.write_str(
                "a safetensors file, but not a checkpoint of detfree (its metadata has no \
                 `detfree-checkpoint` entry)",
            ),
            Self::Version(version) => write!(
                f,
                "a checkpoint of version {version}, where this program reads version {VERSION}"
            ),
            Self::OtherRun(differences) => {
                f.write_str("a checkpoint of another run")?;
                for (n, difference) in differences.iter().enumerate() {
                    let Difference {
                        setting,
                        found,
                        expected,
                    } = difference;
                    let mark = if n == 0 { ':' } else { ';' };
                    write!(f, "{mark} its {setting} is {found}, here it is {expected}")?;
                }
                Ok(())
            }
            Self::Corrupt(reason) => write!(f, "a corrupt checkpoint: {reason}"),
            Self::Device(error) => error.fmt(f),
        }
    }
}

impl<E: core::fmt::Debug + core::fmt::Display> core::error::Error for CheckpointError<E> {}

impl<B: Backend, T: Trainer<B>> Training<'_, B, T> {
    /// The run as bytes for [`Training::resume`]; to be called before the first epoch, between two,
    /// or where one has paused.
    ///
    /// # Errors
    /// The device's; [`CheckpointError::Corrupt`] where the trainer contradicts itself.
    pub fn checkpoint(&mut self, b: &B) -> Result<Vec<u8>, CheckpointError<B::Error>> {
        self.snapshot(b)?.to_bytes()
    }

    pub(super) fn restore(&mut self, b: &B, bytes: &[u8]) -> Result<(), CheckpointError<B::Error>> {
        let saved = Snapshot::from_bytes(bytes)?;
        saved.continues(&self.snapshot(b)?)?;

        let mut numbers = saved.numbers.into_iter();
        let mut counts = saved.counts.into_iter();
        let mut batches = saved.batches.into_iter();
        let mut number = || numbers.next().unwrap_or_default();
        let mut count = || counts.next().unwrap_or_default();
        self.best.figure = number();
        self.rate.taken = number();
        self.rate.factor = number();
        self.rate.last = number();
        self.followed = Followed {
            log_likelihood: number(),
            steps: number(),
            shrinks: count() as u32,
        };
        self.epochs = count() as u32;
        self.best.epoch = count() as u32;
        let (shuffles, used) = (count() as u32, count() as usize);
        if self.epochs > self.options.epochs {
            return Err(CheckpointError::OtherRun(alloc::vec![Difference {
                setting: "number of epochs".to_owned(),
                found: format!("{} so far", self.epochs),
                expected: format!("at most {}", self.options.epochs),
            }]));
        }
        let begun = shuffles.checked_sub(self.epochs);
        if self.best.epoch > self.epochs
            || begun.is_none_or(|begun| begun > 1)
            || !self.feed.replay(shuffles, used)
        {
            let reason = "it stands where a run never does".to_owned();
            return Err(CheckpointError::Corrupt(reason));
        }
        self.trainer.visit(|state| {
            match state {
                State::Batch(batch) => {
                    let (_, values) = batches.next().unzip();
                    let values = values.into_iter().flatten().map(Scalar::from_f64);
                    b.upload(&values.collect::<Vec<_>>(), batch)?;
                }
                State::Number(x) => *x = number(),
                State::Count(n) => *n = count(),
                State::Setting(..) => {}
            }
            Ok(())
        })
    }

    fn snapshot(&mut self, b: &B) -> Result<Snapshot, B::Error> {
        let mut snapshot = Snapshot {
            run: self.identity(),
            numbers: alloc::vec![
                self.best.figure,
                self.rate.taken,
                self.rate.factor,
                self.rate.last,
                self.followed.log_likelihood,
                self.followed.steps,
            ],
            counts: alloc::vec![
                u64::from(self.followed.shrinks),
                u64::from(self.epochs),
                u64::from(self.best.epoch),
                u64::from(self.feed.shuffles()),
                self.feed.used() as u64,
            ],
            dtype: tensor::dtype::<B::Scalar>(),
            batches: Vec::new(),
        };
        self.trainer.visit(|state| {
            match state {
                State::Batch(batch) => {
                    snapshot.batches.push((b.shape(batch), download(b, batch)?));
                }
                State::Number(x) => snapshot.numbers.push(*x),
                State::Count(n) => snapshot.counts.push(*n),
                State::Setting(name, value) => snapshot.run.push((name.to_owned(), value)),
            }
            Ok(())
        })?;
        Ok(snapshot)
    }

    /// What a run must have in common with the one that it continues.
    fn identity(&self) -> Vec<(String, String)> {
        let options = &self.options;
        let size = |values: &[B::Scalar]| {
            let dim = self.rows.noise.len();
            format!("{} rows of {dim} columns", values.len() / dim.max(1))
        };
        let sum = |values: &[B::Scalar]| checksum(values.iter().map(|x| x.to_f64().to_bits()));
        let dtype = tensor::dtype::<B::Scalar>();
        let mut run = alloc::vec![
            ("number type", format!("{dtype:?}").to_lowercase()),
            ("training data", size(&self.rows.values)),
            ("checksum of training data", sum(&self.rows.values)),
            ("checksum of noise", sum(&self.rows.noise)),
            ("logit", logit(self.rows)),
            ("validation data", size(self.validation)),
            ("checksum of validation data", sum(self.validation)),
            ("batch", options.batch.to_string()),
            ("learning rate", options.learning_rate.to_string()),
            ("schedule", options.schedule.to_string()),
            ("patience", options.patience.to_string()),
            ("key", options.key.bits().to_string()),
        ];
        if options.schedule == Schedule::Cosine {
            run.push(("number of epochs", options.epochs.to_string()));
        }
        let owned = |(name, value): (&str, String)| (name.to_owned(), value);
        run.into_iter().map(owned).collect()
    }
}

fn logit<T>(rows: &TrainingRows<T>) -> String {
    let Some((Squash { lambda, levels }, Standardisation { mean, scale })) = &rows.squash else {
        return "none".to_owned();
    };
    let standard = checksum(mean.iter().chain(scale).map(|x| x.to_bits()));
    format!("of lambda {lambda} and {levels} levels, its standardisation of checksum {standard}")
}
