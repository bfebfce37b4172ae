//! Model files: safetensors with one versioned JSON entry in its metadata.
//!
//! | tensor | type | shape |
//! |---|---|---|
//! | `standardisation.mean`, `standardisation.scale` | F64 | \[dim\] |
//! | `layer.N.weight` | F32 or F64 | \[dim, dim\] |
//! | `layer.N.bias` | F32 or F64 | \[dim\] |

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use detfree_core::{Activation, Affine, BaseDensity};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};

use super::{Model, Precision};
use crate::{Squash, Standardisation};

/// The metadata entry that makes a safetensors file a model of ours.
const ENTRY: &str = "detfree";
const VERSION: u32 = 1;

/// Why bytes are not a model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelError {
    /// Not a safetensors file, or a truncated one.
    NotSafetensors(String),
    /// A safetensors file without our metadata entry.
    Foreign,
    /// Written by another version of the format.
    Version(u32),
    /// The parts contradict each other.
    Corrupt(String),
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
        }
    }
}

impl core::error::Error for ModelError {}

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    model: String,
    columns: Vec<String>,
    dequantized: Vec<usize>,
    seed: u64,
    layers: usize,
    activation: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alpha: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    beta: Option<f64>,
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

impl Model {
    /// The bytes of the model file, the same for the same model.
    ///
    /// # Errors
    /// [`ModelError::Corrupt`] where the model contradicts itself.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelError> {
        self.check()?;
        let (alpha, beta) = match self.activation {
            Activation::LeakySoftplus { alpha } => (Some(alpha), None),
            Activation::TanhLinear { alpha, beta } => (Some(alpha), Some(beta)),
            Activation::LipSwish { beta } => (None, Some(beta)),
            _ => (None, None),
        };
        let header = Header {
            version: VERSION,
            model: "relative".to_owned(),
            columns: self.columns.clone(),
            dequantized: self.dequantized.clone(),
            seed: self.seed,
            layers: self.layers.len(),
            activation: self.activation.name().to_owned(),
            alpha,
            beta,
            base: self.base.name().to_owned(),
            logit_lambda: self.squash.map(|squash| squash.lambda),
            logit_levels: self.squash.map(|squash| squash.levels),
        };
        let json = serde_json::to_string(&header).map_err(corrupt)?;

