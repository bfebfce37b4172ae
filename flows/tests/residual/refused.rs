//! What flows, gradients and trainers refuse, rather than compute something else.

use detfree_core::reference::Heap;
use detfree_core::{Activation, BaseDensity, Draw, Error, Key, Quantity, Scalar, Shape};
use detfree_flows::Trainer;
use detfree_flows::residual::{
    Estimator, EstimatorChoice, Gradients, ResidualFlow, ResidualOptions, ResidualParameters,
    ResidualTrainer, ResidualTraining, Sweep, Tape,
};

const SWISH: Activation = Activation::LipSwish { beta: 1.0 };

fn options(blocks: usize) -> ResidualOptions {
    ResidualOptions {
        blocks,
        hidden: vec![5],
        activation: SWISH,
        lipschitz: 0.8,
        base: BaseDensity::Normal,
    }
}

fn flow(blocks: usize) -> ResidualFlow<Heap<f64>> {
    ResidualFlow::random(&Heap::new(), 2, &options(blocks), Key::new(1)).unwrap()
}

/// Gradients made for another sweep, other rows or another flow.
#[test]
fn gradients_that_do_not_fit() {
    let (b, flow_of_two) = (Heap::<f64>::new(), flow(2));
    let rows = 4;
    let widths = flow_of_two.widths(&b);
    let estimator =
        Estimator::choose(EstimatorChoice::Auto, Quantity::Gradient, &widths, 0.8).unwrap();
    let mut tape = Tape::new(&b, &flow_of_two, Shape::new(rows, 2), estimator).unwrap();
    let mut run = |gradients: &mut Gradients<_>, sweep| {
        let (x, draw, mut log) = ([0.1; 8], Draw::new(Key::new(2)), [0.0; 4]);
        tape.gradient(&b, &flow_of_two, &x, 0.25, draw, sweep, &mut log, gradients)
    };
    for sweep in [Sweep::Reverse, Sweep::Forward] {
        let other = match sweep {
            Sweep::Reverse => Sweep::Forward,
            Sweep::Forward => Sweep::Reverse,
        };
        for (blocks, rows, made_for, fits) in [
            (2, rows, sweep, true),
            (2, rows, other, false),
            (2, 2, sweep, false),
            (1, rows, sweep, false),
            (3, rows, sweep, false),
        ] {
            let mut gradients = Gradients::new(&b, &flow(blocks), rows, made_for).unwrap();
            let done = run(&mut gradients, sweep);
            let name = format!("{sweep:?}: {blocks} blocks, {rows} rows, {made_for:?}");
            match done {
                Ok(_) => assert!(fits, "{name}"),
                Err(Error::Invalid(_)) => assert!(!fits && blocks != 2, "{name}"),
                Err(error) => {
                    let shape = matches!(error, Error::Shape { .. });
                    assert!(!fits && blocks == 2 && shape, "{name}");
                }
            }
        }
    }
}

/// A tape and gradients for two blocks, or of wider nets, and a flow of three.
#[test]
fn flows_that_the_memory_is_not_for() {
    let (b, shape) = (Heap::<f64>::new(), Shape::new(4, 2));
    let (made_for, other) = (flow(2), flow(3));
    let deeper = ResidualOptions {
        hidden: vec![5, 5],
        ..options(2)
    };
    let deeper = ResidualFlow::random(&b, 2, &deeper, Key::new(1)).unwrap();
    let (x, draw, mut log) = ([0.1; 8], Draw::new(Key::new(2)), [0.0; 4]);
    let mut tape = Tape::new(&b, &made_for, shape, Estimator::Explicit).unwrap();
    let done = tape.log_density(&b, &other, &x, draw, &mut log);
    assert!(matches!(done, Err(Error::Invalid(_))), "{done:?}");
    let mut gradients = Gradients::new(&b, &deeper, 4, Sweep::Reverse).unwrap();
    let mut run = |flow: &ResidualFlow<_>, log: &mut [f64], gradients: &mut Gradients<_>| {
        tape.gradient(&b, flow, &x, 0.25, draw, Sweep::Reverse, log, gradients)
    };
    let done = run(&made_for, &mut log, &mut gradients);
    assert!(matches!(done, Err(Error::Invalid(_))), "{done:?}");
    let mut gradients = Gradients::new(&b, &made_for, 4, Sweep::Reverse).unwrap();
    let done = run(&made_for, &mut [0.0; 3], &mut gradients);
    assert!(matches!(done, Err(Error::Shape { .. })), "{done:?}");
    run(&made_for, &mut log, &mut gradients).unwrap();
}

