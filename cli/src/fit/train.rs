//! From a split table to a trained model.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use detfree::flows::relative::{Optimiser, RelativeFlow};
use detfree::flows::{
    Event, FitOptions, Model, Precision, Standardisation, Stop, TrainingRows, fit,
};
use detfree::{Activation, Allocate, BaseDensity, FlowBackend, Key, Scalar};

use crate::args::{self, Fit, ModelKind};
use crate::data::{Noise, Parts};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::score::standardise;

/// Training ends after this many epochs without improvement, and this many steps: a small table's
/// epochs are a few steps each.
const PATIENT_EPOCHS: u32 = 40;
const PATIENT_STEPS: u32 = 2_000;

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
    let noisy = rows_of(&parts.train, true);
    let Some(standardisation) = Standardisation::of(dim, noisy.chunks_exact(dim)) else {
        return Err(Failure::Compute(
            "a column's values are too close together, or too large, to be standardised: \
             rescale or remove it"
                .to_owned(),
        ));
    };
    let ModelKind::Relative = options.model;
    let layers = options
        .layers
        .map_or_else(|| depth(dim, parts.train.len()), |layers| layers as usize);
    let mut model = Model {
        columns: parts.data.names().to_vec(),
        dequantized: noise.columns().to_vec(),
        seed: options.seed,
        precision: match options.precision {
            args::Precision::F32 => Precision::Single,
            args::Precision::F64 => Precision::Double,
        },
        standardisation,
        activation: Activation::LeakySoftplus { alpha: 0.3 },
        base: BaseDensity::Normal,
        layers: Vec::new(),
    };

    let mut width = vec![B::Scalar::default(); dim];
    for &column in noise.columns() {
        width[column] = B::Scalar::from_f64(1.0 / model.standardisation.scale[column]);
    }
    let training = TrainingRows {
        values: standardise(&model, &rows_of(&parts.train, false)),
        noise: width,
    };
    let validation = standardise(&model, &rows_of(&parts.validation, true));
    let mut flow =
        RelativeFlow::random(b, dim, layers, model.activation, model.base, key.fold_in(0))
            .map_err(detfree::Error::Device)?;

    let interrupted = interrupt_flag();
    let over_budget = || {
        options
            .budget
            .is_some_and(|budget| started.elapsed() >= budget)
    };
    let log_jacobian = model.standardisation.log_jacobian();
    let mut progress = Progress::new(options.epochs, options.json);
    let steps = parts.train.len() as u32 / options.batch;
    let settings = FitOptions {
        epochs: options.epochs,
        batch: options.batch as usize,
        // A step changes a product of D terms: wide layers want smaller steps.
        learning_rate: options.lr.unwrap_or_else(|| (0.64 / dim as f64).min(0.01)),
        patience: PATIENT_EPOCHS.max(PATIENT_STEPS.div_ceil(steps.max(1))),
        optimiser: Optimiser::Adam,
        key: key.fold_in(1),
    };
    let result = fit(b, &mut flow, &training, &validation, &settings, |event| {
        if let Event::Epoch(report) = &event {
            let [validation, best] = [report.validation, report.best].map(|x| x + log_jacobian);
            progress.epoch(report, validation, best);
        }
        if interrupted.load(Ordering::Relaxed) || over_budget() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
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

/// Layers where the user does not say: many for few columns, whose products mix little, but no more
/// than a parameter for every four rows. Deep flows of few rows have tails that sampling shows.
fn depth(dim: usize, rows: usize) -> usize {
    let parameters = dim * (dim + 1);
    (64 / dim).min(rows / (4 * parameters)).clamp(4, 32)
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
