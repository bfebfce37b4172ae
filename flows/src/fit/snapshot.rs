//! A training run on the host, and its bytes: safetensors with one versioned JSON entry in the
//! metadata.
//!
//! | tensor | type | shape |
//! |---|---|---|
//! | `numbers` | F64 | \[n\], the run's and then the trainer's |
//! | `counts` | U64 | \[n\], the run's and then the trainer's |
//! | `batch.N` | F32 or F64 | \[rows, dim\], in the order of the trainer |

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use detfree_core::Shape;
use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};

use super::checkpoint::{CheckpointError, Difference};
use crate::checksum::checksum;
use crate::tensor::{decode, encode};

/// The metadata entry that makes a safetensors file a checkpoint of ours.
const ENTRY: &str = "detfree-checkpoint";
pub(super) const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    run: Vec<(String, String)>,
    batches: usize,
    /// Of all numbers, counts and batches.
    checksum: String,
}

/// The one field that must be readable in every version.
#[derive(Deserialize)]
struct AnyVersion {
    version: u32,
}

pub(super) struct Snapshot {
    /// What tells one run from another, by name.
    pub(super) run: Vec<(String, String)>,
    pub(super) numbers: Vec<f64>,
    pub(super) counts: Vec<u64>,
    /// Of the batches.
    pub(super) dtype: Dtype,
    pub(super) batches: Vec<(Shape, Vec<f64>)>,
}

fn corrupt<E>(reason: impl ToString) -> CheckpointError<E> {
    CheckpointError::Corrupt(reason.to_string())
}

impl Snapshot {
    /// The bytes, the same for the same run.
    pub(super) fn to_bytes<E>(&self) -> Result<Vec<u8>, CheckpointError<E>> {
        let header = Header {
            version: VERSION,
            run: self.run.clone(),
            batches: self.batches.len(),
            checksum: self.checksum(),
        };
        let json = serde_json::to_string(&header).map_err(corrupt)?;
        let bits = self.counts.iter().flat_map(|n| n.to_le_bytes()).collect();
        let numbers = encode(Dtype::F64, &self.numbers);
        let mut encoded = alloc::vec![
            (
                "numbers".to_owned(),
                Dtype::F64,
                alloc::vec![self.numbers.len()],
                numbers
            ),
            (
                "counts".to_owned(),
                Dtype::U64,
                alloc::vec![self.counts.len()],
                bits
            ),
        ];
        for (n, (shape, values)) in self.batches.iter().enumerate() {
            let bytes = encode(self.dtype, values);
            let shape = alloc::vec![shape.rows, shape.dim];
            encoded.push((format!("batch.{n}"), self.dtype, shape, bytes));
        }
        let mut views = Vec::new();
        for (name, dtype, shape, bytes) in &encoded {
            let view = TensorView::new(*dtype, shape.clone(), bytes).map_err(corrupt)?;
            views.push((name.as_str(), view));
        }
        let metadata = core::iter::once((ENTRY.to_owned(), json)).collect();
        serialize(views, Some(metadata)).map_err(corrupt)
    }

    pub(super) fn from_bytes<E>(bytes: &[u8]) -> Result<Self, CheckpointError<E>> {
        let not_safetensors = |e: SafeTensorError| CheckpointError::NotSafetensors(e.to_string());
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(not_safetensors)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(not_safetensors)?;
        let entry = metadata.metadata().as_ref().and_then(|m| m.get(ENTRY));
        let json = entry.ok_or(CheckpointError::Foreign)?;
        let AnyVersion { version } = serde_json::from_str(json).map_err(corrupt)?;
        if version != VERSION {
            return Err(CheckpointError::Version(version));
        }
        let header: Header = serde_json::from_str(json).map_err(corrupt)?;

        let counts = tensors.tensor("counts").map_err(corrupt)?;
        if counts.dtype() != Dtype::U64 {
            return Err(corrupt("`counts` are not of type U64"));
        }
        let values = |tensor: &TensorView<'_>| {
            decode(tensor.dtype(), tensor.data())
                .ok_or_else(|| corrupt(format!("a tensor holds {:?}", tensor.dtype())))
        };
        let mut snapshot = Self {
            run: header.run,
            numbers: values(&tensors.tensor("numbers").map_err(corrupt)?)?,
            counts: {
                let counts = counts.data().as_chunks().0.iter();
                counts.map(|bits| u64::from_le_bytes(*bits)).collect()
            },
            dtype: Dtype::F64,
            batches: Vec::new(),
        };
        for n in 0..header.batches {
            let tensor = tensors.tensor(&format!("batch.{n}")).map_err(corrupt)?;
            let &[rows, dim] = tensor.shape() else {
                return Err(corrupt(format!("`batch.{n}` is no matrix")));
            };
            snapshot.dtype = tensor.dtype();
            snapshot
                .batches
                .push((Shape::new(rows, dim), values(&tensor)?));
        }
        if snapshot.checksum() != header.checksum {
            return Err(corrupt("its numbers are not those that were saved"));
        }
        Ok(snapshot)
    }

    fn checksum(&self) -> String {
        let batches = self.batches.iter().flat_map(|(_, values)| values);
        let numbers = self.numbers.iter().chain(batches);
        checksum(
            numbers
                .map(|x| x.to_bits())
                .chain(self.counts.iter().copied()),
        )
    }

    /// Refuses to continue a run like `other` from here where this is not of the same one.
    pub(super) fn continues<E>(&self, other: &Self) -> Result<(), CheckpointError<E>> {
        let mut differences = Vec::new();
        for (name, expected) in &other.run {
            let found = self.run.iter().find(|(found, _)| found == name);
            let found = found.map_or("none", |(_, value)| value);
            if found != expected {
                differences.push(Difference {
                    setting: name.clone(),
                    found: found.to_owned(),
                    expected: expected.clone(),
                });
            }
        }
        if !differences.is_empty() {
            return Err(CheckpointError::OtherRun(differences));
        }
        let [found, expected] = [self, other].map(|snapshot| {
            let shapes: Vec<_> = snapshot.batches.iter().map(|(shape, _)| *shape).collect();
            (snapshot.numbers.len(), snapshot.counts.len(), shapes)
        });
        if found != expected {
            return Err(CheckpointError::OtherRun(alloc::vec![Difference {
                setting: "number or size of weights".to_owned(),
                found: "another one".to_owned(),
                expected: format!("{} matrices", other.batches.len()),
            }]));
        }
        Ok(())
    }
}
