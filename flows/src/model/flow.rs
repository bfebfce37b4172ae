//! The numbers of either kind of flow, as a model file names them.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use detfree_core::{Activation, Affine};
use serde::{Deserialize, Serialize};

use super::ModelError;
use super::file::{Parts, Tensor, corrupt};
use crate::relative::RelativeParameters;
use crate::residual::{BlockParameters, ResidualParameters};

/// The flow of a model.
#[derive(Clone, Debug, PartialEq)]
pub enum FlowParameters {
    /// [`RelativeFlow`](crate::relative::RelativeFlow)
    Relative(RelativeParameters),
    /// [`ResidualFlow`](crate::residual::ResidualFlow)
    Residual(ResidualParameters),
}

/// An activation by its name and parameters.
#[derive(Serialize, Deserialize)]
struct ActivationHeader {
    activation: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alpha: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    beta: Option<f64>,
}

impl From<Activation> for ActivationHeader {
    fn from(activation: Activation) -> Self {
        let (alpha, beta) = match activation {
            Activation::LeakySoftplus { alpha } => (Some(alpha), None),
            Activation::TanhLinear { alpha, beta } => (Some(alpha), Some(beta)),
            Activation::LipSwish { beta } => (None, Some(beta)),
            _ => (None, None),
        };
        Self {
            activation: activation.name().to_owned(),
            alpha,
            beta,
        }
    }
}

impl ActivationHeader {
    fn read(&self) -> Result<Activation, ModelError> {
        let alpha = self.alpha.unwrap_or(f64::NAN);
        let beta = self.beta.unwrap_or(f64::NAN);
        [
            Activation::Identity,
            Activation::LeakySoftplus { alpha },
            Activation::TanhLinear { alpha, beta },
            Activation::Tanh,
            Activation::Elu,
            Activation::Sine,
            Activation::LipSwish { beta },
        ]
        .into_iter()
        .find(|activation| activation.name() == self.activation)
        .ok_or_else(|| {
            let name = &self.activation;
            corrupt(format!("`{name}` is not an activation of a flow"))
        })
    }
}

/// What a model file says of a relative-gradient flow beside its tensors.
#[derive(Serialize, Deserialize)]
pub(super) struct RelativeHeader {
    layers: usize,
    #[serde(flatten)]
    activation: ActivationHeader,
}

impl RelativeParameters {
    pub(super) fn header(&self) -> RelativeHeader {
        RelativeHeader {
            layers: self.layers.len(),
            activation: self.activation.into(),
        }
    }

    pub(super) fn tensors(&self, dim: usize) -> Vec<Tensor<'_>> {
        let mut tensors = Vec::new();
        for (n, Affine { weight, bias }) in self.layers.iter().enumerate() {
            let name = |what| format!("layer.{n}.{what}");
            tensors.push(Tensor::weights(name("weight"), &[dim, dim], weight));
            tensors.push(Tensor::weights(name("bias"), &[dim], bias));
        }
        tensors
    }

    pub(super) fn read(
        header: &RelativeHeader,
        dim: usize,
        parts: &mut Parts<'_>,
    ) -> Result<Self, ModelError> {
        let activation = header.activation.read()?;
        let mut layers = Vec::new();
        for n in 0..header.layers {
            layers.push(Affine {
                weight: parts.weights(&format!("layer.{n}.weight"), &[dim, dim])?,
                bias: parts.weights(&format!("layer.{n}.bias"), &[dim])?,
            });
        }
        Ok(Self { activation, layers })
    }

    /// What could not have been trained.
    pub(super) fn flaw(&self, dim: usize) -> Option<String> {
        if self.layers.is_empty() {
            return Some("it has no layers".to_owned());
        }
        if !self.activation.is_bijection() {
            return Some("its activation is not a bijection".to_owned());
        }
        let layers = self.layers.iter().enumerate();
        let mut flaws = layers.filter_map(|(l, Affine { weight, bias })| {
            if weight.len() != dim * dim || bias.len() != dim {
                Some(format!(
                    "the weight or bias of layer {l} has the wrong size"
                ))
            } else if !weight.iter().chain(bias).all(|x| x.is_finite()) {
                Some(format!("a number of layer {l} is not finite"))
            } else {
                None
            }
        });
        flaws
            .next()
            .or_else(|| self.activation.check().err().map(str::to_owned))
    }
}

/// What a model file says of a residual flow beside its tensors.
#[derive(Serialize, Deserialize)]
pub(super) struct ResidualHeader {
    lipschitz: f64,
    /// The hidden widths of every block's net.
    hidden: Vec<usize>,
    /// Behind the hidden layers of each block.
    activations: Vec<Vec<ActivationHeader>>,
}

