//! The training loop: it learns, keeps the best weights, stops when told, and repeats itself.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use core::ops::ControlFlow;

use detfree_core::reference::Heap;
use detfree_core::{Activation, BaseDensity, Key, Side};
use detfree_flows::relative::{
    Evaluator, Optimiser, RelativeFlow, RelativeTrainer, RelativeTraining,
};
use detfree_flows::toy::Toy;
use detfree_flows::{
    Event, FitOptions, FitReport, Schedule, Squash, Standardisation, Stop, Tracked, TrainingRows,
    fit,
};

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

const OPTIONS: FitOptions = FitOptions {
    epochs: 60,
    batch: 50,
    learning_rate: 5e-3,
    schedule: Schedule::Plateau,
    patience: 20,
    key: Key::new(1),
};

fn trainer(
    flow: RelativeFlow<Host>,
    training: &TrainingRows<f64>,
    options: &FitOptions,
    (optimiser, side): (Optimiser, Side),
) -> RelativeTrainer<Host> {
    let shape = training.batch_shape(options.batch);
    let training = RelativeTraining {
        optimiser,
        side,
        ..RelativeTraining::default()
    };
    RelativeTrainer::new(&Host::new(), flow, shape, training).unwrap()
}

/// The weights kept of a flow trained by Adam.
fn adam(
    flow: RelativeFlow<Host>,
    training: &TrainingRows<f64>,
    validation: &[f64],
    options: &FitOptions,
) -> RelativeFlow<Host> {
    let b = Host::new();
    let mut trainer = trainer(flow, training, options, ADAM);
    let keep_on = |_| ControlFlow::Continue(());
    fit(&b, &mut trainer, training, validation, options, keep_on).unwrap();
    trainer.flow().duplicate(&b).unwrap()
}

const ADAM: (Optimiser, Side) = (Optimiser::Adam, Side::Plain);

struct Run {
    flow: RelativeFlow<Host>,
    report: FitReport,
    validations: Vec<f64>,
    rates: Vec<f64>,
    tracked: Vec<Option<Tracked>>,
}

fn run(options: &FitOptions, stop: impl Fn(&Event) -> bool + Sync) -> Run {
    run_by(ADAM, options, stop)
}

