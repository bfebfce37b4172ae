//! One residual block: a net of bounded Lipschitz constant, and the affine map behind it.

use alloc::vec::Vec;

use detfree_core::{
    Activation, Affine, Allocate, Backend, DenseBackend, Error, FlowBackend, Key, Scalar, Shape,
};

use super::BlockParameters;
use crate::SpectralBound;
use crate::mlp::Mlp;
use crate::transfer::{download, upload};

/// How small the last weight of a new block is beside what its bound allows: the block starts near
/// the identity, and yet its gradients do not vanish.
const START: f64 = 0.5;

/// x ↦ exp(s) ∘ (x + g(x)) + t
pub(crate) struct Block<B: Backend> {
    /// What Lip(g) is held to.
    pub(crate) lipschitz: f64,
    pub(crate) net: Mlp<B>,
    /// s
    pub(crate) log_scale: Vec<f64>,
    /// t
    pub(crate) shift: Vec<f64>,
    /// One for every weight of the net.
    pub(crate) bounds: Vec<SpectralBound<B>>,
}

impl<B: FlowBackend + Allocate> Block<B> {
    pub(crate) fn random(
        b: &B,
        widths: &[usize],
        activation: Activation,
        lipschitz: f64,
        key: Key,
    ) -> Result<Self, Error<B::Error>> {
        let dim = widths.first().copied().unwrap_or(0);
        let mut net = Mlp::random(b, widths, activation, 1.0, key)?;
        let limit = layer_limit(&net, lipschitz);
        let mut bounds = Vec::new();
        let last = net.layers.len() - 1;
        for (l, Affine { weight, bias }) in net.layers.iter_mut().enumerate() {
            let mut bound = SpectralBound::new(b, weight)?;
            // As a whole: clipped, it would be no longer a random weight.
            bound.scale(b, weight, if l == last { limit * START } else { limit })?;
            if l == last {
                b.fill(detfree_core::Fill::Constant(0.0), bias)?;
            }
            bounds.push(bound);
        }
        Ok(Self {
            lipschitz,
            net,
            log_scale: alloc::vec![0.0; dim],
            shift: alloc::vec![0.0; dim],
            bounds,
        })
    }

    pub(crate) fn upload(
        b: &B,
        dim: usize,
        lipschitz: f64,
        parameters: &BlockParameters,
    ) -> Result<Self, Error<B::Error>> {
        let BlockParameters {
            layers: host,
            activations,
            log_scale,
            shift,
        } = parameters;
        if host.len() < 2 || host.len() != activations.len() + 1 {
            return Err(Error::Invalid(
                "a block's net has a hidden layer at least, and one activation behind every layer but \
                 the last: give two layers or more, and one activation fewer",
            ));
        }
        let row = Shape::new(1, dim);
        Error::check_numbers("a block's scale", row, log_scale.len())?;
        Error::check_numbers("a block's shift", row, shift.len())?;
        for sigma in activations {
            sigma.check().map_err(Error::Invalid)?;
        }
        let numbers = host
            .iter()
            .flat_map(|layer| layer.weight.iter().chain(&layer.bias));
        let mut numbers = numbers.chain(log_scale).chain(shift);
        if !numbers.all(|&x| finite::<B::Scalar>(x)) {
            return Err(Error::Invalid(
                "a weight, bias, scale or shift of a block is not finite in this precision: \
                 give finite numbers, or use double precision for very large ones",
            ));
        }
        let mut inputs = dim;
        let (mut layers, mut bounds) = (Vec::new(), Vec::new());
        for Affine { weight, bias } in host {
            let shape = Shape::new(bias.len(), inputs);
            Error::check_numbers("a weight of a block", shape, weight.len())?;
            let layer = Affine {
                weight: upload(b, weight, shape)?,
                bias: upload(b, bias, Shape::new(1, shape.rows))?,
            };
            bounds.push(SpectralBound::new(b, &layer.weight)?);
            layers.push(layer);
            inputs = shape.rows;
        }
        Error::check_shape("a block's output", row, Shape::new(1, inputs))?;
        let net = Mlp {
            layers,
            activations: activations.clone(),
        };
        let limit = layer_limit(&net, lipschitz);
        for (layer, bound) in net.layers.iter().zip(&mut bounds) {
            if bound.get() > limit {
                bound.certify_below(b, &layer.weight, limit)?;
            }
        }
        Ok(Self {
            lipschitz,
            net,
            log_scale: log_scale.clone(),
            shift: shift.clone(),
            bounds,
        })
    }

