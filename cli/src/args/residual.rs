//! What `fit` is told of residual flows only.

use std::num::NonZeroU32;

use clap::Args;
use detfree::flows::residual::EstimatorChoice;

use super::values::{Widths, decay, estimator, lipschitz, widths};

#[derive(Args, Debug)]
#[command(next_help_heading = "Options of residual flows")]
pub(crate) struct Residual {
    /// Blocks of the flow [default: 8, or 6 for nine columns and more].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) blocks: Option<u32>,

    /// The hidden widths of every block's net [default: 64,64; twice the columns where that is more,
    /// at most 256].
    #[arg(long, value_name = "N,N", value_parser = widths)]
    pub(crate) hidden: Option<Widths>,

    /// The bound that every block's Lipschitz constant is held to, between 0 and 1 [default: 0.9].
    #[arg(long, value_name = "X", value_parser = lipschitz)]
    pub(crate) lipschitz: Option<f64>,

    /// Evaluate with an exponential moving average of the weights that decays so [default: 0.99].
    #[arg(long, value_name = "DECAY", value_parser = decay)]
    pub(crate) ema: Option<f64>,

    /// Steps over which the learning rate rises from zero [default: 0].
    #[arg(long, value_name = "STEPS")]
    pub(crate) warmup: Option<NonZeroU32>,

    /// How log-determinants are estimated in training: auto, exact, roulette (certified), roulette:N,Q
    /// (N terms, then continued with probability Q, refused where the variance could be infinite),
    /// paper (2 terms, then 1/2, unchecked) or truncated:N (biased) [default: auto].
    #[arg(long, value_name = "KIND", value_parser = estimator)]
    pub(crate) estimator: Option<EstimatorChoice>,

    /// Say on stderr which estimator was chosen, and why.
    #[arg(long)]
    pub(crate) explain: bool,
}
