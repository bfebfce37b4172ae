//! What a user asks of the training of a residual flow.

use alloc::string::{String, ToString};

use detfree_core::Key;

use super::{EstimatorChoice, Sweep};
use crate::fit::or_none;

/// How to train a residual flow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResidualTraining {
    /// Of the log-determinants and their gradients.
    pub estimator: EstimatorChoice,
    /// When the gradients of the log-determinants are taken.
    pub sweep: Sweep,
    /// The largest norm of a gradient: a longer one is scaled down to it.
    pub clip: Option<f64>,
    /// d of the average w̄ ← d w̄ + (1 − d) w that is evaluated instead of the weights, in (0, 1). In its
    /// first steps t it is (1 + t)/(10 + t), where that is less.
    pub average: Option<f64>,
    /// Over how many steps the learning rate rises to what it is meant to be.
    pub warm_up: u64,
    /// Into how many shards a batch is cut, each for a thread; threads share the products of a single
    /// one, which suits nets that are wide beside a shard's rows.
    pub shards: usize,
    /// The stream of the estimators.
    pub key: Key,
}

impl ResidualTraining {
    /// What never changes in a run, by its name and in words.
    pub(super) fn settings(&self) -> [(&'static str, String); 7] {
        // Taken apart, so that none is forgotten.
        let Self {
            estimator,
            sweep,
            clip,
            average,
            warm_up,
            shards,
            key,
        } = self;
        [
            ("estimator", estimator.to_string()),
            ("sweep", sweep.name().into()),
            ("clip", or_none(*clip)),
            ("decay of averaged weights", or_none(*average)),
            ("number of warm-up steps", warm_up.to_string()),
            ("number of shards", shards.to_string()),
            ("key of estimators", key.bits().to_string()),
        ]
    }
}
