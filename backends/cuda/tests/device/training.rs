//! Training steps of small flows: beside the same steps on faer, and the
//! same bits again.

use detfree_core::reference::Heap;
use detfree_core::{
    Activation, Allocate, BaseDensity, FlowBackend, Key, Probe, Scalar, Shape, Side, TraceEstimator,
};
use detfree_cuda::DeviceScalar;
use detfree_flows::Trainer;
use detfree_flows::relative::{FlowTape, Optimiser, OptimiserState, RelativeFlow};
use detfree_flows::residual::{
    EstimatorChoice, ResidualFlow, ResidualOptions, ResidualTrainer, ResidualTraining,
    SeriesSchedule, Sweep,
};

use crate::{common, near, same_bits};

const DIM: usize = 6;
const ROWS: usize = 11;
const STEPS: u64 = 4;

/// The backend of the same type on the CPU.
pub(crate) trait Faers<T>: FlowBackend<Scalar = T> + Allocate + Sync {}

impl<T, B: FlowBackend<Scalar = T> + Allocate + Sync> Faers<T> for B {}

/// Rounding of a few steps. Adam divides errors by the size of the gradient, no element of which is
/// small here.
fn tolerance<T: Scalar>() -> f64 {
    256.0 * T::EPSILON
}

fn batch<T: Scalar>(step: u64) -> Vec<T> {
    let key = Key::new(2).fold_in(step);
    let element = |i: usize| key.normal((i / DIM) as u64, (i % DIM) as u32);
    (0..ROWS * DIM).map(|i| T::from_f64(element(i))).collect()
}

pub(crate) fn relative<T: DeviceScalar>(faer: &impl Faers<T>) {
    let b = common::own::<T>().unwrap();
    for optimiser in [Optimiser::Adam, Optimiser::Sgd] {
        for side in [Side::Plain, Side::Transposed] {
            let case = format!("{optimiser:?}, {side:?}");
            let got = relative_flow(&b, optimiser, side);
            same_bits(&case, &relative_flow(&b, optimiser, side), &got);
            let reference = relative_flow(faer, optimiser, side);
            near(&case, &got, &reference, tolerance::<T>());
        }
    }
}

/// Log-densities before each step, and all weights and biases after the last.
fn relative_flow<B: FlowBackend + Allocate>(b: &B, optimiser: Optimiser, side: Side) -> Vec<f64> {
    let activation = Activation::LeakySoftplus { alpha: 0.3 };
    let base = BaseDensity::HyperbolicSecant;
    let mut flow = RelativeFlow::random(b, DIM, 2, activation, base, Key::new(1)).unwrap();
    let shape = Shape::new(ROWS, DIM);
    let mut state = OptimiserState::new(b, &flow, shape, optimiser, side).unwrap();
    let mut tape = FlowTape::new(b, &flow, shape, side).unwrap();
    let mut numbers = Vec::new();
    for step in 0..STEPS {
        let rows = batch::<B::Scalar>(step);
        let report = state.step(b, &mut flow, &mut tape, &rows, 0.01).unwrap();
        numbers.push(report.log_density);
    }
    for layer in flow.to_layers(b).unwrap() {
        numbers.extend(layer.weight.into_iter().chain(layer.bias));
    }
    numbers
}

/// Adam's ε is smaller than the rounding of a gradient that vanishes, so that its first steps show
/// that enlarged: faer and the reference differ by some 10⁵ ε in single and 10⁶ ε in double
/// precision. The device may be as far from the reference as faer, and a few times that. (The suite
/// compares the gradients themselves, to 128 ε.)
pub(crate) fn residual<T: DeviceScalar>(faer: &impl Faers<T>) {
    let b = common::own::<T>().unwrap();
    let got = residual_flow(&b);
    same_bits("a residual flow again", &residual_flow(&b), &got);
    let (faer, reference) = (residual_flow(faer), residual_flow(&Heap::<T>::new()));
    let distances = faer.iter().zip(&reference).map(|(x, y)| (x - y).abs());
    let enlarged = distances.fold(0.0, f64::max);
    assert!(enlarged < 1e7 * T::EPSILON, "{enlarged}");
    near(
        "a residual flow",
        &got,
        &reference,
        tolerance::<T>() + 4.0 * enlarged,
    );
}

/// With stratified roulettes of random signs, whose bits are the same on every backend, clipping,
/// averages and two shards.
fn residual_flow<B: FlowBackend + Allocate + Sync>(b: &B) -> Vec<f64> {
    let options = ResidualOptions {
        blocks: 2,
        hidden: vec![9, 7],
        activation: Activation::LipSwish { beta: 1.2 },
        lipschitz: 0.7,
        base: BaseDensity::Normal,
    };
    let flow = ResidualFlow::random(b, DIM, &options, Key::new(1)).unwrap();
    let training = ResidualTraining {
        estimator: EstimatorChoice::Series {
            schedule: SeriesSchedule::Certified,
            trace: TraceEstimator::new(Probe::Rademacher, 1),
            exact_first: true,
        },
        sweep: Sweep::Reverse,
        clip: Some(1.0),
        average: Some(0.9),
        warm_up: 2,
        shards: 2,
        key: Key::new(5),
    };
    let mut trainer = ResidualTrainer::new(b, flow, Shape::new(ROWS, DIM), training).unwrap();
    let mut numbers = Vec::new();
    for step in 0..STEPS {
        let report = trainer.step(b, &batch::<B::Scalar>(step), 0.01).unwrap();
        numbers.push(report.log_density);
    }
    trainer.keep(b).unwrap();
    for block in trainer.flow().to_parameters(b).unwrap().blocks {
        for layer in block.layers {
            numbers.extend(layer.weight.into_iter().chain(layer.bias));
        }
        numbers.extend(block.log_scale.into_iter().chain(block.shift));
    }
    numbers
}
