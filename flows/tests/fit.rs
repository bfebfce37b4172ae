//! The training loop: it learns, keeps the best weights, stops when told, and repeats itself.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use core::ops::ControlFlow;

use detfree_core::reference::Heap;
use detfree_core::{Activation, BaseDensity, Key};
use detfree_flows::relative::{Evaluator, Optimiser, RelativeFlow};
use detfree_flows::toy::Toy;
use detfree_flows::{Event, FitOptions, FitReport, Standardisation, Stop, TrainingRows, fit};

type Host = Heap<f64>;

fn rows(toy: Toy, count: u64, seed: u64) -> Vec<f64> {
    let points = (0..count).flat_map(|r| toy.sample(Key::new(seed), r));
    let mut values: Vec<f64> = points.collect();
    let standard = Standardisation::of(2, values.chunks_exact(2)).unwrap();
    for row in values.chunks_exact_mut(2) {
        standard.apply(row);
    }
    values
}

fn options(optimiser: Optimiser) -> FitOptions {
    FitOptions {
        epochs: 60,
        batch: 50,
        learning_rate: 5e-3,
        patience: 20,
        optimiser,
        key: Key::new(1),
    }
}

struct Run {
    flow: RelativeFlow<Host>,
    report: FitReport,
    validations: Vec<f64>,
}

fn run(options: &FitOptions, stop: impl Fn(&Event) -> bool) -> Run {
    let b = Host::new();
    let sigma = Activation::LeakySoftplus { alpha: 0.3 };
    let mut flow = RelativeFlow::random(&b, 2, 8, sigma, BaseDensity::Normal, Key::new(2)).unwrap();
    let training = TrainingRows {
        values: rows(Toy::Trimodal, 1_000, 1),
        noise: vec![0.0; 2],
    };
    let validation = rows(Toy::Trimodal, 500, 2);
    let mut validations = Vec::new();
    let report = fit(&b, &mut flow, &training, &validation, options, |event| {
        if let Event::Epoch(report) = event {
            validations.push(report.validation);
        }
        if stop(&event) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })
    .unwrap();
    Run {
        flow,
        report,
        validations,
    }
}

fn validation(flow: &RelativeFlow<Host>) -> f64 {
    let b = Host::new();
    let rows = rows(Toy::Trimodal, 500, 2);
    Evaluator::new(&b, flow, 2)
        .unwrap()
        .mean(&b, flow, &rows)
        .unwrap()
}

/// The standardised columns are uncorrelated, so a Gaussian has −log 2πe = −2.84 nats; three
/// separate modes are worth a nat and more.
#[test]
fn training_beats_a_gaussian_and_keeps_the_best() {
    for optimiser in [Optimiser::Adam, Optimiser::Sgd] {
        let rate = if optimiser == Optimiser::Sgd {
            0.05
        } else {
            5e-3
        };
        let options = FitOptions {
            learning_rate: rate,
            ..options(optimiser)
        };
        let run = run(&options, |_| false);
        assert_eq!(run.report.epochs, 60);
        assert_eq!(run.report.stop, Stop::Epochs);
        assert!(run.report.best > -2.2, "{optimiser:?}: {:?}", run.report);
        let best = run.validations.iter().fold(f64::MIN, |a, &b| a.max(b));
        assert_eq!(run.report.best, best);
        assert_eq!(run.validations[run.report.best_epoch as usize - 1], best);
        assert_eq!(validation(&run.flow), best);
    }
}

#[test]
fn a_run_repeats_itself_bit_for_bit() {
    let [one, two] = [(); 2].map(|()| run(&options(Optimiser::Adam), |_| false));
    assert_eq!(one.validations, two.validations);
    let b = Host::new();
    assert_eq!(
        one.flow.to_layers(&b).unwrap(),
        two.flow.to_layers(&b).unwrap()
    );
    let other = FitOptions {
        key: Key::new(3),
        ..options(Optimiser::Adam)
    };
    assert_ne!(run(&other, |_| false).validations, one.validations);
}

#[test]
fn the_observer_and_patience_stop_it() {
    // Before the first epoch ends: the weights of the moment are kept, and have a figure.
    let early = run(&options(Optimiser::Adam), |event| *event == Event::Step);
    assert_eq!(
        (early.report.stop, early.report.epochs),
        (Stop::Observer, 0)
    );
    assert_eq!(early.report.best, validation(&early.flow));
    let third = run(
        &options(Optimiser::Adam),
        |event| matches!(event, Event::Epoch(report) if report.epoch == 3),
    );
    assert_eq!(
        (third.report.stop, third.report.epochs),
        (Stop::Observer, 3)
    );

    // Two epochs without improvement come long before ten thousand are over.
    let impatient = FitOptions {
        patience: 2,
        epochs: 10_000,
        ..options(Optimiser::Adam)
    };
    let run = run(&impatient, |_| false);
    assert_eq!(run.report.stop, Stop::Patience);
    assert_eq!(run.report.epochs, run.report.best_epoch + 2);
}

/// A learning rate that throws the weights away: the best ones stay, and the report says so.
#[test]
fn divergence_keeps_the_best() {
    let wild = FitOptions {
        learning_rate: 1e300,
        ..options(Optimiser::Adam)
    };
    let run = run(&wild, |_| false);
    assert_eq!(run.report.stop, Stop::Diverged);
    assert_eq!(
        (run.report.best, run.report.best_epoch),
        (f64::NEG_INFINITY, 0)
    );
    // Nothing was better than the start, so the start is what is left.
    assert!(validation(&run.flow).is_finite());
}

/// Noise is fresh in every epoch, in the columns that ask for it only.
#[test]
fn noise_reaches_training() {
    let b = Host::new();
    let sigma = Activation::Identity;
    let mut flow = RelativeFlow::random(&b, 2, 1, sigma, BaseDensity::Normal, Key::new(2)).unwrap();
    // Two columns of ±1; noise of width 6 raises the first one's variance from 1 to 4, its mean to 3.
    let values: Vec<f64> = (0..2_000)
        .flat_map(|r| [0, 1].map(|c| f64::from(Key::new(7).sign(r, c))))
        .collect();
    let training = TrainingRows {
        values: values.clone(),
        noise: vec![6.0, 0.0],
    };
    // One linear layer is a Gaussian: its |det W| is 1/√(4·1) at the optimum, 1 without noise.
    let options = FitOptions {
        epochs: 300,
        batch: 200,
        ..options(Optimiser::Adam)
    };
    let noisy: Vec<f64> = values
        .chunks_exact(2)
        .zip(0..)
        .flat_map(|(x, r)| [x[0] + 6.0 * Key::new(8).uniform(r, 0), x[1]])
        .collect();
    fit(&b, &mut flow, &training, &noisy, &options, |_| {
        ControlFlow::Continue(())
    })
    .unwrap();
    let log_det = flow.log_abs_det(&b).unwrap();
    assert!((log_det + 2.0_f64.ln()).abs() < 0.1, "{log_det}");
}