    pub(crate) fn download(&self, b: &B) -> Result<BlockParameters, B::Error> {
        let mut layers = Vec::new();
        for Affine { weight, bias } in &self.net.layers {
            layers.push(Affine {
                weight: download(b, weight)?,
                bias: download(b, bias)?,
            });
        }
        Ok(BlockParameters {
            layers,
            activations: self.net.activations.clone(),
            log_scale: self.log_scale.clone(),
            shift: self.shift.clone(),
        })
    }
}

impl<B: DenseBackend> Block<B> {
    /// Scales weights down until Lip(g) is certified to be at most what it is held to; to be called after every change
    /// of the weights.
    ///
    /// Every layer may use the same share of the bound. That is no loss where the sharpness of a
    /// [`Activation::LipSwish`] is learned: σ(h) = f(βh)/β moves scale from one layer to the next.
    pub(crate) fn limit(&mut self, b: &B) -> Result<(), Error<B::Error>> {
        let limit = layer_limit(&self.net, self.lipschitz);
        for (layer, bound) in self.net.layers.iter_mut().zip(&mut self.bounds) {
            bound.limit(b, &mut layer.weight, limit)?;
        }
        Ok(())
    }

    /// Copies the numbers and the bounds of a block of the same widths.
    pub(crate) fn copy_from(&mut self, b: &B, other: &Self) -> Result<(), B::Error> {
        for (to, from) in self.net.layers.iter_mut().zip(&other.net.layers) {
            b.copy(&from.weight, &mut to.weight)?;
            b.copy(&from.bias, &mut to.bias)?;
        }
        for (to, from) in self.bounds.iter_mut().zip(&other.bounds) {
            to.copy_from(b, from)?;
        }
        self.net.activations.clone_from(&other.net.activations);
        self.log_scale.clone_from(&other.log_scale);
        self.shift.clone_from(&other.shift);
        Ok(())
    }
}

impl<B: Backend> Block<B> {
    /// The certified bound Π_l ‖W_l‖ Π_l Lip(σ_l) of Lip(g); ∞ where a weight is not finite.
    pub(crate) fn contraction(&self) -> f64 {
        let slopes = self.net.activations.iter().map(|sigma| sigma.lipschitz());
        let bounds = self.bounds.iter().map(SpectralBound::get);
        let factors = self.bounds.len() + self.net.activations.len();
        // Every factor of the product rounds down by at most ε/2.
        bounds.chain(slopes).product::<f64>() * (1.0 + factors as f64 * f64::EPSILON)
    }

    /// What estimators choose their series by. Weights that are not finite have no bound; they get the target,
    /// for figures that are not finite either, which is how a training notices that it has diverged.
    pub(crate) fn bound(&self) -> f64 {
        let contraction = self.contraction();
        if contraction.is_finite() {
            contraction
        } else {
            self.lipschitz
        }
    }

    /// Σ_j s_j
    pub(crate) fn log_scale_sum(&self) -> f64 {
        self.log_scale.iter().sum()
    }
}

/// What ‖W‖ of every layer may be for Lip(g) ≤ `lipschitz`.
fn layer_limit<B: Backend>(net: &Mlp<B>, lipschitz: f64) -> f64 {
    let slopes: f64 = net.activations.iter().map(|s| s.lipschitz()).product();
    let layers = net.layers.len() as f64;
    let rounding = 1.0 - 4.0 * f64::EPSILON;
    libm::pow(lipschitz / slopes, 1.0 / layers) * rounding
}

/// In the precision of `T`.
fn finite<T: Scalar>(x: f64) -> bool {
    T::from_f64(x).to_f64().is_finite()
}