        let dim = self.dim();
        let dtype = match self.precision {
            Precision::Single => Dtype::F32,
            Precision::Double => Dtype::F64,
        };
        let Standardisation { mean, scale } = &self.standardisation;
        let mut tensors = alloc::vec![
            (
                "standardisation.mean".to_owned(),
                Dtype::F64,
                alloc::vec![dim],
                mean
            ),
            (
                "standardisation.scale".to_owned(),
                Dtype::F64,
                alloc::vec![dim],
                scale
            ),
        ];
        for (n, Affine { weight, bias }) in self.layers.iter().enumerate() {
            tensors.push((
                format!("layer.{n}.weight"),
                dtype,
                alloc::vec![dim, dim],
                weight,
            ));
            tensors.push((format!("layer.{n}.bias"), dtype, alloc::vec![dim], bias));
        }
        let encoded: Vec<_> = tensors
            .into_iter()
            .map(|(name, dtype, shape, values)| (name, dtype, shape, encode(dtype, values)))
            .collect();
        let mut views = Vec::new();
        for (name, dtype, shape, bytes) in &encoded {
            let view = TensorView::new(*dtype, shape.clone(), bytes).map_err(corrupt)?;
            views.push((name.as_str(), view));
        }
        let metadata = core::iter::once((ENTRY.to_owned(), json)).collect();
        serialize(views, Some(metadata)).map_err(corrupt)
    }

    /// The model in these bytes.
    ///
    /// # Errors
    /// [`ModelError`] where they are not a model file, truncated, or contradict themselves.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        let not_safetensors =
            |e: safetensors::SafeTensorError| ModelError::NotSafetensors(e.to_string());
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(not_safetensors)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(not_safetensors)?;
        let entry = metadata.metadata().as_ref().and_then(|m| m.get(ENTRY));
        let json = entry.ok_or(ModelError::Foreign)?;
        let AnyVersion { version } = serde_json::from_str(json).map_err(corrupt)?;
        if version != VERSION {
            return Err(ModelError::Version(version));
        }
        let header: Header = serde_json::from_str(json).map_err(corrupt)?;
        if header.model != "relative" {
            return Err(corrupt(format!(
                "an unknown kind of model, `{}`",
                header.model
            )));
        }

        let dim = header.columns.len();
        let read = |name: &str, shape: &[usize]| {
            let tensor = tensors.tensor(name).map_err(corrupt)?;
            if tensor.shape() != shape {
                let found = tensor.shape();
                return Err(corrupt(format!(
                    "`{name}` has shape {found:?}, expected {shape:?}"
                )));
            }
            decode(name, tensor.dtype(), tensor.data())
        };
        let mut layers = Vec::new();
        let mut precision = Precision::Double;
        for n in 0..header.layers {
            let (weight, single) = read(&format!("layer.{n}.weight"), &[dim, dim])?;
            let (bias, _) = read(&format!("layer.{n}.bias"), &[dim])?;
            precision = single;
            layers.push(Affine { weight, bias });
        }
        let model = Self {
            precision,
            squash: header
                .logit_lambda
                .zip(header.logit_levels)
                .map(|(lambda, levels)| Squash { lambda, levels }),
            standardisation: Standardisation {
                mean: read("standardisation.mean", &[dim])?.0,
                scale: read("standardisation.scale", &[dim])?.0,
            },
            activation: activation(&header)?,
            base: base(&header)?,
            columns: header.columns,
            dequantized: header.dequantized,
            seed: header.seed,
            layers,
        };
        model.check()?;
        Ok(model)
    }

    /// Refuses a model that could not have been trained.
    fn check(&self) -> Result<(), ModelError> {
        let dim = self.dim();
        let Standardisation { mean, scale } = &self.standardisation;
        let sound = |Affine { weight, bias }: &Affine<Vec<f64>>| {
            weight.len() == dim * dim
                && bias.len() == dim
                && weight.iter().chain(bias).all(|x| x.is_finite())
        };
        let flaw = if dim == 0 {
            "it has no columns"
        } else if self.layers.is_empty() {
            "it has no layers"
        } else if !self.layers.iter().all(sound) {
            "a weight or bias has the wrong size, or is not a finite number"
        } else if mean.len() != dim
            || scale.len() != dim
            || !mean.iter().all(|x| x.is_finite())
            || !scale.iter().all(|&x| x > 0.0 && x.is_finite())
        {
            "its standardisation is not a finite mean and a positive scale per column"
        } else if self.squash.is_some_and(|squash| !squash.is_sound()) {
            "the logit's lambda is not between 0 and 1/2, or its range is not positive"
        } else if self.dequantized.iter().any(|&c| c >= dim) {
            "it names a dequantised column that it does not have"
        } else if !self.activation.is_bijection() {
            "its activation is not a bijection"
        } else if let Err(flaw) = self.activation.check() {
            flaw
        } else {
            return Ok(());
        };
        Err(corrupt(flaw))
    }
}

fn corrupt(reason: impl ToString) -> ModelError {
    ModelError::Corrupt(reason.to_string())
}

fn activation(header: &Header) -> Result<Activation, ModelError> {
    let alpha = header.alpha.unwrap_or(f64::NAN);
    let beta = header.beta.unwrap_or(f64::NAN);
    [
        Activation::Identity,
        Activation::LeakySoftplus { alpha },
        Activation::TanhLinear { alpha, beta },
    ]
    .into_iter()
    .find(|activation| activation.name() == header.activation)
    .ok_or_else(|| {
        let name = &header.activation;
        corrupt(format!("`{name}` is not an activation of a flow"))
    })
}

fn base(header: &Header) -> Result<BaseDensity, ModelError> {
    use BaseDensity::{HyperbolicSecant, Logistic, Normal};
    [Normal, HyperbolicSecant, Logistic]
        .into_iter()
        .find(|base| base.name() == header.base)
        .ok_or_else(|| corrupt(format!("`{}` is not a base density", header.base)))
}

fn encode(dtype: Dtype, values: &[f64]) -> Vec<u8> {
    match dtype {
        Dtype::F32 => values
            .iter()
            .flat_map(|&x| (x as f32).to_le_bytes())
            .collect(),
        _ => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
    }
}

fn decode(name: &str, dtype: Dtype, bytes: &[u8]) -> Result<(Vec<f64>, Precision), ModelError> {
    match dtype {
        Dtype::F32 => {
            let number = |b: &[u8; 4]| f64::from(f32::from_le_bytes(*b));
            let values = bytes.as_chunks().0.iter().map(number).collect();
            Ok((values, Precision::Single))
        }
        Dtype::F64 => {
            let number = |b: &[u8; 8]| f64::from_le_bytes(*b);
            let values = bytes.as_chunks().0.iter().map(number).collect();
            Ok((values, Precision::Double))
        }
        other => Err(corrupt(format!(
            "`{name}` holds {other:?}, expected F32 or F64"
        ))),
    }
}
