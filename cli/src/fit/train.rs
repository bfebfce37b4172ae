//! From a split table to a trained model.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use detfree::flows::relative::RelativeFlow;
use detfree::flows::{
    Event, FitOptions, Model, Precision, Squash, Standardisation, Stop, TrainingRows, fit,
};
use detfree::{Allocate, FlowBackend, Key, Scalar};

use crate::args::{self, Fit, ModelKind};
use crate::data::{Noise, Parts};
use crate::failure::Failure;
use crate::fit::settings::Settings;
use crate::progress::Progress;

/// A model, and how it came about.
pub(crate) struct Trained {
    pub(crate) model: Model,
    pub(crate) epochs: u32,
    pub(crate) best_epoch: u32,
    pub(crate) stopped_by: &'static str,
    pub(crate) time: Duration,
}

pub(crate) fn train<B>(
    b: &B,
    options: &Fit,
    parts: &Parts,
    noise: &Noise,
    key: Key,
) -> Result<Trained, Failure>
where
    B: FlowBackend + Allocate,
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
        return Err(Failure::Compute(
            "a column's values are too close together, or too large, to be standardised: \
             rescale or remove it"
                .to_owned(),
        ));
    };
    drop(noisy);
    let ModelKind::Relative = options.model;
    let settings = Settings::new(options, dim, parts.train.len());
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
        activation: settings.activation,
        base: settings.base,
        layers: Vec::new(),
    };
    let training = training_rows(&model, noise, &rows_of(&parts.train, false));
    let unseen = rows_of(&parts.validation, true);
    let validation = model.inputs(&unseen);
    let mut flow = RelativeFlow::random(
        b,
        dim,
        settings.layers,
        model.activation,
        model.base,
        key.fold_in(0),
    )
    .map_err(detfree::Error::Device)?;

    let interrupted = interrupt_flag();
    let over_budget = || {
        options
            .budget
            .is_some_and(|budget| started.elapsed() >= budget)
    };
    let jacobians = unseen.chunks_exact(dim).map(|row| model.log_jacobian(row));
    let log_jacobian = jacobians.sum::<f64>() / parts.validation.len() as f64;
    let mut progress = Progress::new(settings.epochs, options.json);
    let fit_options = FitOptions {
        epochs: settings.epochs,
        batch: settings.batch as usize,
        learning_rate: settings.learning_rate,
        schedule: settings.schedule,
        patience: settings.patience,
        optimiser: settings.optimiser,
        side: settings.side,
        key: key.fold_in(1),
    };
    let result = fit(
        b,
        &mut flow,
        &training,
        &validation,
        &fit_options,
        |event| {
            if let Event::Epoch(report) = &event {
                progress.epoch(report, log_jacobian);
            }
            if interrupted.load(Ordering::Relaxed) || over_budget() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        },
    );
    progress.finish();
    let result = result?;
    if result.best == f64::NEG_INFINITY {
        return Err(Failure::Diverged);
    }
    model.layers = flow.to_layers(b).map_err(detfree::Error::Device)?;
    Ok(Trained {
        model,
        epochs: result.epochs,
        best_epoch: result.best_epoch,
        stopped_by: match result.stop {
            Stop::Epochs => "epochs",
            Stop::Patience => "patience",
            Stop::Diverged => "divergence",
            Stop::Observer if interrupted.load(Ordering::Relaxed) => "interrupt",
            Stop::Observer => "budget",
        },
        time: started.elapsed(),
    })
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

/// Raised by the first Ctrl-C, which ends training and keeps the best model; a second one ends
/// the program.
fn interrupt_flag() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    // Where no handler can be set, Ctrl-C keeps its usual meaning.
    let _ = ctrlc::set_handler(move || {
        if raised.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
    flag
}