/// Without blocks, dimensions or hidden layers, and blocks that do not fit one another.
#[test]
fn flows_that_cannot_be() {
    let b = Heap::<f64>::new();
    let random = |dim, options: &ResidualOptions| {
        let flow = ResidualFlow::random(&b, dim, options, Key::new(1));
        assert!(matches!(flow.map(|_| ()), Err(Error::Invalid(_))));
    };
    random(2, &options(0));
    random(0, &options(1));
    random(
        2,
        &ResidualOptions {
            hidden: vec![],
            ..options(1)
        },
    );
    let sound = flow(2).to_parameters(&b).unwrap();
    let refused = |name, change: &dyn Fn(&mut ResidualParameters)| {
        let mut parameters = sound.clone();
        change(&mut parameters);
        let flow = ResidualFlow::from_parameters(&b, 2, &parameters, BaseDensity::Normal);
        let Err(error) = flow.map(|_| ()) else {
            panic!("{name}");
        };
        error
    };
    let invalid = |name, change: &dyn Fn(&mut ResidualParameters)| {
        assert!(matches!(refused(name, change), Error::Invalid(_)), "{name}");
    };
    invalid("no blocks", &|p| p.blocks.clear());
    invalid("no layers", &|p| p.blocks[0].layers.clear());
    invalid("one layer", &|p| p.blocks[0].layers.truncate(1));
    invalid("no activations", &|p| p.blocks[0].activations.clear());
    invalid("two activations", &|p| {
        p.blocks[0].activations.push(SWISH);
    });
    invalid("another width", &|p| {
        let [first, second] = p.blocks[1].layers.as_mut_slice() else {
            panic!("two layers");
        };
        first.weight.truncate(8);
        first.bias.truncate(4);
        second.weight.truncate(8);
    });
    let shape = |name, change: &dyn Fn(&mut ResidualParameters)| {
        let error = refused(name, change);
        assert!(matches!(error, Error::Shape { .. }), "{name}");
    };
    shape("a scale too many", &|p| p.blocks[0].log_scale.push(0.0));
    shape("a shift too few", &|p| p.blocks[0].shift.truncate(1));
    shape("a weight too few", &|p| {
        p.blocks[0].layers[0].weight.truncate(9);
    });
    shape("an output too few", &|p| {
        p.blocks[0].layers[1].weight.truncate(5);
        p.blocks[0].layers[1].bias.truncate(1);
    });
}

const TRAINING: ResidualTraining = ResidualTraining {
    estimator: EstimatorChoice::Auto,
    sweep: Sweep::Reverse,
    clip: None,
    average: None,
    warm_up: 1,
    shards: 2,
    key: Key::new(4),
};

/// More rows than a trainer is for, and fewer.
#[test]
fn batches_of_other_sizes() {
    let b = Heap::<f64>::new();
    let mut trainer = ResidualTrainer::new(&b, flow(1), Shape::new(4, 2), TRAINING).unwrap();
    for (numbers, fits) in [(16, false), (9, false), (6, false), (0, false), (8, true)] {
        let batch: Vec<f64> = (0..numbers).map(|i| f64::from(i % 7) - 3.0).collect();
        match trainer.step(&b, &batch, 0.01) {
            Ok(_) => assert!(fits, "{numbers}"),
            Err(error) => assert!(!fits && matches!(error, Error::Shape { .. }), "{numbers}"),
        }
    }
}

/// Rows of another length, none, one of which a new flow's first batch has no deviation, and rates that would
/// spoil the weights.
#[test]
fn shapes_and_rates_that_cannot_be() {
    let b = Heap::<f64>::new();
    let new = |flow, rows, dim| ResidualTrainer::new(&b, flow, Shape::new(rows, dim), TRAINING);
    assert!(matches!(new(flow(1), 4, 3), Err(Error::Shape { .. })));
    assert!(matches!(new(flow(1), 0, 2), Err(Error::Invalid(_))));
    let of_one_row = new(flow(1), 1, 2);
    assert!(
        matches!(of_one_row, Err(Error::Invalid(_))),
        "{of_one_row:?}"
    );
    let parameters = flow(1).to_parameters(&b).unwrap();
    let given = ResidualFlow::from_parameters(&b, 2, &parameters, BaseDensity::Normal).unwrap();
    let mut trainer = new(given, 1, 2).unwrap();
    for rate in [-1.0, f64::NAN, f64::INFINITY] {
        let step = trainer.step(&b, &[0.5, -1.0], rate);
        assert!(matches!(step, Err(Error::Invalid(_))), "{rate}: {step:?}");
    }
    assert!(trainer.step(&b, &[0.5, -1.0], 1e-3).is_ok());
}

