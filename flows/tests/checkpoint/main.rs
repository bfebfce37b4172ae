//! A run that was saved and resumed is the run that was not, bit for bit, and no other run.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod counter;
mod refused;
mod resumed;

use detfree_core::reference::Heap;
use detfree_core::{Activation, Allocate, BaseDensity, FlowBackend, Key, Scalar, Shape, Side};
use detfree_flows::relative::{Optimiser, RelativeFlow, RelativeTrainer, RelativeTraining};
use detfree_flows::toy::Toy;
use detfree_flows::{FitOptions, Schedule, TrainingRows};

type Host = Heap<f64>;

const OPTIONS: FitOptions = FitOptions {
    epochs: 9,
    batch: 16,
    learning_rate: 0.02,
    schedule: Schedule::Plateau,
    patience: 4,
    key: Key::new(1),
};

/// 100 rows, with noise in one column: an epoch is 6 batches, whose random numbers are not forgotten.
fn rows<T: Scalar>(seed: u64) -> TrainingRows<T> {
    let points = (0..100).flat_map(|r| Toy::Moons.sample(Key::new(seed), r));
    TrainingRows {
        values: points.map(Scalar::from_f64).collect(),
        noise: [0.1, 0.0].map(Scalar::from_f64).to_vec(),
        squash: None,
    }
}

fn trainer<B: FlowBackend + Allocate>(b: &B, optimiser: Optimiser, side: Side) -> RelativeTrainer<B>
where
    B::Error: core::fmt::Debug,
{
    let sigma = Activation::LeakySoftplus { alpha: 0.3 };
    let flow = RelativeFlow::random(b, 2, 3, sigma, BaseDensity::Normal, Key::new(2)).unwrap();
    let shape = Shape::new(OPTIONS.batch, 2);
    let training = RelativeTraining {
        optimiser,
        side,
        ..RelativeTraining::default()
    };
    RelativeTrainer::new(b, flow, shape, training).unwrap()
}