fn run_by(
    how: (Optimiser, Side),
    options: &FitOptions,
    stop: impl Fn(&Event) -> bool + Sync,
) -> Run {
    let b = Host::new();
    let sigma = Activation::LeakySoftplus { alpha: 0.3 };
    let flow = RelativeFlow::random(&b, 2, 8, sigma, BaseDensity::Normal, Key::new(2)).unwrap();
    let training = TrainingRows {
        values: rows(Toy::Trimodal, 1_000, 1),
        noise: vec![0.0; 2],
        squash: None,
    };
    let validation = rows(Toy::Trimodal, 500, 2);
    let (mut validations, mut rates, mut tracked) = (Vec::new(), Vec::new(), Vec::new());
    let mut trainer = trainer(flow, &training, options, how);
    let report = fit(&b, &mut trainer, &training, &validation, options, |event| {
        if let Event::Epoch(report) = event {
            validations.push(report.validation);
            rates.push(report.learning_rate);
            tracked.push(report.tracked);
        }
        if stop(&event) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })
    .unwrap();
    Run {
        flow: trainer.flow().duplicate(&b).unwrap(),
        report,
        validations,
        rates,
        tracked,
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
    for (optimiser, side, schedule, learning_rate) in [
        (Optimiser::Adam, Side::Plain, Schedule::Plateau, 5e-3),
        (Optimiser::Adam, Side::Transposed, Schedule::Cosine, 5e-3),
        (Optimiser::Sgd, Side::Plain, Schedule::Plateau, 0.05),
        (
            Optimiser::Momentum { decay: 0.9 },
            Side::Plain,
            Schedule::Plateau,
            5e-3,
        ),
    ] {
        let options = FitOptions {
            learning_rate,
            schedule,
            ..OPTIONS
        };
        let run = run_by((optimiser, side), &options, |_| false);
        assert_eq!(run.report.epochs, 60);
        assert_eq!(run.report.stop, Stop::Epochs);
        assert!(run.report.best > -2.2, "{optimiser:?}: {:?}", run.report);
        let best = run.validations.iter().fold(f64::MIN, |a, &b| a.max(b));
        assert_eq!(run.validations[run.report.best_epoch as usize - 1], best);
        // The last layer in closed form adds to it.
        assert!(run.report.best >= best, "{} {best}", run.report.best);
        assert_eq!(validation(&run.flow), run.report.best);
    }
}

#[test]
fn learning_rates_follow_their_schedules() {
    let with = |schedule| FitOptions {
        schedule,
        epochs: 10,
        ..OPTIONS
    };
    let constant = run(&with(Schedule::Constant), |_| false).rates;
    assert_eq!(constant, [5e-3; 10]);
    let cosine = run(&with(Schedule::Cosine), |_| false).rates;
    // 20 steps an epoch, the first of them at full rate: the last of epoch 5 is step 99 of 200.
    let at = |step: f64| 5e-3 * 0.5 * (1.0 + (std::f64::consts::PI * step / 200.0).cos());
    assert!((cosine[4] - at(99.0)).abs() < 1e-17 && (cosine[9] - at(199.0)).abs() < 1e-17);
    // Two quarters of a patience of four epochs that nothing improves.
    let stuck = FitOptions {
        learning_rate: 1e-300,
        patience: 4,
        ..with(Schedule::Plateau)
    };
    let plateau = run(&stuck, |_| false).rates;
    assert_eq!(plateau, [1e-300, 1e-300, 5e-301, 2.5e-301, 1.25e-301]);
}

#[test]
fn sgd_reports_the_likelihood_it_followed() {
    let options = FitOptions {
        learning_rate: 0.01,
        epochs: 3,
        ..OPTIONS
    };
    let run = run_by((Optimiser::Sgd, Side::Plain), &options, |_| false);
    let mut last = f64::NEG_INFINITY;
    for (tracked, validation) in run.tracked.iter().zip(&run.validations) {
        let Tracked {
            log_likelihood,
            drift,
            ..
        } = tracked.unwrap();
        // 1,000 training rows against 500 others: their means differ by about 0.1.
        assert!(
            (log_likelihood - validation).abs() < 0.4,
            "{log_likelihood} {validation}"
        );
        assert!(log_likelihood > last && drift.log_det < 1e-12);
        last = log_likelihood;
    }
    let adam = self::run(&OPTIONS, |_| false);
    assert!(adam.tracked.iter().all(Option::is_none));
}

#[test]
fn a_run_repeats_itself_bit_for_bit() {
    let [one, two] = [(); 2].map(|()| run(&OPTIONS, |_| false));
    assert_eq!(one.validations, two.validations);
    let b = Host::new();
    assert_eq!(
        one.flow.to_layers(&b).unwrap(),
        two.flow.to_layers(&b).unwrap()
    );
    let other = FitOptions {
        key: Key::new(3),
        ..OPTIONS
    };
    assert_ne!(run(&other, |_| false).validations, one.validations);
}

#[test]
fn the_observer_and_patience_stop_it() {
    // Before the first epoch ends: the weights of the moment are kept, and have a figure.
    let early = run(&OPTIONS, |event| *event == Event::Step);
    assert_eq!(
        (early.report.stop, early.report.epochs),
        (Stop::Observer, 0)
    );
    assert_eq!(early.report.best, validation(&early.flow));
    let third = run(
        &OPTIONS,
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
        ..OPTIONS
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
        ..OPTIONS
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
    let flow = RelativeFlow::random(&b, 2, 1, sigma, BaseDensity::Normal, Key::new(2)).unwrap();
    // Two columns of ±1; noise of width 6 raises the first one's variance from 1 to 4, its mean to 3.
    let values: Vec<f64> = (0..2_000)
        .flat_map(|r| [0, 1].map(|c| f64::from(Key::new(7).sign(r, c))))
        .collect();
    let training = TrainingRows {
        values: values.clone(),
        noise: vec![6.0, 0.0],
        squash: None,
    };
    // One linear layer is a Gaussian: its |det W| is 1/√(4·1) at the optimum, 1 without noise.
    let options = FitOptions {
        epochs: 300,
        batch: 200,
        ..OPTIONS
    };
    let noisy: Vec<f64> = values
        .chunks_exact(2)
        .zip(0..)
        .flat_map(|(x, r)| [x[0] + 6.0 * Key::new(8).uniform(r, 0), x[1]])
        .collect();
    let flow = adam(flow, &training, &noisy, &options);
    let log_det = flow.log_abs_det(&b).unwrap();
    assert!((log_det + 2.0_f64.ln()).abs() < 0.1, "{log_det}");
}

/// A row with its noise goes through the logit, and then the standardisation: one linear layer on a
/// logistic base then learns to undo the standardisation of uniform columns.
#[test]
fn squashed_rows_are_squashed_after_their_noise() {
    let b = Host::new();
    let sigma = Activation::Identity;
    let flow = RelativeFlow::random(&b, 1, 1, sigma, BaseDensity::Logistic, Key::new(2)).unwrap();
    let squash = Squash {
        lambda: 1e-6,
        levels: 4.0,
    };
    let standardisation = Standardisation {
        mean: vec![0.5],
        scale: vec![3.0],
    };
    let levels: Vec<f64> = (0..2_000).map(|r| f64::from(r % 4)).collect();
    let mut validation: Vec<f64> = levels
        .iter()
        .zip(0..)
        .map(|(x, r)| x + Key::new(8).uniform(r, 0))
        .collect();
    squash.apply(&mut validation);
    validation
        .iter_mut()
        .for_each(|x| standardisation.apply(core::slice::from_mut(x)));
    let training = TrainingRows {
        values: levels,
        noise: vec![1.0],
        squash: Some((squash, standardisation)),
    };
    let options = FitOptions {
        epochs: 100,
        batch: 200,
        ..OPTIONS
    };
    let flow = adam(flow, &training, &validation, &options);
    // logit of a uniform is logistic, so the optimum is w = 3, b = 0.5; 2,000 rows give w to 2%.
    let layer = &flow.to_layers(&b).unwrap()[0];
    assert!((layer.weight[0].abs() - 3.0).abs() < 0.2, "{layer:?}");
    assert!((layer.bias[0].abs() - 0.5).abs() < 0.2, "{layer:?}");
}
