//! Steps along directions that are cut to a length.

use detfree_core::{Activation, BaseDensity, Key, Shape, Side};
use detfree_flows::relative::{Optimiser, RelativeFlow, RelativeTrainer, RelativeTraining};
use detfree_flows::{StepReport, Trainer};

use crate::{Host, normals};

const RATE: f64 = 1e-3;

/// Steps whose first is `RATE` times the direction.
const LINEAR: [Optimiser; 2] = [Optimiser::Momentum { decay: 0.5 }, Optimiser::Sgd];

fn trainer(dim: usize, rows: usize, training: RelativeTraining) -> RelativeTrainer<Host> {
    let b = Host::new();
    let sigma = Activation::LeakySoftplus { alpha: 0.3 };
    let flow = RelativeFlow::random(&b, dim, 3, sigma, BaseDensity::Normal, Key::new(1)).unwrap();
    RelativeTrainer::new(&b, flow, Shape::new(rows, dim), training).unwrap()
}

fn numbers(trainer: &mut RelativeTrainer<Host>) -> Vec<f64> {
    trainer.keep(&Host::new()).unwrap();
    let layers = trainer.flow().to_layers(&Host::new()).unwrap();
    let numbers = layers.into_iter().map(|layer| [layer.weight, layer.bias]);
    numbers.flatten().flatten().collect()
}

/// By how much a step moves every number, and what it reports.
fn step(trainer: &mut RelativeTrainer<Host>, rows: &[f64]) -> (Vec<f64>, StepReport) {
    let before = numbers(trainer);
    let report = trainer.step(&Host::new(), rows, RATE).unwrap();
    let after = numbers(trainer);
    let moved = after
        .iter()
        .zip(before)
        .map(|(after, before)| after - before);
    (moved.collect(), report)
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

#[test]
fn a_direction_is_cut_to_the_limit_and_no_further() {
    // The last in shards.
    for (dim, rows, workers) in [(3, 5, 1), (3, 5, 2), (80, 6, 2)] {
        let batch = normals(rows * dim, 2);
        for (optimiser, side) in [
            (LINEAR[0], Side::Plain),
            (LINEAR[0], Side::Transposed),
            (LINEAR[1], Side::Plain),
        ] {
            let with = |clip| {
                let training = RelativeTraining {
                    optimiser,
                    side,
                    clip,
                    workers,
                };
                step(&mut trainer(dim, rows, training), &batch)
            };
            let (whole, report) = with(None);
            let length = norm(&whole) / RATE;
            for (limit, share) in [(2.0 * length, 1.0), (0.5 * length, 0.5)] {
                let (moved, clipped) = with(Some(limit));
                assert!((clipped.log_density - report.log_density).abs() < 1e-12);
                for (moved, whole) in moved.iter().zip(&whole) {
                    assert!(
                        (moved - share * whole).abs() < 1e-13 * length,
                        "{dim} columns, {workers} workers, {optimiser:?} {side:?}, limit {limit}: \
                         {moved:e} for {whole:e}"
                    );
                }
            }
        }
    }
}

/// Adam divides by the length of what it is given: a limit shows in the steps after one that was cut.
#[test]
fn adam_is_given_what_is_left() {
    let (dim, rows) = (3, 5);
    let [small, large] = [0.5, 8.0].map(|scale| {
        let batch = normals(rows * dim, 2);
        batch.iter().map(|x| scale * x).collect::<Vec<_>>()
    });
    let second_step = |clip| {
        let training = RelativeTraining {
            clip,
            ..RelativeTraining::default()
        };
        let mut trainer = trainer(dim, rows, training);
        step(&mut trainer, &large);
        norm(&step(&mut trainer, &small).0)
    };
    let (free, cut) = (second_step(None), second_step(Some(0.1)));
    assert!((second_step(Some(1e9)) - free).abs() < 1e-12 * free);
    assert!((cut - free).abs() > 1e-3 * free, "{cut:e}, {free:e}");
}

#[test]
fn nothing_is_stepped_along_what_is_not_finite() {
    for optimiser in [Optimiser::Adam, LINEAR[0], LINEAR[1]] {
        let training = RelativeTraining {
            optimiser,
            clip: Some(1.0),
            ..RelativeTraining::default()
        };
        let mut batch = normals(15, 2);
        batch[7] = f64::NAN;
        let (moved, report) = step(&mut trainer(3, 5, training), &batch);
        assert!(report.log_density.is_nan());
        assert!(moved.iter().all(|&x| x == 0.0));
    }
}
