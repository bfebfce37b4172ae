//! Training runs of both kinds of flow, behind one interface.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use core::ops::ControlFlow;

use detfree_core::{Activation, BaseDensity, Error, Key};
use detfree_flows::relative::{RelativeFlow, RelativeTrainer, RelativeTraining};
use detfree_flows::residual::{
    ResidualFlow, ResidualOptions, ResidualTrainer, ResidualTraining, Sweep,
};
use detfree_flows::{
    FitOptions, FlowParameters, Progress, RelativeParameters, Trainer, Training, TrainingRows,
};

use crate::settings::{self, Method};
use crate::watched::Watched;
use crate::{Host, Real};

/// What the key of training is for.
const WEIGHTS: u64 = 0;
const SHUFFLES: u64 = 1;
const ESTIMATES: u64 = 2;

/// A relative flow before there is one.
pub(crate) const NOTHING: RelativeParameters = RelativeParameters {
    activation: Activation::Identity,
    layers: Vec::new(),
};

/// A training run, whatever it trains.
pub(crate) trait Course {
    /// Takes steps; whether there are more to be taken.
    fn train(&mut self, steps: u32) -> Result<bool, String>;
    fn status(&self) -> Status;
    /// Of the weights that were kept last.
    fn parameters(&self) -> FlowParameters;
}

/// How far a run has come.
pub(crate) struct Status {
    pub(crate) steps: u64,
    pub(crate) products: u64,
    pub(crate) epochs: u32,
    /// 0 before any.
    pub(crate) best_epoch: u32,
    pub(crate) most_epochs: u32,
    pub(crate) layers: usize,
}

/// A trainer whose best weights can be read.
trait Readable: Trainer<Host> + 'static {
    fn parameters(&self, b: &Host) -> FlowParameters;
}

impl Readable for RelativeTrainer<Host> {
    fn parameters(&self, b: &Host) -> FlowParameters {
        let Ok(layers) = self.flow().to_layers(b);
        FlowParameters::Relative(RelativeParameters {
            activation: self.flow().activation(),
            layers,
        })
    }
}

impl Readable for ResidualTrainer<Host> {
    fn parameters(&self, b: &Host) -> FlowParameters {
        let Ok(parameters) = self.flow().to_parameters(b);
        FlowParameters::Residual(parameters)
    }
}

struct Live<T: 'static> {
    training: Training<'static, Host, Watched<T>>,
    epochs: u32,
    best_epoch: u32,
    most_epochs: u32,
}

impl<T: Readable> Course for Live<T> {
    fn train(&mut self, steps: u32) -> Result<bool, String> {
        let mut left = steps;
        while left > 0 {
            let step = || {
                left -= 1;
                if left == 0 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            };
            match self.training.epoch(&Host::new(), step).map_err(sentence)? {
                Progress::Epoch(report) => {
                    self.epochs = report.epoch;
                    // Only the best one so far is as good as the best one so far.
                    if report.validation >= report.best {
                        self.best_epoch = report.epoch;
                    }
                }
                Progress::Paused => break,
                Progress::Ended if self.training.has_diverged() => {
                    return Err(
                        "Training diverged: the picture shows the best weights before. Another seed may \
                         do better."
                            .to_owned(),
                    );
                }
                Progress::Ended => return Ok(false),
            }
        }
        Ok(true)
    }

    fn status(&self) -> Status {
        let watched = self.training.trainer();
        Status {
            steps: watched.steps,
            products: watched.products,
            epochs: self.epochs,
            best_epoch: self.best_epoch,
            most_epochs: self.most_epochs,
            layers: watched.layers,
        }
    }

    fn parameters(&self) -> FlowParameters {
        self.training.trainer().trainer.parameters(&Host::new())
    }
}

/// A run at its beginning, on standardised points, x and y by turns.
pub(crate) fn start(
    method: Method,
    train: Vec<Real>,
    validation: Vec<Real>,
    key: Key,
) -> Result<Box<dyn Course>, String> {
    let points = train.len() / 2;
    let rows = TrainingRows {
        values: train,
        noise: vec![0.0; 2],
        squash: None,
    };
    let options = settings::training(method, points, key.fold_in(SHUFFLES));
    let shape = rows.batch_shape(options.batch);
    let b = Host::new();
    let weights = key.fold_in(WEIGHTS);
    match method {
        Method::Relative => {
            let (layers, sigma) = (settings::layers(points), settings::RELATIVE_ACTIVATION);
            let normal = BaseDensity::Normal;
            let flow = RelativeFlow::random(&b, 2, layers, sigma, normal, weights);
            let flow = flow.map_err(sentence)?;
            let trainer = RelativeTrainer::new(&b, flow, shape, RelativeTraining::default());
            let trainer = Watched::new(trainer.map_err(sentence)?, layers, shape);
            Ok(live(trainer, rows, validation, &options))
        }
        Method::Residual(log_determinants) => {
            let net = ResidualOptions {
                blocks: settings::BLOCKS,
                hidden: settings::HIDDEN.to_vec(),
                activation: settings::RESIDUAL_ACTIVATION,
                lipschitz: settings::LIPSCHITZ,
                base: BaseDensity::Normal,
            };
            let flow = ResidualFlow::random(&b, 2, &net, weights).map_err(sentence)?;
            let training = ResidualTraining {
                estimator: log_determinants.estimator(),
                sweep: Sweep::Reverse,
                clip: None,
                average: Some(settings::AVERAGE),
                warm_up: 0,
                shards: 1,
                key: key.fold_in(ESTIMATES),
            };
            let trainer = ResidualTrainer::new(&b, flow, shape, training).map_err(sentence)?;
            let trainer = Watched::new(trainer, net.blocks, shape);
            Ok(live(trainer, rows, validation, &options))
        }
    }
}

/// What training borrows stays for good: see [`crate::Run`].
fn live<T: Readable>(
    trainer: Watched<T>,
    rows: TrainingRows<Real>,
    validation: Vec<Real>,
    options: &FitOptions,
) -> Box<dyn Course> {
    let training = Training::new(
        Box::leak(Box::new(trainer)),
        Box::leak(Box::new(rows)),
        validation.leak(),
        options,
    );
    Box::new(Live {
        training,
        epochs: 0,
        best_epoch: 0,
        most_epochs: options.epochs,
    })
}

/// Without the numbers in it, whose formatting would be a tenth of the module.
pub(crate) fn sentence<E>(error: Error<E>) -> String {
    match error {
        Error::Singular => "A weight became singular: start again with another seed.",
        Error::Schedule(_) => "A block is no contraction any more: start again with another seed.",
        Error::Invalid(why) => why,
        _ => "A buffer does not fit: this is a defect of the page.",
    }
    .to_owned()
}
