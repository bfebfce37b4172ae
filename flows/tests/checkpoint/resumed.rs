//! Runs with and without breaks.

use core::ops::ControlFlow::{Break, Continue};

use detfree_core::reference::Heap;
use detfree_core::{
    Activation, Affine, Allocate, BaseDensity, FlowBackend, Key, Probe, Shape, Side, TraceEstimator,
};
use detfree_flows::relative::{Optimiser, RelativeTrainer};
use detfree_flows::residual::{
    EstimatorChoice, ResidualFlow, ResidualOptions, ResidualTrainer, ResidualTraining,
    SeriesSchedule, Sweep,
};
use detfree_flows::{
    EpochReport, FitOptions, FitReport, Progress, Schedule, Stop, Trainer, Training,
};

use crate::{Host, OPTIONS, rows, trainer};

const OPTIMISERS: [Optimiser; 3] = [
    Optimiser::Adam,
    Optimiser::Momentum { decay: 0.8 },
    Optimiser::Sgd,
];

/// What a run reports, and the weights that it keeps.
#[derive(Debug, PartialEq)]
struct Outcome<W> {
    epochs: Vec<EpochReport>,
    report: FitReport,
    weights: W,
}

/// A run that is saved, dropped, and resumed in a new trainer behind each of these steps.
fn run<B, T, W>(
    b: &B,
    options: &FitOptions,
    new: impl Fn() -> T,
    weights: impl Fn(&T) -> W,
    breaks: &[u32],
) -> Outcome<W>
where
    B: FlowBackend,
    B::Error: core::fmt::Debug,
    T: Trainer<B>,
{
    let training = rows(7);
    let validation = rows(8).values;
    let mut epochs = Vec::new();
    let mut saved: Option<Vec<u8>> = None;
    let mut breaks = breaks.iter();
    let mut step = 0;
    loop {
        let mut trainer = new();
        let mut run = match &saved {
            None => Training::new(&mut trainer, &training, &validation, options),
            Some(saved) => {
                Training::resume(b, &mut trainer, &training, &validation, options, saved).unwrap()
            }
        };
        let next = breaks.next();
        let mut pause = || {
            step += 1;
            if Some(&step) == next {
                Break(())
            } else {
                Continue(())
            }
        };
        loop {
            match run.epoch(b, &mut pause).unwrap() {
                Progress::Epoch(report) => epochs.push(report),
                Progress::Paused => break,
                Progress::Ended => {
                    let report = run.finish(b).unwrap();
                    return Outcome {
                        epochs,
                        report,
                        weights: weights(&trainer),
                    };
                }
            }
        }
        saved = Some(run.checkpoint(b).unwrap());
    }
}

fn run_relative<B: FlowBackend + Allocate + Sync>(
    b: &B,
    options: &FitOptions,
    optimiser: Optimiser,
    breaks: &[u32],
) -> Outcome<Vec<Affine<Vec<f64>>>>
where
    B::Error: core::fmt::Debug,
{
    let new = || trainer(b, optimiser, Side::Plain);
    let layers = |trainer: &RelativeTrainer<B>| trainer.flow().to_layers(b).unwrap();
    run(b, options, new, layers, breaks)
}

const BREAKS: [u32; 5] = [1, 8, 9, 12, 30];

/// Broken off behind the first step, within an epoch, at the last step of one, and twice in a row.
#[test]
fn a_resumed_run_is_the_run() {
    for optimiser in OPTIMISERS {
        for schedule in [Schedule::Plateau, Schedule::Cosine] {
            let options = FitOptions {
                schedule,
                ..OPTIONS
            };
            let b = Host::new();
            let whole = run_relative(&b, &options, optimiser, &[]);
            assert!(whole.report.best_epoch > 0 && whole.report.epochs > 5);
            assert_eq!(run_relative(&b, &options, optimiser, &BREAKS), whole);
            let b = Heap::<f32>::new();
            let whole = run_relative(&b, &options, optimiser, &[]);
            assert_eq!(run_relative(&b, &options, optimiser, &BREAKS), whole);
        }
    }
}

/// The same of residual flows: an average of weights, spectral bounds, sharpnesses, estimates.
#[test]
fn a_resumed_run_of_a_residual_flow_is_the_run() {
    let b = Heap::<f32>::new();
    let roulette = EstimatorChoice::Series {
        schedule: SeriesSchedule::Certified,
        trace: TraceEstimator::new(Probe::Rademacher, 1),
        exact_first: true,
    };
    for (estimator, average, sweep) in [
        (EstimatorChoice::Auto, None, Sweep::Forward),
        (roulette, Some(0.9), Sweep::Reverse),
    ] {
        let new = || {
            let options = ResidualOptions {
                blocks: 2,
                hidden: vec![5, 6],
                activation: Activation::LipSwish { beta: 1.0 },
                lipschitz: 0.8,
                base: BaseDensity::Normal,
            };
            let flow = ResidualFlow::random(&b, 2, &options, Key::new(2)).unwrap();
            let training = ResidualTraining {
                estimator,
                sweep,
                clip: Some(1.0),
                average,
                warm_up: 10,
                shards: 2,
                key: Key::new(3),
            };
            ResidualTrainer::new(&b, flow, Shape::new(OPTIONS.batch, 2), training).unwrap()
        };
        let weights = |trainer: &ResidualTrainer<_>| trainer.flow().to_parameters(&b).unwrap();
        let whole = run(&b, &OPTIONS, new, weights, &[]);
        assert!(whole.report.best_epoch > 1, "{:?}", whole.report);
        assert_eq!(run(&b, &OPTIONS, new, weights, &BREAKS), whole);
    }
}

/// Between epochs, behind the last one, and with more of them to come than at first.
#[test]
fn runs_are_saved_between_epochs_and_prolonged() {
    let b = Host::new();
    let (training, validation) = (rows(7), rows(8).values);
    let patient = FitOptions {
        patience: 100,
        ..OPTIONS
    };
    let whole = run_relative(&b, &patient, Optimiser::Adam, &[]);
    let mut saved = Vec::new();
    for epochs in 1..=OPTIONS.epochs {
        let options = FitOptions { epochs, ..patient };
        let mut trainer = trainer(&b, Optimiser::Adam, Side::Plain);
        let mut run = if saved.is_empty() {
            Training::new(&mut trainer, &training, &validation, &options)
        } else {
            Training::resume(&b, &mut trainer, &training, &validation, &options, &saved).unwrap()
        };
        let came = run.epoch(&b, || Continue(())).unwrap();
        assert_eq!(came, Progress::Epoch(whole.epochs[epochs as usize - 1]));
        assert_eq!(run.epoch(&b, || Continue(())).unwrap(), Progress::Ended);
        saved = run.checkpoint(&b).unwrap();
        assert_eq!(run.finish(&b).unwrap().stop, Stop::Epochs);
    }
    let mut trainer = trainer(&b, Optimiser::Adam, Side::Plain);
    let mut run =
        Training::resume(&b, &mut trainer, &training, &validation, &patient, &saved).unwrap();
    assert_eq!(run.epoch(&b, || Continue(())).unwrap(), Progress::Ended);
    assert_eq!(run.finish(&b).unwrap(), whole.report);
    assert_eq!(trainer.flow().to_layers(&b).unwrap(), whole.weights);
}
