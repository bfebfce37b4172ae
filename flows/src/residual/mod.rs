//! Residual flows (Chen et al. 2019): stacked blocks x + g(x) with ‖J_g‖ < 1, where g is a multilayer perceptron;
//! there are no convolutional blocks.

mod actnorm;
mod ascent;
mod block;
mod controls;
mod estimator;
mod evaluate;
mod explicit;
mod gradients;
mod inverse;
mod parameters;
mod rounding;
mod score;
mod start;
mod sweep;
mod trainer;
mod training;
mod turn;

use alloc::vec::Vec;
use core::fmt;

use detfree_core::{
    Activation, Allocate, Backend, BaseDensity, Error, FlowBackend, Key, ScheduleError,
};

pub(crate) use block::Block;
pub use estimator::{Estimator, EstimatorChoice, SeriesEstimator, SeriesSchedule};
pub use evaluate::Evaluator;
pub use gradients::{BlockGradient, Gradients};
pub use inverse::{Inversion, InversionError};
pub use parameters::{BlockParameters, ResidualParameters};
pub use score::{Accuracy, RowScore, ScoreError, Scores};
pub use sweep::{Sweep, Tape};
pub use trainer::ResidualTrainer;
pub use training::ResidualTraining;

/// What a new flow is like.
#[derive(Clone, Debug, PartialEq)]
pub struct ResidualOptions {
    /// How many blocks.
    pub blocks: usize,
    /// The hidden widths of every block's net.
    pub hidden: Vec<usize>,
    /// Behind the hidden layers; of a [`Activation::LipSwish`] the sharpness is learned.
    pub activation: Activation,
    /// The bound of every block's Lipschitz constant Lip(g), in (0, 1).
    pub lipschitz: f64,
    /// Of the flow's output.
    pub base: BaseDensity,
}

/// z₀ = x, z_i = exp(s_i) ∘ (z_{i−1} + g_i(z_{i−1})) + t_i, with nets g_i whose Lipschitz constant is
/// certified to stay below a bound L < 1. The density is
///
/// log p(x) = log p₀(z_m) + Σ_i [log det(I + J_i) + Σ_j s_ij]
///
/// (Chen, Behrmann, Duvenaud and Jacobsen, "Residual Flows for Invertible Generative Modeling", 2019,
/// section 2). The affine map behind each block is the activation normalisation of Kingma and
/// Dhariwal (2018).
///
/// ```
/// use detfree_core::{reference::Heap, Activation, BaseDensity, Key};
/// use detfree_flows::residual::{ResidualFlow, ResidualOptions};
/// let b = Heap::<f64>::new();
/// let options = ResidualOptions {
///     blocks: 3,
///     hidden: vec![8, 8],
///     activation: Activation::LipSwish { beta: 1.0 },
///     lipschitz: 0.9,
///     base: BaseDensity::Normal,
/// };
/// let flow = ResidualFlow::random(&b, 2, &options, Key::new(1)).unwrap();
/// assert!(flow.contractions().all(|l| l <= 0.9));
/// ```
pub struct ResidualFlow<B: Backend> {
    pub(crate) blocks: Vec<Block<B>>,
    pub(crate) dim: usize,
    pub(crate) base: BaseDensity,
    /// Whether it was drawn, and not made of given numbers.
    random: bool,
}

impl<B: FlowBackend + Allocate> ResidualFlow<B> {
    /// A flow of random blocks that starts near the identity. The first batch that
    /// [`ResidualTrainer`] is given chooses the affine maps behind them.
    ///
    /// # Errors
    /// [`Error::Schedule`] unless 0 < `lipschitz` < 1; [`Error::Invalid`] without blocks, dimensions or a
    /// hidden layer, and without units in a hidden layer, and for an activation with parameters that it cannot have; the
    /// device's.
    pub fn random(
        b: &B,
        dim: usize,
        options: &ResidualOptions,
        key: Key,
    ) -> Result<Self, Error<B::Error>> {
        check_target(options.lipschitz)?;
        options.activation.check().map_err(Error::Invalid)?;
        if options.hidden.contains(&0) {
            return Err(Error::Invalid(
                "a hidden layer has at least one unit: without any a block is the identity for ever",
            ));
        }
        let widths: Vec<usize> = core::iter::once(dim)
            .chain(options.hidden.iter().copied())
            .chain(core::iter::once(dim))
            .collect();
        let mut blocks = Vec::new();
        for number in 0..options.blocks {
            let key = key.fold_in(number as u64);
            let (activation, lipschitz) = (options.activation, options.lipschitz);
            blocks.push(Block::random(b, &widths, activation, lipschitz, key)?);
        }
        Self::new(blocks, dim, options.base, true)
    }

