//! Residual flows on a backend: densities, gradients, steps and inverses beside the reference
//! backend's.

use detfree_core::reference::Heap;
use detfree_core::{
    Activation, Allocate, BaseDensity, Draw, FlowBackend, Key, Probe, Quantity, Scalar, Shape,
    TraceEstimator,
};
use detfree_flows::Trainer;
use detfree_flows::residual::{
    Estimator, EstimatorChoice, Gradients, ResidualFlow, ResidualOptions, ResidualParameters,
    ResidualTrainer, ResidualTraining, SeriesSchedule, Sweep, Tape,
};

use crate::failure::{Computed, ensure, near};
use crate::operands::read;
use crate::{Failure, Outcome, Plain};

const DIM: usize = 5;
const ROWS: usize = 7;
/// Of every row in the sum whose gradient is taken.
const WEIGHT: f64 = 0.7;
const LIPSCHITZ: f64 = 0.7;
/// With tr J in closed form, and without.
const HIDDEN: [&[usize]; 3] = [&[9], &[8, 6], &[4, 7, 9]];

fn parameters(hidden: &[usize]) -> Computed<Heap<f64>, ResidualParameters> {
    let b = Heap::<f64>::new();
    let options = ResidualOptions {
        blocks: 2,
        hidden: hidden.to_vec(),
        activation: Activation::LipSwish { beta: 1.2 },
        lipschitz: LIPSCHITZ,
        base: BaseDensity::Logistic,
    };
    let flow = ResidualFlow::random(&b, DIM, &options, Key::new(1))?;
    let mut parameters = flow.to_parameters(&b)?;
    for (block, sign) in parameters.blocks.iter_mut().zip([1.0, -1.0]) {
        for j in 0..DIM {
            block.log_scale[j] = sign * (0.1 + 0.05 * j as f64);
            block.shift[j] = sign * (0.3 - 0.1 * j as f64);
        }
    }
    Ok(parameters)
}

fn rows<T: Scalar>() -> Vec<T> {
    let rows = Plain::normal(Key::new(2), ROWS, DIM);
    rows.as_slice().iter().map(|&x| T::from_f64(x)).collect()
}

/// Log-densities, and all gradients one after the other.
struct Computation {
    log: Vec<f64>,
    gradient: Vec<f64>,
}

fn compute<B: FlowBackend + Allocate>(
    b: &B,
    parameters: &ResidualParameters,
    choice: EstimatorChoice,
    sweep: Sweep,
) -> Result<Computation, Failure> {
    let flow = ResidualFlow::from_parameters(b, DIM, parameters, BaseDensity::Logistic)?;
    // A bound that does not depend on the data type, as certificates of the flow's own do.
    let estimator = Estimator::choose(choice, Quantity::Gradient, &flow.widths(b), LIPSCHITZ);
    let estimator = estimator.map_err(|error| Failure::new(error.to_string()))?;
    let mut tape = Tape::new(b, &flow, Shape::new(ROWS, DIM), estimator)?;
    let mut gradients = Gradients::new(b, &flow, ROWS, sweep).map_err(device)?;
    let mut log = vec![0.0; ROWS];
    let (draw, rows) = (Draw::new(Key::new(3)), rows());
    tape.gradient(
        b,
        &flow,
        &rows,
        WEIGHT,
        draw,
        sweep,
        &mut log,
        &mut gradients,
    )?;
    let mut gradient = Vec::new();
    for block in &gradients.blocks {
        for layer in &block.net.layers {
            gradient.extend_from_slice(read(b, &layer.weight)?.as_slice());
            gradient.extend_from_slice(read(b, &layer.bias)?.as_slice());
        }
        gradient.extend_from_slice(&block.log_sharpness);
        gradient.extend_from_slice(&block.log_scale);
        gradient.extend_from_slice(&block.shift);
    }
    gradient.extend_from_slice(read(b, tape.input_gradient())?.as_slice());
    Ok(Computation { log, gradient })
}

fn device<E: std::fmt::Debug>(error: E) -> Failure {
    Failure::from(detfree_core::Error::Device(error))
}

fn series(schedule: SeriesSchedule, probe: Probe) -> EstimatorChoice {
    EstimatorChoice::Series {
        schedule,
        trace: TraceEstimator::new(probe, 1),
        exact_first: true,
    }
}

/// Sums of seven rows through two blocks, each with a series of up to 60 products of terms that shrink:
/// some 20 ε on the backends of this project, and several times that is asked for.
fn rounding<T: Scalar>() -> f64 {
    128.0 * T::EPSILON
}

