//! From a split table to a trained model.

use std::slice;
use std::time::{Duration, Instant};

use detfree::flows::relative::{RelativeFlow, RelativeTrainer, RelativeTraining};
use detfree::flows::residual::{
    ResidualFlow, ResidualOptions, ResidualTrainer, ResidualTraining, Sweep,
};
use detfree::flows::{
    FitOptions, FlowParameters, Model, Precision, RelativeParameters, Squash, Standardisation,
    Stop, TrainingRows,
};
use detfree::{Activation, Allocate, FlowBackend, Key, Scalar};

use crate::args::{self, Fit};
use crate::data::{Noise, Parts};
use crate::failure::Failure;
use crate::fit::checkpoint::Checkpoint;
use crate::fit::course::Course;
use crate::fit::interrupt;
use crate::fit::settings::{FlowSettings, RelativeSettings, ResidualSettings, Settings};
use crate::fit::size::block_widths;
use crate::progress::Progress;

/// What the key of training is for.
const WEIGHTS: u64 = 0;
const SHUFFLES: u64 = 1;
const ESTIMATES: u64 = 2;

/// A model, and how it came about.
pub(crate) struct Trained {
    pub(crate) model: Model,
    pub(crate) epochs: u32,
    pub(crate) best_epoch: u32,
    /// How far validation fell from there to the last epoch, in nats a row.
    pub(crate) loss: f64,
    pub(crate) stopped_by: &'static str,
    pub(crate) time: Duration,
}

/// Bytes of a block's weights that a core's second cache holds. Past them, threads that share products are quicker
/// than a shard of the rows for each, which reads all weights for the few rows that a series ends with:
/// by 1.0 to 1.5 times, and slower by up to 1.4 times below (`residual --sizes 784-784-784-784 --batch 64 --variant products certified` and others in `benches/`).
const NEAR: usize = 1 << 21;

/// From this loss on, in nats a column, it is not only that a flow has learned its training rows by heart.
const MUCH: f64 = 1.0;

impl Trained {
    /// What went wrong after the best epoch.
    pub(crate) fn warning(&self) -> Option<String> {
        let lost = self.loss > MUCH * self.model.dim() as f64;
        lost.then(|| {
            format!(
                "training got worse after epoch {}, whose weights are kept: validation ended {:.1} \
                 nats lower; try a lower --lr, or fewer --epochs",
                self.best_epoch, self.loss
            )
        })
    }
}

pub(crate) fn train<B>(
    b: &B,
    options: &Fit,
    settings: Settings,
    parts: &Parts,
    noise: &Noise,
    checkpoint: Option<Checkpoint>,
    key: Key,
) -> Result<Trained, Failure>
where
    B: FlowBackend + Allocate + Sync,
    B::Error: std::fmt::Display,
{
    let started = Instant::now();
    let dim = parts.data.dim();
    let rows_of = |numbers: &[usize], noisy: bool| -> Vec<f64> {
        let mut rows = Vec::with_capacity(numbers.len() * dim);
        for &number in numbers {
            let start = rows.len();
            rows.extend_from_slice(parts.data.row(number));
            if noisy {
                noise.add(number, &mut rows[start..]);
            }
        }
        rows
    };
    let squash = options.logit().map(|lambda| Squash {
        lambda,
        levels: parts.levels(),
    });
    let mut noisy = rows_of(&parts.train, true);
    if let Some(squash) = squash {
        squash.apply(&mut noisy);
    }
    let Some(standardisation) = Standardisation::of(dim, noisy.chunks_exact(dim)) else {
        let fails = |&c: &usize| {
            let column = noisy.iter().skip(c).step_by(dim).map(slice::from_ref);
            Standardisation::of(1, column).is_none()
        };
        let columns: Vec<usize> = (0..dim).filter(fails).collect();
        return Err(Failure::Compute(format!(
            "the numbers in {} are too close together, or too large, to be standardised: rescale or \
             remove them",
            parts.data.named(&columns)
        )));
    };
    drop(noisy);
    let mut model = Model {
        columns: parts.data.names().to_vec(),
        dequantized: noise.columns().to_vec(),
        seed: options.seed,
        precision: match options.precision {
            args::Precision::F32 => Precision::Single,
            args::Precision::F64 => Precision::Double,
        },
        squash,
        standardisation,
        base: settings.base,
        // Until training ends.
        flow: FlowParameters::Relative(RelativeParameters {
            activation: Activation::Identity,
            layers: Vec::new(),
        }),
    };
    let training = training_rows(&model, noise, &rows_of(&parts.train, false));
    let unseen = rows_of(&parts.validation, true);
    let validation = model.inputs(&unseen);
    let jacobians = unseen.chunks_exact(dim).map(|row| model.log_jacobian(row));
    interrupt::listen();
    let mut course = Course {
        training: &training,
        validation: &validation,
        options: FitOptions {
            epochs: settings.epochs,
            batch: settings.batch as usize,
            learning_rate: settings.learning_rate,
            schedule: settings.schedule,
            patience: settings.patience,
            key: key.fold_in(SHUFFLES),
        },
        log_jacobian: jacobians.sum::<f64>() / parts.validation.len() as f64,
        // A time beyond what clocks count is no limit.
        deadline: options
            .budget
            .and_then(|budget| started.checked_add(budget)),
        progress: Progress::new(settings.epochs, options.json),
        checkpoint,
        loss: 0.0,
    };
    let threads = super::workers(options);
    let result = match settings.flow {
        FlowSettings::Relative(flow) => {
            let mut trainer = relative(b, &flow, &model, &course, threads, key)?;
            let result = course.run(b, &mut trainer)?;
            model.flow = FlowParameters::Relative(RelativeParameters {
                activation: flow.activation,
                layers: trainer
                    .flow()
                    .to_layers(b)
                    .map_err(detfree::Error::Device)?,
            });
            result
        }
        FlowSettings::Residual(flow) => {
            let mut trainer = residual(b, &flow, &model, &course, threads, key)?;
            if options.residual.explain {
                eprintln!("{}", trainer.explain(b));
            }
            let result = course.run(b, &mut trainer)?;
            let parameters = trainer.flow().to_parameters(b);
            model.flow = FlowParameters::Residual(parameters.map_err(detfree::Error::Device)?);
            result
        }
    };
    if result.best == f64::NEG_INFINITY {
        return Err(Failure::Diverged);
    }
    Ok(Trained {
        model,
        epochs: result.epochs,
        best_epoch: result.best_epoch,
        loss: course.loss,
        stopped_by: match result.stop {
            Stop::Epochs => "epochs",
            Stop::Patience => "patience",
            Stop::Diverged => "divergence",
            Stop::Observer if interrupt::is_raised() => "interrupt",
            Stop::Observer => "budget",
        },
        time: started.elapsed(),
    })
}