impl ResidualParameters {
    pub(super) fn header(&self) -> ResidualHeader {
        let activations = |block: &BlockParameters| {
            let activations = block.activations.iter().copied();
            activations.map(ActivationHeader::from).collect()
        };
        ResidualHeader {
            lipschitz: self.lipschitz,
            hidden: self.blocks.first().map_or_else(Vec::new, hidden),
            activations: self.blocks.iter().map(activations).collect(),
        }
    }

    pub(super) fn tensors(&self, dim: usize) -> Vec<Tensor<'_>> {
        let mut tensors = Vec::new();
        for (n, block) in self.blocks.iter().enumerate() {
            let mut below = dim;
            for (m, Affine { weight, bias }) in block.layers.iter().enumerate() {
                let name = |what| format!("block.{n}.layer.{m}.{what}");
                let width = bias.len();
                tensors.push(Tensor::weights(name("weight"), &[width, below], weight));
                tensors.push(Tensor::weights(name("bias"), &[width], bias));
                below = width;
            }
            let name = |what| format!("block.{n}.{what}");
            tensors.push(Tensor::exact(name("log_scale"), &[dim], &block.log_scale));
            tensors.push(Tensor::exact(name("shift"), &[dim], &block.shift));
        }
        tensors
    }

    pub(super) fn read(
        header: &ResidualHeader,
        dim: usize,
        parts: &mut Parts<'_>,
    ) -> Result<Self, ModelError> {
        let mut blocks = Vec::new();
        for (n, activations) in header.activations.iter().enumerate() {
            let mut below = dim;
            let mut layers = Vec::new();
            let widths = header.hidden.iter().chain(core::iter::once(&dim));
            for (m, &width) in widths.enumerate() {
                let name = |what| format!("block.{n}.layer.{m}.{what}");
                layers.push(Affine {
                    weight: parts.weights(&name("weight"), &[width, below])?,
                    bias: parts.weights(&name("bias"), &[width])?,
                });
                below = width;
            }
            let activations = activations.iter().map(ActivationHeader::read);
            blocks.push(BlockParameters {
                layers,
                activations: activations.collect::<Result<_, _>>()?,
                log_scale: parts.exact(&format!("block.{n}.log_scale"), &[dim])?,
                shift: parts.exact(&format!("block.{n}.shift"), &[dim])?,
            });
        }
        Ok(Self {
            lipschitz: header.lipschitz,
            blocks,
        })
    }

    /// What could not have been trained. Whether the blocks are contractions is certified where they
    /// become a flow.
    pub(super) fn flaw(&self, dim: usize) -> Option<String> {
        let first = self.blocks.first().map(hidden);
        if self.blocks.is_empty() {
            return Some("it has no blocks".to_owned());
        }
        if !(self.lipschitz > 0.0 && self.lipschitz < 1.0) {
            return Some("its Lipschitz bound is not between 0 and 1".to_owned());
        }
        self.blocks.iter().enumerate().find_map(|(n, block)| {
            let flaw = if first.as_ref() == Some(&hidden(block)) {
                block.flaw(dim)?
            } else {
                "its hidden layers are not those of block 0"
            };
            Some(format!("block {n}: {flaw}"))
        })
    }
}

fn hidden(block: &BlockParameters) -> Vec<usize> {
    let widths = block.layers.iter().map(|layer| layer.bias.len());
    widths.take(block.layers.len().saturating_sub(1)).collect()
}

impl BlockParameters {
    fn flaw(&self, dim: usize) -> Option<&'static str> {
        let mut below = dim;
        let chained = self.layers.iter().all(|Affine { weight, bias }| {
            let width = bias.len();
            let fits = width > 0 && weight.len() == width * below;
            below = width;
            fits
        });
        let affine = [&self.log_scale, &self.shift];
        let layers = self.layers.iter();
        let numbers = layers.flat_map(|layer| [&layer.weight, &layer.bias]);
        if self.layers.len() < 2 {
            Some("there is no hidden layer")
        } else if !chained || below != dim {
            Some("a weight or bias has the wrong size")
        } else if self.activations.len() + 1 != self.layers.len() {
            Some("its hidden layers have not one activation each")
        } else if affine.iter().any(|numbers| numbers.len() != dim) {
            Some("its scale or shift has the wrong size")
        } else if !numbers.chain(affine).flatten().all(|x| x.is_finite()) {
            Some("a number is not finite")
        } else {
            let mut activations = self.activations.iter();
            activations.find_map(|activation| activation.check().err())
        }
    }
}
