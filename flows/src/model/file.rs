//! Model files: safetensors with a versioned JSON entry in its metadata.
//!
//! | tensor | type | shape |
//! |---|---|---|
//! | `standardisation.mean`, `standardisation.scale` | F64 | \[dim\] |
//! | `layer.N.weight` | F32 or F64 | \[dim, dim\] |
//! | `layer.N.bias` | F32 or F64 | \[dim\] |
//!
//! or, of a residual flow, instead of layers
//!
//! | tensor | type | shape |
//! |---|---|---|
//! | `block.N.layer.M.weight` | F32 or F64 | \[out, in\] |
//! | `block.N.layer.M.bias` | F32 or F64 | \[out\] |
//! | `block.N.log_scale`, `block.N.shift` | F64 | \[dim\] |
//!
//! A second entry is the checksum of the first one and of the tensors.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use detfree_core::BaseDensity;
use safetensors::tensor::{Dtype, SafeTensors};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{FlowParameters, Model, Precision};
use crate::checksum::checksum;
use crate::relative::RelativeParameters;
use crate::residual::ResidualParameters;
use crate::tensor::{decode, encode};
use crate::{Squash, Standardisation};

/// The metadata entry that makes a safetensors file a model of ours.
const ENTRY: &str = "detfree";
/// That of the checksum of the one above and of the tensors. Files that others write may be without.
const CHECKSUM: &str = "checksum";
const VERSION: u32 = 1;
/// Bytes of the number before a safetensors header that tells its length.
const LENGTH: usize = 8;
const RELATIVE: &str = "relative";
const RESIDUAL: &str = "residual";

/// Why bytes are not a model, or a model has none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelError {
    /// Not a safetensors file, or a truncated one.
    NotSafetensors(String),
    /// A safetensors file without our metadata entry.
    Foreign,
    /// Written by another version of the format.
    Version(u32),
    /// The parts of the file contradict each other.
    Corrupt(String),
    /// Those of a model that is to be written do.
    Unsound(String),
}

impl core::fmt::Display for ModelError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotSafetensors(reason) => {
                write!(f, "not a model file, or a truncated one ({reason})")
            }
            Self::Foreign => f.write_str(
                "a safetensors file, but not a model of detfree (its metadata has no `detfree` entry)",
            ),
            Self::Version(version) => write!(
                f,
                "a model file of version {version}, where this program reads version {VERSION}"
            ),
            Self::Corrupt(reason) => write!(f, "a corrupt model file: {reason}"),
            Self::Unsound(reason) => write!(f, "a model that contradicts itself: {reason}"),
        }
    }
}

impl core::error::Error for ModelError {}

/// `F` is of the kind of flow.
#[derive(Serialize, Deserialize)]
struct Header<F> {
    version: u32,
    model: String,
    columns: Vec<String>,
    dequantized: Vec<usize>,
    seed: u64,
    #[serde(flatten)]
    flow: F,
    base: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    logit_lambda: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    logit_levels: Option<f64>,
}

/// The one field that must be readable in every version.
#[derive(Deserialize)]
struct AnyVersion {
    version: u32,
}

/// The one that tells what kind the others are of.
#[derive(Deserialize)]
struct AnyKind {
    model: String,
}

/// A tensor to be written.
pub(super) struct Tensor<'a> {
    name: String,
    shape: Vec<usize>,
    values: &'a [f64],
    /// Whether it is written in double precision whatever the model's.
    exact: bool,
}

impl<'a> Tensor<'a> {
    /// In the model's precision.
    pub(super) fn weights(name: String, shape: &[usize], values: &'a [f64]) -> Self {
        Self {
            name,
            shape: shape.to_vec(),
            values,
            exact: false,
        }
    }

    /// In double precision.
    pub(super) fn exact(name: String, shape: &[usize], values: &'a [f64]) -> Self {
        Self {
            exact: true,
            ..Self::weights(name, shape, values)
        }
    }
}

/// The tensors of a file that is read.
pub(super) struct Parts<'a> {
    tensors: SafeTensors<'a>,
    /// Of the weights read last.
    precision: Precision,
}