#[test]
fn lengths_and_decays_that_cannot_be() {
    let b = Heap::<f64>::new();
    let new = |training| ResidualTrainer::new(&b, flow(1), Shape::new(4, 2), training).map(|_| ());
    for clip in [-1.0, 0.0, -0.0, f64::NAN] {
        let training = ResidualTraining {
            clip: Some(clip),
            ..TRAINING
        };
        assert!(matches!(new(training), Err(Error::Invalid(_))), "{clip}");
    }
    for decay in [-0.1, 0.0, 1.0, f64::NAN] {
        let training = ResidualTraining {
            average: Some(decay),
            ..TRAINING
        };
        assert!(matches!(new(training), Err(Error::Invalid(_))), "{decay}");
    }
}

const IMPOSSIBLE: [Activation; 5] = [
    Activation::LeakySoftplus { alpha: 3.0 },
    Activation::TanhLinear {
        alpha: -1.0,
        beta: -1.0,
    },
    Activation::LipSwish { beta: f64::NAN },
    Activation::LipSwish { beta: 0.0 },
    Activation::LipSwish { beta: -1.0 },
];

#[test]
fn bounds_and_activations_that_cannot_be() {
    let b = Heap::<f64>::new();
    let sound = flow(1).to_parameters(&b).unwrap();
    let upload = |parameters: &ResidualParameters| {
        ResidualFlow::from_parameters(&b, 2, parameters, BaseDensity::Normal).map(|_| ())
    };
    for lipschitz in [0.0, -0.0, -0.5, 1.0, f64::NAN] {
        let options = ResidualOptions {
            lipschitz,
            ..options(1)
        };
        let random = ResidualFlow::random(&b, 2, &options, Key::new(1)).map(|_| ());
        assert!(matches!(random, Err(Error::Schedule(_))), "{lipschitz}");
        let parameters = ResidualParameters {
            lipschitz,
            ..sound.clone()
        };
        let uploaded = upload(&parameters);
        assert!(matches!(uploaded, Err(Error::Schedule(_))), "{lipschitz}");
    }
    for activation in IMPOSSIBLE {
        let options = ResidualOptions {
            activation,
            ..options(1)
        };
        let random = ResidualFlow::random(&b, 2, &options, Key::new(1)).map(|_| ());
        assert!(matches!(random, Err(Error::Invalid(_))), "{activation:?}");
        let mut parameters = sound.clone();
        parameters.blocks[0].activations[0] = activation;
        let uploaded = upload(&parameters);
        assert!(matches!(uploaded, Err(Error::Invalid(_))), "{activation:?}");
    }
    // A weight of zeros is certified to be 0, and that is a contraction.
    let mut parameters = sound;
    parameters.blocks[0].layers[1].weight.fill(0.0);
    upload(&parameters).unwrap();
}

/// In each place of a block; what `f64` holds and `f32` does not is not finite there.
fn finite<T: Scalar>(odd: &[f64]) {
    let b = Heap::<T>::new();
    let sound = flow(1).to_parameters(&Heap::new()).unwrap();
    for &odd in odd {
        for place in 0..4 {
            let mut parameters = sound.clone();
            let block = &mut parameters.blocks[0];
            *match place {
                0 => &mut block.layers[0].weight[1],
                1 => &mut block.layers[0].bias[1],
                2 => &mut block.log_scale[1],
                _ => &mut block.shift[1],
            } = odd;
            let flow = ResidualFlow::from_parameters(&b, 2, &parameters, BaseDensity::Normal);
            let flow = flow.map(|_| ());
            assert!(matches!(flow, Err(Error::Invalid(_))), "{odd} in {place}");
        }
    }
}

#[test]
fn numbers_that_are_not_finite() {
    finite::<f64>(&[f64::NAN, f64::INFINITY, -f64::INFINITY]);
    finite::<f32>(&[f64::NAN, 1e39, -1e300]);
}