fn relative<B>(
    b: &B,
    settings: &RelativeSettings,
    model: &Model,
    course: &Course<'_, B::Scalar>,
    threads: usize,
    key: Key,
) -> Result<RelativeTrainer<B>, Failure>
where
    B: FlowBackend + Allocate,
    B::Error: std::fmt::Display,
{
    let &RelativeSettings {
        layers,
        activation,
        optimiser,
        side,
        clip,
    } = settings;
    let key = key.fold_in(WEIGHTS);
    let flow = RelativeFlow::random(b, model.dim(), layers, activation, model.base, key)?;
    let training = RelativeTraining {
        optimiser,
        side,
        clip,
        workers: threads,
    };
    let shape = course.batch_shape();
    Ok(RelativeTrainer::new(b, flow, shape, training)?)
}

fn residual<B>(
    b: &B,
    settings: &ResidualSettings,
    model: &Model,
    course: &Course<'_, B::Scalar>,
    threads: usize,
    key: Key,
) -> Result<ResidualTrainer<B>, Failure>
where
    B: FlowBackend + Allocate + Sync,
    B::Error: std::fmt::Display,
{
    let options = ResidualOptions {
        blocks: settings.blocks,
        hidden: settings.hidden.clone(),
        activation: settings.activation,
        lipschitz: settings.lipschitz,
        base: model.base,
    };
    let flow = ResidualFlow::random(b, model.dim(), &options, key.fold_in(WEIGHTS))?;
    let shape = course.batch_shape();
    let widths = block_widths(shape.dim, &options.hidden);
    let weights: usize = widths.windows(2).map(|ends| ends[0] * ends[1]).sum();
    let shards = if weights * size_of::<B::Scalar>() > NEAR {
        1
    } else {
        threads
    };
    let training = ResidualTraining {
        estimator: settings.estimator,
        sweep: Sweep::Reverse,
        clip: settings.clip,
        average: Some(settings.ema),
        warm_up: settings.warm_up,
        shards,
        key: key.fold_in(ESTIMATES),
    };
    Ok(ResidualTrainer::new(b, flow, shape, training)?)
}

/// Rows as training takes them: standardised with the noise, or before the noise where a logit
/// comes between.
fn training_rows<T: Scalar>(model: &Model, noise: &Noise, rows: &[f64]) -> TrainingRows<T> {
    let mut width = vec![T::default(); model.dim()];
    for &column in noise.columns() {
        width[column] = T::from_f64(match model.squash {
            Some(_) => 1.0,
            None => 1.0 / model.standardisation.scale[column],
        });
    }
    match model.squash {
        Some(squash) => TrainingRows {
            values: rows.iter().map(|&x| T::from_f64(x)).collect(),
            noise: width,
            squash: Some((squash, model.standardisation.clone())),
        },
        None => TrainingRows {
            values: model.inputs(rows),
            noise: width,
            squash: None,
        },
    }
}