    /// The flow with these numbers. Its Lipschitz bounds are certified anew: what `parameters` says
    /// of them is the bound that training may go up to. Training goes on from these numbers.
    ///
    /// # Errors
    /// [`Error::Schedule`] where a block is not certified to be a contraction; [`Error::Shape`] where
    /// a block's widths do not fit `dim` or the numbers given; [`Error::Invalid`] without blocks or dimensions, for
    /// blocks that differ in their widths or have no hidden layer, for an activation with parameters that it cannot
    /// have, and for numbers that are not finite in the backend's precision; the device's.
    pub fn from_parameters(
        b: &B,
        dim: usize,
        parameters: &ResidualParameters,
        base: BaseDensity,
    ) -> Result<Self, Error<B::Error>> {
        check_target(parameters.lipschitz)?;
        let mut blocks: Vec<Block<B>> = Vec::new();
        let lipschitz = parameters.lipschitz;
        for parameters in &parameters.blocks {
            let block = Block::upload(b, dim, lipschitz, parameters)?;
            check_contraction(block.contraction())?;
            if let Some(first) = blocks.first() {
                let (expected, found) = (first.net.widths(b), block.net.widths(b));
                if found != expected {
                    return Err(Error::Invalid(
                        "the blocks of a flow have the same widths: \
                         give every block the hidden layers of the first",
                    ));
                }
            }
            blocks.push(block);
        }
        Self::new(blocks, dim, base, false)
    }

    fn new(
        blocks: Vec<Block<B>>,
        dim: usize,
        base: BaseDensity,
        random: bool,
    ) -> Result<Self, Error<B::Error>> {
        if blocks.is_empty() || dim == 0 {
            return Err(Error::Invalid(EMPTY));
        }
        Ok(Self {
            blocks,
            dim,
            base,
            random,
        })
    }

    /// The flow's numbers on the host.
    ///
    /// # Errors
    /// The device's.
    pub fn to_parameters(&self, b: &B) -> Result<ResidualParameters, B::Error> {
        let blocks = self.blocks.iter().map(|block| block.download(b));
        Ok(ResidualParameters {
            lipschitz: self.lipschitz(),
            blocks: blocks.collect::<Result<_, _>>()?,
        })
    }

    /// A copy with memory of its own.
    ///
    /// # Errors
    /// As [`Self::from_parameters`], for weights that are not certified any more; the device's.
    pub fn duplicate(&self, b: &B) -> Result<Self, Error<B::Error>> {
        let parameters = self.to_parameters(b)?;
        let copy = Self::from_parameters(b, self.dim, &parameters, self.base)?;
        Ok(Self {
            random: self.random,
            ..copy
        })
    }
}

impl<B: FlowBackend> ResidualFlow<B> {
    /// Copies the numbers of a flow of the same blocks.
    ///
    /// # Errors
    /// The device's.
    pub(crate) fn copy_from(&mut self, b: &B, other: &Self) -> Result<(), B::Error> {
        let mut blocks = self.blocks.iter_mut().zip(&other.blocks);
        blocks.try_for_each(|(to, from)| to.copy_from(b, from))
    }
}

impl<B: Backend> ResidualFlow<B> {
    /// The widths of every block's net: input, hidden …, output.
    pub fn widths(&self, b: &B) -> Vec<usize> {
        let first = self.blocks.first();
        first.map_or_else(Vec::new, |block| block.net.widths(b))
    }

    /// The number of blocks.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.blocks.len()
    }

    /// The dimension.
    #[must_use]
    pub const fn dim(&self) -> usize {
        self.dim
    }

    /// The bound that every block's Lipschitz constant is held to.
    #[must_use]
    pub fn lipschitz(&self) -> f64 {
        self.blocks
            .first()
            .map_or(f64::NAN, |block| block.lipschitz)
    }

    /// The base density.
    #[must_use]
    pub const fn base(&self) -> BaseDensity {
        self.base
    }

    /// Whether the affine maps behind its blocks wait for data: those of a random flow that was never
    /// trained. Numbers that were given are meant.
    pub(crate) fn awaits_data(&self) -> bool {
        let mut blocks = self.blocks.iter();
        self.random && blocks.all(Block::is_unscaled)
    }

    /// The certified bound of each block's Lipschitz constant as its weights are now.
    pub fn contractions(&self) -> impl Iterator<Item = f64> + '_ {
        self.blocks.iter().map(Block::contraction)
    }
}

/// Its extent, without its numbers, which may be on a device.
impl<B: Backend> fmt::Debug for ResidualFlow<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResidualFlow")
            .field("dim", &self.dim)
            .field("depth", &self.depth())
            .field("lipschitz", &self.lipschitz())
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// Of a flow.
const EMPTY: &str = "a residual flow has one block and one dimension at least: give it both";

/// A bound to be held to: 0 would leave no block, and no share of it for a layer.
fn check_target<E>(lipschitz: f64) -> Result<(), Error<E>> {
    if lipschitz > 0.0 {
        check_contraction(lipschitz)
    } else {
        Err(Error::Schedule(ScheduleError::Contraction {
            contraction: lipschitz,
        }))
    }
}

/// What blocks are certified for; 0 where a weight is.
fn check_contraction<E>(contraction: f64) -> Result<(), Error<E>> {
    if (0.0..1.0).contains(&contraction) {
        Ok(())
    } else {
        Err(Error::Schedule(ScheduleError::Contraction { contraction }))
    }
}