impl Parts<'_> {
    pub(super) fn weights(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f64>, ModelError> {
        let (values, dtype) = self.read(name, shape)?;
        self.precision = match dtype {
            Dtype::F32 => Precision::Single,
            _ => Precision::Double,
        };
        Ok(values)
    }

    pub(super) fn exact(&self, name: &str, shape: &[usize]) -> Result<Vec<f64>, ModelError> {
        Ok(self.read(name, shape)?.0)
    }

    fn read(&self, name: &str, shape: &[usize]) -> Result<(Vec<f64>, Dtype), ModelError> {
        let tensor = self.tensors.tensor(name).map_err(corrupt)?;
        if tensor.shape() != shape {
            let found = tensor.shape();
            return Err(corrupt(format!(
                "`{name}` has shape {found:?}, expected {shape:?}"
            )));
        }
        let dtype = tensor.dtype();
        let values = decode(dtype, tensor.data())
            .ok_or_else(|| corrupt(format!("`{name}` holds {dtype:?}, expected F32 or F64")))?;
        Ok((values, dtype))
    }
}

impl Model {
    /// The bytes of the model file, the same for the same model.
    ///
    /// # Errors
    /// [`ModelError::Unsound`] where the model contradicts itself.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelError> {
        self.check().map_err(ModelError::Unsound)?;
        let dim = self.dim();
        let (json, flow) = match &self.flow {
            FlowParameters::Relative(flow) => {
                (self.header(RELATIVE, flow.header())?, flow.tensors(dim))
            }
            FlowParameters::Residual(flow) => {
                (self.header(RESIDUAL, flow.header())?, flow.tensors(dim))
            }
        };
        let Standardisation { mean, scale } = &self.standardisation;
        let mut tensors = alloc::vec![
            Tensor::exact("standardisation.mean".to_owned(), &[dim], mean),
            Tensor::exact("standardisation.scale".to_owned(), &[dim], scale),
        ];
        tensors.extend(flow);
        write_file(&json, self.precision, &tensors)
    }

    fn header<F: Serialize>(&self, model: &str, flow: F) -> Result<String, ModelError> {
        let header = Header {
            version: VERSION,
            model: model.to_owned(),
            columns: self.columns.clone(),
            dequantized: self.dequantized.clone(),
            seed: self.seed,
            flow,
            base: self.base.name().to_owned(),
            logit_lambda: self.squash.map(|squash| squash.lambda),
            logit_levels: self.squash.map(|squash| squash.levels),
        };
        serde_json::to_string(&header).map_err(corrupt)
    }

    /// The model in these bytes.
    ///
    /// # Errors
    /// [`ModelError`] where they are not a model file, truncated, or contradict themselves.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        let not_safetensors =
            |e: safetensors::SafeTensorError| ModelError::NotSafetensors(e.to_string());
        let (header, metadata) = SafeTensors::read_metadata(bytes).map_err(not_safetensors)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(not_safetensors)?;
        let entry = |name| metadata.metadata().as_ref().and_then(|m| m.get(name));
        let json = entry(ENTRY).ok_or(ModelError::Foreign)?;
        let AnyVersion { version } = serde_json::from_str(json).map_err(corrupt)?;
        if version != VERSION {
            return Err(ModelError::Version(version));
        }
        let data = bytes.get(LENGTH + header..).unwrap_or_default();
        if entry(CHECKSUM).is_some_and(|saved| *saved != checksum_of(json, data)) {
            return Err(corrupt("its contents are not those that were saved"));
        }
        let AnyKind { model } = serde_json::from_str(json).map_err(corrupt)?;
        let parts = Parts {
            tensors,
            precision: Precision::Double,
        };
        let model = match model.as_str() {
            RELATIVE => Self::read(json, parts, |header, dim, parts| {
                RelativeParameters::read(header, dim, parts).map(FlowParameters::Relative)
            }),
            RESIDUAL => Self::read(json, parts, |header, dim, parts| {
                ResidualParameters::read(header, dim, parts).map(FlowParameters::Residual)
            }),
            other => Err(corrupt(format!("an unknown kind of model, `{other}`"))),
        }?;
        model.check().map_err(ModelError::Corrupt)?;
        Ok(model)
    }

    fn read<F: DeserializeOwned>(
        json: &str,
        mut parts: Parts<'_>,
        flow: impl FnOnce(&F, usize, &mut Parts<'_>) -> Result<FlowParameters, ModelError>,
    ) -> Result<Self, ModelError> {
        let header: Header<F> = serde_json::from_str(json).map_err(corrupt)?;
        let dim = header.columns.len();
        let flow = flow(&header.flow, dim, &mut parts)?;
        let levels = header.logit_lambda.zip(header.logit_levels);
        Ok(Self {
            precision: parts.precision,
            squash: levels.map(|(lambda, levels)| Squash { lambda, levels }),
            standardisation: Standardisation {
                mean: parts.exact("standardisation.mean", &[dim])?,
                scale: parts.exact("standardisation.scale", &[dim])?,
            },
            base: base(&header.base)?,
            columns: header.columns,
            dequantized: header.dequantized,
            seed: header.seed,
            flow,
        })
    }

    /// Refuses a model that could not have been trained.
    fn check(&self) -> Result<(), String> {
        let dim = self.dim();
        let flow = || match &self.flow {
            FlowParameters::Relative(flow) => flow.flaw(dim),
            FlowParameters::Residual(flow) => flow.flaw(dim),
        };
        let flaw = self.flaw().map(str::to_owned).or_else(flow);
        flaw.map_or(Ok(()), Err)
    }

    /// What could not have been trained, of everything but the flow.
    pub(super) fn flaw(&self) -> Option<&'static str> {
        let dim = self.dim();
        let Standardisation { mean, scale } = &self.standardisation;
        if dim == 0 {
            Some("the model has no columns")
        } else if mean.len() != dim
            || scale.len() != dim
            || !mean.iter().all(|x| x.is_finite())
            || !scale.iter().all(|&x| x > 0.0 && x.is_finite())
        {
            Some(
                "the standardisation of a model has a finite mean and a positive scale for every column",
            )
        } else if self.squash.is_some_and(|squash| !squash.is_sound()) {
            Some("the logit's lambda is not between 0 and 1/2, or its range is not positive")
        } else if self.dequantized.iter().any(|&c| c >= dim) {
            Some("the model names a dequantised column that it does not have")
        } else {
            None
        }
    }
}

