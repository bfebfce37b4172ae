//! What no training comes of: refused, and named.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use core::convert::Infallible;
use core::ops::ControlFlow;

use detfree_core::reference::Heap;
use detfree_core::{Activation, BaseDensity, Error, Key, Shape};
use detfree_flows::relative::{Optimiser, RelativeFlow, RelativeTrainer, RelativeTraining};
use detfree_flows::residual::{ResidualFlow, ResidualOptions};
use detfree_flows::{FitOptions, FitReport, Schedule, Stop, Trainer, TrainingRows, fit};

type Host = Heap<f64>;

const OPTIONS: FitOptions = FitOptions {
    epochs: 2,
    batch: 5,
    learning_rate: 1e-2,
    schedule: Schedule::Constant,
    patience: 9,
    key: Key::new(1),
};

fn flow(dim: usize, depth: usize) -> Result<RelativeFlow<Host>, Error<Infallible>> {
    let (activation, base) = (Activation::Identity, BaseDensity::Normal);
    RelativeFlow::random(&Host::new(), dim, depth, activation, base, Key::new(2))
}

/// Of a flow of two dimensions, with so many numbers to train on and to validate with.
fn train(
    [training, validation]: [usize; 2],
    options: FitOptions,
) -> Result<FitReport, Error<Infallible>> {
    train_with([training, validation], options, |_, _| ())
}

/// The same with something changed of the rows to train on, or to validate with.
fn train_with(
    [training, validation]: [usize; 2],
    options: FitOptions,
    change: impl Fn(&mut TrainingRows<f64>, &mut Vec<f64>),
) -> Result<FitReport, Error<Infallible>> {
    let b = Host::new();
    let numbers = |count| (0..count).map(|i| Key::new(3).normal(i, 0)).collect();
    let mut rows = TrainingRows {
        values: numbers(training as u64),
        noise: vec![0.0; 2],
        squash: None,
    };
    let mut validation: Vec<f64> = numbers(validation as u64);
    change(&mut rows, &mut validation);
    let shape = rows.batch_shape(options.batch);
    let mut trainer =
        RelativeTrainer::new(&b, flow(2, 1)?, shape, RelativeTraining::default()).unwrap();
    let keep_on = |_| ControlFlow::Continue(());
    fit(&b, &mut trainer, &rows, &validation, &options, keep_on)
}

#[test]
fn rows_and_rates_that_cannot_be() {
    assert_eq!(train([40, 10], OPTIONS).unwrap().epochs, 2);
    for sizes in [[39, 10], [40, 11]] {
        let refused = train(sizes, OPTIONS);
        assert!(matches!(refused, Err(Error::Shape { .. })), "{refused:?}");
    }
    let says = |refused: Result<FitReport, _>, piece: &str| match refused {
        Err(Error::Invalid(reason)) => assert!(reason.contains(piece), "{reason}"),
        other => panic!("{piece}: {other:?}"),
    };
    says(train([0, 10], OPTIONS), "to train on");
    says(train([40, 0], OPTIONS), "to validate with");
    for learning_rate in [-1.0, f64::NAN, f64::INFINITY] {
        let options = FitOptions {
            learning_rate,
            ..OPTIONS
        };
        says(train([40, 10], options), "learning rate");
    }
}

/// Named before a step is taken, rather than after an epoch that came to nothing.
#[test]
fn rows_that_are_not_finite() {
    let refused = |change: &dyn Fn(&mut TrainingRows<f64>, &mut Vec<f64>)| {
        let refused = train_with([40, 10], OPTIONS, change);
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    };
    for odd in [f64::NAN, f64::INFINITY] {
        refused(&|rows, _| rows.values[7] = odd);
        refused(&|_, validation| validation[7] = odd);
        refused(&|rows, _| rows.noise[1] = odd);
    }
    refused(&|rows, _| rows.noise[1] = -1.0);
    train_with([40, 10], OPTIONS, |rows, _| rows.noise[1] = 1.0).unwrap();
}

#[test]
fn steps_that_cannot_be() {
    let b = Host::new();
    let new = |rows, optimiser| {
        let training = RelativeTraining {
            optimiser,
            ..RelativeTraining::default()
        };
        RelativeTrainer::new(&b, flow(2, 1).unwrap(), Shape::new(rows, 2), training)
    };
    assert!(matches!(new(0, Optimiser::Adam), Err(Error::Invalid(_))));
    for decay in [-0.1, 1.0, 2.0, f64::NAN] {
        let trainer = new(2, Optimiser::Momentum { decay });
        assert!(matches!(trainer, Err(Error::Invalid(_))), "{trainer:?}");
    }
    let momentum = Optimiser::Momentum { decay: 0.0 };
    for optimiser in [Optimiser::Adam, momentum, Optimiser::Sgd] {
        let mut trainer = new(2, optimiser).unwrap();
        for rate in [-1.0, f64::NAN, f64::INFINITY] {
            let step = trainer.step(&b, &[0.1, -1.0, 0.5, 1.0], rate);
            assert!(matches!(step, Err(Error::Invalid(_))), "{rate}: {step:?}");
        }
        trainer.step(&b, &[0.1, -1.0, 0.5, 1.0], 1e-3).unwrap();
    }
}

/// Without epochs the weights are those of the beginning, and their figure is known.
#[test]
fn no_epochs_are_a_figure() {
    let options = FitOptions {
        epochs: 0,
        ..OPTIONS
    };
    let report = train([40, 10], options).unwrap();
    assert_eq!((report.epochs, report.stop), (0, Stop::Epochs));
    assert!(report.best.is_finite());
}

#[test]
fn flows_of_nothing() {
    let b = Host::new();
    for [dim, depth] in [[0, 1], [1, 0]] {
        assert!(matches!(flow(dim, depth), Err(Error::Invalid(_))));
    }
    let options = ResidualOptions {
        blocks: 1,
        hidden: vec![4, 0],
        activation: Activation::Sine,
        lipschitz: 0.9,
        base: BaseDensity::Normal,
    };
    let flow_of_none = ResidualFlow::random(&b, 2, &options, Key::new(1));
    assert!(matches!(flow_of_none, Err(Error::Invalid(_))));
    // Batches of rows of another length than the flow's.
    let trainer = RelativeTrainer::new(
        &b,
        flow(2, 1).unwrap(),
        Shape::new(5, 3),
        RelativeTraining::default(),
    );
    assert!(matches!(trainer, Err(Error::Shape { .. })));
}