/// Against explicit Jacobians on the reference backend in double precision.
pub(crate) fn exact_gradients<B: FlowBackend + Allocate>(b: &B) -> Outcome {
    for hidden in HIDDEN {
        // What single precision stores, so that both sides have the same flow.
        let stored =
            ResidualFlow::from_parameters(b, DIM, &parameters(hidden)?, BaseDensity::Normal)?;
        let stored = stored.to_parameters(b).map_err(device)?;
        let reference = Heap::<f64>::new();
        let explicit = EstimatorChoice::Explicit;
        let want = compute(&reference, &stored, explicit, Sweep::Reverse)?;
        let truncated = series(SeriesSchedule::Truncated { terms: 60 }, Probe::Basis);
        for choice in [explicit, truncated] {
            for sweep in [Sweep::Reverse, Sweep::Forward] {
                let got = compute(b, &stored, choice, sweep)?;
                let case = format!("{hidden:?}, {choice:?}, {sweep:?}");
                let tolerance = rounding::<B::Scalar>();
                near(format!("log p, {case}"), &got.log, &want.log, tolerance)?;
                let (got, want) = (&got.gradient, &want.gradient);
                near(format!("gradient, {case}"), got, want, tolerance)?;
            }
        }
    }
    Ok(())
}

/// Roulettes with random probes, whose bits are the reference backend's.
pub(crate) fn roulette_gradients<B: FlowBackend + Allocate>(b: &B) -> Outcome {
    let reference = Heap::<B::Scalar>::new();
    for hidden in HIDDEN {
        let parameters = parameters(hidden)?;
        for choice in [
            series(SeriesSchedule::Certified, Probe::Rademacher),
            series(SeriesSchedule::Paper, Probe::Orthogonal),
        ] {
            let got = compute(b, &parameters, choice, Sweep::Reverse)?;
            let want = compute(&reference, &parameters, choice, Sweep::Reverse)?;
            let tolerance = rounding::<B::Scalar>();
            let case = format!("{hidden:?}, {choice:?}");
            near(format!("log p, {case}"), &got.log, &want.log, tolerance)?;
            let (got, want) = (&got.gradient, &want.gradient);
            near(format!("gradient, {case}"), got, want, tolerance)?;
        }
    }
    Ok(())
}

/// Samples, pushed forward, are the base's draws again, to what the inversion promises.
pub(crate) fn samples<B: FlowBackend + Allocate>(b: &B) -> Outcome {
    let parameters = parameters(HIDDEN[1])?;
    let flow = ResidualFlow::from_parameters(b, DIM, &parameters, BaseDensity::Logistic)?;
    let tolerance = 256.0 * B::Scalar::EPSILON;
    let mut x = b.batch(Shape::new(ROWS, DIM)).map_err(device)?;
    let key = Key::new(4);
    let inversion = flow
        .sample(b, key, 0, tolerance, &mut x)
        .map_err(|error| Failure::new(format!("{error:?}")))?;
    let x = read(b, &x)?;
    // In double precision on the host, where the same flow maps them forward.
    let reference = Heap::<f64>::new();
    let stored = flow.to_parameters(b).map_err(device)?;
    let flow = ResidualFlow::from_parameters(&reference, DIM, &stored, BaseDensity::Logistic)?;
    let mut z = x.as_slice().to_vec();
    let explicit = Estimator::Explicit;
    let mut tape = Tape::new(&reference, &flow, Shape::new(ROWS, DIM), explicit)?;
    let mut log = vec![0.0; ROWS];
    tape.log_density(&reference, &flow, &z, Draw::new(key), &mut log)?;
    z.clear();
    z.extend_from_slice(tape.output().as_slice());
    let draws = (0..ROWS * DIM).map(|i| {
        let (r, j) = ((i / DIM) as u64, (i % DIM) as u32);
        BaseDensity::Logistic.quantile(key.uniform(r, j))
    });
    let draws: Vec<f64> = draws.collect();
    near("samples pushed forward", &z, &draws, 64.0 * inversion.error)
}

/// The same bits three times over, in four shards.
pub(crate) fn run_to_run<B: FlowBackend + Allocate + Sync>(b: &B) -> Outcome {
    let run = || -> Result<Vec<f64>, Failure> {
        let flow =
            ResidualFlow::from_parameters(b, DIM, &parameters(HIDDEN[1])?, BaseDensity::Normal)?;
        let training = ResidualTraining {
            estimator: series(SeriesSchedule::Certified, Probe::Rademacher),
            sweep: Sweep::Reverse,
            clip: Some(1.0),
            average: Some(0.9),
            warm_up: 2,
            shards: 4,
            key: Key::new(5),
        };
        let mut trainer = ResidualTrainer::new(b, flow, Shape::new(ROWS, DIM), training)?;
        let mut numbers = Vec::new();
        for _ in 0..4 {
            numbers.push(trainer.step(b, &rows(), 0.01)?.log_density);
        }
        trainer.keep(b).map_err(device)?;
        let parameters = trainer.flow().to_parameters(b).map_err(device)?;
        for block in parameters.blocks {
            for layer in block.layers {
                numbers.extend(layer.weight.into_iter().chain(layer.bias));
            }
            numbers.extend(block.log_scale.into_iter().chain(block.shift));
        }
        Ok(numbers)
    };
    let first = run()?;
    ensure(first.iter().all(|x| x.is_finite()), || {
        "training gives numbers that are not finite".to_owned()
    })?;
    for _ in 0..2 {
        near("a repetition", &run()?, &first, 0.0)?;
    }
    Ok(())
}