/// A safetensors file with one entry in its metadata: the length of a header in JSON, the header, and the
/// tensors, those of wider numbers first so that all are aligned.
///
/// The crate that reads files also writes them, and takes twenty-five kilobytes for it: too much of a
/// module for browsers.
fn write_file(
    entry: &str,
    precision: Precision,
    tensors: &[Tensor<'_>],
) -> Result<Vec<u8>, ModelError> {
    let single = |tensor: &&Tensor<'_>| precision == Precision::Single && !tensor.exact;
    let wide = tensors.iter().filter(|tensor| !single(tensor));
    let narrow = tensors.iter().filter(single);
    let mut header = String::new();
    let mut data = Vec::new();
    for tensor in wide.chain(narrow) {
        let (dtype, name) = if single(&tensor) {
            (Dtype::F32, "F32")
        } else {
            (Dtype::F64, "F64")
        };
        let start = data.len();
        data.extend(encode(dtype, tensor.values));
        let (end, shape, tensor) = (data.len(), &tensor.shape, &tensor.name);
        header += &format!(
            ",\"{tensor}\":{{\"dtype\":\"{name}\",\"shape\":{shape:?},\"data_offsets\":[{start},{end}]}}"
        );
    }
    let checksum = checksum_of(entry, &data);
    let entry = serde_json::to_string(entry).map_err(corrupt)?;
    let metadata = format!("{{\"{ENTRY}\":{entry},\"{CHECKSUM}\":\"{checksum}\"}}");
    let mut header = format!("{{\"__metadata__\":{metadata}{header}}}");
    // The data shall be aligned in the file.
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.into_bytes());
    file.extend(data);
    Ok(file)
}

/// Of our metadata entry and the bytes of all tensors.
fn checksum_of(entry: &str, data: &[u8]) -> String {
    let words = |bytes: &[u8]| {
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(bytes) {
            *to = *from;
        }
        u64::from_le_bytes(word)
    };
    let entry = entry.as_bytes().chunks(8);
    checksum(entry.chain(data.chunks(8)).map(words))
}

pub(super) fn corrupt(reason: impl ToString) -> ModelError {
    ModelError::Corrupt(reason.to_string())
}

fn base(name: &str) -> Result<BaseDensity, ModelError> {
    use BaseDensity::{HyperbolicSecant, Logistic, Normal};
    [Normal, HyperbolicSecant, Logistic]
        .into_iter()
        .find(|base| base.name() == name)
        .ok_or_else(|| corrupt(format!("`{name}` is not a base density")))
}
