//! A few steps of a flow's training: against the same steps on the reference backend, against LU,
//! and against themselves.

use detfree_core::reference::Heap;
use detfree_core::{
    Activation, Affine, Allocate, BaseDensity, FlowBackend, Key, Scalar, Shape, Side,
};
use detfree_flows::relative::{FlowTape, Optimiser, OptimiserState, RelativeFlow};

use crate::failure::{Computed, ensure, near};
use crate::layer::random_layer;
use crate::{Outcome, Plain};

const DIM: usize = 5;
const DEPTH: usize = 3;
/// Fewer and more rows than dimensions.
const ROWS: [usize; 2] = [3, 8];
const SIDES: [Side; 2] = [Side::Plain, Side::Transposed];

fn flow<B: FlowBackend + Allocate>(b: &B) -> Computed<B, RelativeFlow<B>> {
    let layers: Vec<Affine<Vec<f64>>> = (0..DEPTH as u64)
        .map(|l| {
            let Affine { weight, bias } = random_layer::<B::Scalar>(Key::new(1).fold_in(l), DIM);
            Affine {
                weight: weight.as_slice().to_vec(),
                bias: bias.as_slice().to_vec(),
            }
        })
        .collect();
    let activation = Activation::LeakySoftplus { alpha: 0.3 };
    let base = BaseDensity::HyperbolicSecant;
    Ok(RelativeFlow::from_layers(
        b, DIM, &layers, activation, base,
    )?)
}

fn state<B: FlowBackend + Allocate>(
    b: &B,
    flow: &RelativeFlow<B>,
    rows: usize,
    (optimiser, side): (Optimiser, Side),
) -> Computed<B, OptimiserState<B>> {
    OptimiserState::new(b, flow, Shape::new(rows, DIM), optimiser, side)
}

/// What a few steps see, do and leave.
#[derive(Debug)]
struct Trained {
    log_densities: Vec<f64>,
    /// Weights and biases.
    layers: Vec<Affine<Vec<f64>>>,
    /// The sum of the changes of Σ log|det W| that the steps report, and what LU says.
    reported: Option<f64>,
    exact: f64,
    shrinks: u32,
}

impl Trained {
    fn numbers(&self) -> Vec<f64> {
        let layers = self.layers.iter();
        let layers = layers.flat_map(|layer| layer.weight.iter().chain(&layer.bias));
        self.log_densities.iter().chain(layers).copied().collect()
    }
}

fn log_det(layers: &[Affine<Vec<f64>>]) -> f64 {
    let weight = |layer: &Affine<Vec<f64>>| {
        Plain::new(DIM, DIM, |i, j| layer.weight[i * DIM + j])
            .invert()
            .1
    };
    layers.iter().map(weight).sum()
}

/// One step a rate, each on a batch of its own.
fn train<B: FlowBackend + Allocate>(
    b: &B,
    rows: usize,
    how: (Optimiser, Side),
    rates: &[f64],
) -> Computed<B, Trained> {
    let mut flow = flow(b)?;
    let mut state = state(b, &flow, rows, how)?;
    let mut tape = FlowTape::new(b, &flow, Shape::new(rows, DIM))?;
    let before = log_det(&flow.to_layers(b)?);
    let mut trained = Trained {
        log_densities: Vec::new(),
        layers: Vec::new(),
        reported: Some(0.0),
        exact: 0.0,
        shrinks: 0,
    };
    for (step, &rate) in rates.iter().enumerate() {
        let batch = Plain::normal(Key::new(2).fold_in(step as u64), rows, DIM);
        let batch: Vec<_> = batch
            .as_slice()
            .iter()
            .map(|&x| Scalar::from_f64(x))
            .collect();
        let report = state.step(b, &mut flow, &mut tape, &batch, rate)?;
        trained.log_densities.push(report.log_density);
        let changes = trained.reported.zip(report.log_det_change);
        trained.reported = changes.map(|(sum, change)| sum + change);
        trained.shrinks += report.shrinks;
    }
    trained.layers = flow.to_layers(b)?;
    trained.exact = log_det(&trained.layers) - before;
    Ok(trained)
}

/// Rounding of five steps: some 8 ε on the backends of this project, and eight times that is asked
/// for. Adam divides errors by the size of the gradient, and no element of these is small.
fn tolerance<T: Scalar>() -> f64 {
    64.0 * T::EPSILON
}

fn against_reference<B: FlowBackend + Allocate>(
    b: &B,
    rows: usize,
    how: (Optimiser, Side),
    rates: &[f64],
) -> Result<Trained, crate::Failure> {
    let got = train(b, rows, how, rates)?;
    let want = train(&Heap::<B::Scalar>::new(), rows, how, rates)?;
    let case = format!("log densities, weights and biases of {how:?} on {rows} rows");
    near(
        case,
        &got.numbers(),
        &want.numbers(),
        tolerance::<B::Scalar>(),
    )?;
    ensure(got.shrinks == want.shrinks, || {
        format!(
            "{how:?} on {rows} rows halves {} steps, not {}",
            got.shrinks, want.shrinks
        )
    })?;
    Ok(got)
}

pub(crate) fn steps<B: FlowBackend + Allocate>(b: &B) -> Outcome {
    for rows in ROWS {
        for side in SIDES {
            for optimiser in [Optimiser::Adam, Optimiser::Momentum { decay: 0.9 }] {
                against_reference(b, rows, (optimiser, side), &[0.01; 5])?;
            }
        }
    }
    Ok(())
}

/// The first step is too long for some layer, and must be halved.
pub(crate) fn guarded_steps<B: FlowBackend + Allocate>(b: &B) -> Outcome {
    for rows in ROWS {
        for side in SIDES {
            let rates = [2.0, 0.05, 0.05, 0.05, 0.05];
            let trained = against_reference(b, rows, (Optimiser::Sgd, side), &rates)?;
            ensure(trained.shrinks > 0, || {
                format!("no step of {rows} rows is halved")
            })?;
            let case = format!("the change of Σ log|det W|, {side:?}, {rows} rows");
            let reported: Vec<f64> = trained.reported.into_iter().collect();
            near(case, &reported, &[trained.exact], tolerance::<B::Scalar>())?;
        }
    }
    Ok(())
}

/// The same bits three times over.
pub(crate) fn run_to_run<B: FlowBackend + Allocate>(b: &B) -> Outcome {
    for optimiser in [Optimiser::Adam, Optimiser::Sgd] {
        let run = || train(b, ROWS[1], (optimiser, Side::Plain), &[0.01; 5]);
        let first = run()?.numbers();
        for _ in 0..2 {
            near("a repetition", &run()?.numbers(), &first, 0.0)?;
        }
    }
    Ok(())
}
