//! Normalizing flows trained without determinants, generic over the backend.
//!
//! | module | what is in it |
//! |---|---|
//! | [`relative`] | flows of unconstrained square layers, by the relative gradient (Gresele et al. 2020) |
//! | [`residual`] | residual flows with certified Lipschitz bounds (Chen et al. 2019): training, scores, samples |
//! | [`mlp`] | the nets of residual blocks: products, exact first traces, gradients |
//! | [`unmix`] | independent component analysis by the relative gradient |
//! | [`toy`] | two-dimensional distributions to try them on |
//!
//! From a table to a model file, and to the log-likelihoods of new rows:
//!
//! ```
//! use core::ops::ControlFlow;
//! use detfree_core::{Activation, BaseDensity, Key, reference::Heap};
//! use detfree_flows::relative::{RelativeFlow, RelativeTrainer, RelativeTraining};
//! use detfree_flows::residual::Accuracy;
//! use detfree_flows::toy::Toy;
//! use detfree_flows::{
//!     Density, FitOptions, FlowParameters, Model, Precision, RelativeParameters, Schedule, Standardisation,
//!     TrainingRows, fit,
//! };
//! let (b, key) = (Heap::<f64>::new(), Key::new(1));
//! // Rows of two columns; the last ones tell which weights to keep.
//! let mut rows: Vec<f64> = (0..600).flat_map(|row| Toy::HalfMoons.sample(key, row)).collect();
//! let standardisation = Standardisation::of(2, rows.chunks_exact(2)).ok_or("a column is constant")?;
//! rows.chunks_exact_mut(2).for_each(|row| standardisation.apply(row));
//! let validation = rows.split_off(2 * 500);
//! let training = TrainingRows { values: rows, noise: vec![0.0; 2], squash: None };
//!
//! let (activation, base) = (Activation::LeakySoftplus { alpha: 0.3 }, BaseDensity::Normal);
//! let flow = RelativeFlow::random(&b, 2, 6, activation, base, key)?;
//! let (shape, how) = (training.batch_shape(50), RelativeTraining::default());
//! let mut trainer = RelativeTrainer::new(&b, flow, shape, how)?;
//! let options = FitOptions {
//!     epochs: 60,
//!     batch: 50,
//!     learning_rate: 2e-2,
//!     schedule: Schedule::Cosine,
//!     patience: 60,
//!     key,
//! };
//! let report = fit(&b, &mut trainer, &training, &validation, &options, |_| ControlFlow::Continue(()))?;
//! assert!(report.best > -2.7);
//!
//! let layers = trainer.flow().to_layers(&b)?;
//! let model = Model {
//!     columns: vec!["x".into(), "y".into()],
//!     dequantized: vec![],
//!     seed: 1,
//!     precision: Precision::Double,
//!     squash: None,
//!     standardisation,
//!     base,
//!     flow: FlowParameters::Relative(RelativeParameters { activation, layers }),
//! };
//! let file = model.to_bytes()?;
//!
//! let density = Density::new(&b, Model::from_bytes(&file)?)?;
//! let accuracy = Accuracy::StandardError { tolerance: 0.05, most_products: 10_000 };
//! let found = density.log_likelihood(&b, &[0.5, 0.1, 9.0, 9.0], accuracy, 1)?;
//! assert!(found.values[0] > found.values[1] + 10.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`fit`](fn@fit) and [`Training`] train a flow of either kind, with early stopping and checkpoints; [`Model`] is one
//! with the units of its data, as bytes of a file, and [`Density`] what scores rows and draws samples with it.
//!
//! A training loop of your own calls [`Trainer::step`], [`Trainer::validate`] and [`Trainer::keep`]; the weights
//! kept last are those of the trainer's `flow()`. To go on with a model file, make its flow by
//! [`RelativeFlow::from_layers`](relative::RelativeFlow::from_layers) or
//! [`ResidualFlow::from_parameters`](residual::ResidualFlow::from_parameters), on any backend: parameters are `f64`
//! on the host. [`Model::inputs`] gives rows as that flow takes them.
//!
//! # Settings to start from
//!
//! Those of the command for D columns and standardised rows:
//!
//! | | relative flow | residual flow |
//! |---|---|---|
//! | extent | 64/D layers, 4 to 32, with a parameter for every four rows at most | 8 blocks where D ≤ 8, else 6; two hidden layers of 2D units, 64 to 256 |
//! | activation | [`LeakySoftplus`](detfree_core::Activation::LeakySoftplus), α = 0.3 | [`Sine`](detfree_core::Activation::Sine) where D ≤ 8, else [`LipSwish`](detfree_core::Activation::LipSwish), β = 1 |
//! | bound, average | – | L = 0.9; 0.99 |
//! | rate, along [`Schedule::Cosine`] | 0.32/D, 0.01 at most; `clip` 10 | 0.01 |
//! | rows of a batch | 50 | 500 where D ≤ 8, else 64, a quarter of all at most |
//! | steps | 48,000 | 2,500, and 20 epochs at least |
//!
//! Relative flows want their steps: with 48,000 half-moons end at -0.37 nats (`detfree fit toy:half-moons`, on x86-64 with
//! AVX-512), with a tenth of them at -1.15 (`--epochs 27`), and a Gaussian has -1.89.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod base;
mod checksum;
mod cholesky;
mod fit;
pub mod mlp;
mod model;
mod norm;
pub mod relative;
pub mod residual;
mod spectral;
mod squash;
mod standardisation;
mod tensor;
pub mod toy;
mod tracking;
mod transfer;
pub mod unmix;

pub use fit::{
    CheckpointError, Difference, EpochReport, Event, FitOptions, FitReport, Progress, Schedule,
    State, StepReport, Stop, Tracked, Trainer, Training, TrainingRows, Validation, fit,
};
pub use model::{Density, FlowParameters, LogLikelihoods, Model, ModelError, Precision, Samples};
pub use relative::RelativeParameters;
pub use spectral::SpectralBound;
pub use squash::Squash;
pub use standardisation::Standardisation;
