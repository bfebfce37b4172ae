//! Log-densities and their gradients with respect to every parameter and the input.

use detfree_core::reference::Heap;
use detfree_core::{Activation, BaseDensity, Draw, Key, Probe, Quantity, Shape, TraceEstimator};
use detfree_flows::residual::{
    Estimator, EstimatorChoice, Gradients, ResidualFlow, ResidualOptions, ResidualParameters,
    SeriesSchedule, Sweep, Tape,
};

use crate::plain;

type Host = Heap<f64>;

const DIM: usize = 3;
const ROWS: usize = 4;
const WEIGHT: f64 = 0.7;

const ACTIVATIONS: [Activation; 5] = [
    Activation::LipSwish { beta: 1.3 },
    Activation::Elu,
    Activation::Sine,
    Activation::Tanh,
    Activation::LeakySoftplus { alpha: 0.4 },
];

const HIDDEN: [&[usize]; 3] = [&[6], &[5, 4], &[4, 6, 5]];

/// A flow far from the identity: weights at their bounds, scales and shifts that are not neutral.
fn flow(hidden: &[usize], activation: Activation) -> ResidualParameters {
    let b = Host::new();
    let options = ResidualOptions {
        blocks: 2,
        hidden: hidden.to_vec(),
        activation,
        lipschitz: 0.8,
        base: BaseDensity::Normal,
    };
    let flow = ResidualFlow::random(&b, DIM, &options, Key::new(5)).unwrap();
    let mut parameters = flow.to_parameters(&b).unwrap();
    for (i, block) in parameters.blocks.iter_mut().enumerate() {
        let key = Key::new(20 + i as u64);
        for j in 0..DIM {
            block.log_scale[j] = 0.3 * key.normal(0, j as u32);
            block.shift[j] = 0.5 * key.normal(1, j as u32);
        }
        // The last weight starts at half of its bound.
        let last = block.layers.last_mut().unwrap();
        last.weight.iter_mut().for_each(|w| *w *= 1.8);
        for (j, b) in last.bias.iter_mut().enumerate() {
            *b = 0.1 * key.normal(2, j as u32);
        }
    }
    parameters
}

fn inputs() -> Vec<f64> {
    let normal = |i: usize| Key::new(3).normal((i / DIM) as u64, (i % DIM) as u32);
    (0..ROWS * DIM).map(normal).collect()
}

/// D basis vectors and 200 terms: exact but for 0.8²⁰⁰.
fn series(exact_first: bool) -> EstimatorChoice {
    EstimatorChoice::Series {
        schedule: SeriesSchedule::Truncated { terms: 200 },
        trace: TraceEstimator::new(Probe::Basis, 1),
        exact_first,
    }
}

struct Computed {
    log: Vec<f64>,
    /// Of every parameter in the order of [`visit`], then the input's.
    gradient: Vec<f64>,
}

fn computed(
    parameters: &ResidualParameters,
    choice: EstimatorChoice,
    sweep: Sweep,
    x: &[f64],
) -> Computed {
    let b = Host::new();
    let flow = ResidualFlow::from_parameters(&b, DIM, parameters, BaseDensity::Normal).unwrap();
    let widths = flow.widths(&b);
    let estimator = Estimator::choose(choice, Quantity::Gradient, &widths, 0.8).unwrap();
    let rows = x.len() / DIM;
    let mut tape = Tape::new(&b, &flow, Shape::new(rows, DIM), estimator).unwrap();
    let mut gradients = Gradients::new(&b, &flow, rows, sweep).unwrap();
    let mut log = vec![0.0; rows];
    let draw = Draw::new(Key::new(1));
    // Twice: nothing of the first run may be left in the second.
    for _ in 0..2 {
        tape.gradient(&b, &flow, x, WEIGHT, draw, sweep, &mut log, &mut gradients)
            .unwrap();
    }
    let mut only_value = vec![0.0; rows];
    tape.log_density(&b, &flow, x, draw, &mut only_value)
        .unwrap();
    for (value, log) in only_value.iter().zip(&log) {
        assert!((value - log).abs() < 1e-13, "{value} {log}");
    }
    let mut gradient = Vec::new();
    for block in &gradients.blocks {
        for layer in &block.net.layers {
            gradient.extend_from_slice(layer.weight.as_slice());
            gradient.extend_from_slice(layer.bias.as_slice());
        }
        gradient.extend_from_slice(&block.log_sharpness);
        gradient.extend_from_slice(&block.log_scale);
        gradient.extend_from_slice(&block.shift);
    }
    tape.gradient(&b, &flow, x, WEIGHT, draw, sweep, &mut log, &mut gradients)
        .unwrap();
    gradient.extend_from_slice(tape.input_gradient().as_slice());
    Computed { log, gradient }
}

/// Every parameter, moved one at a time by `change(position, value)`.
fn visit(parameters: &mut ResidualParameters, mut change: impl FnMut(&mut f64)) {
    for block in &mut parameters.blocks {
        for layer in &mut block.layers {
            layer.weight.iter_mut().for_each(&mut change);
            layer.bias.iter_mut().for_each(&mut change);
        }
        for sigma in &mut block.activations {
            if let Activation::LipSwish { beta } = sigma {
                let mut log = beta.ln();
                change(&mut log);
                *beta = log.exp();
            }
        }
        block.log_scale.iter_mut().for_each(&mut change);
        block.shift.iter_mut().for_each(&mut change);
    }
}

fn near(what: &str, got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let error = (got - want).abs();
        assert!(
            error <= tolerance * (1.0 + want.abs()),
            "{what} {i}: {got} {want}"
        );
    }
}

/// Σ_r c log p(x_r), the long way.
fn objective(parameters: &ResidualParameters, x: &[f64]) -> f64 {
    let rows = x.chunks_exact(DIM);
    WEIGHT * rows.map(|x| plain::log_density(parameters, x)).sum::<f64>()
}

/// The plain density is good to some 1e-9, so differences over 2·1e-3 of fourth order are good to 1e-6.
fn difference(f: impl Fn(f64) -> f64) -> f64 {
    let h = 1e-3;
    (8.0 * (f(h) - f(-h)) - (f(2.0 * h) - f(-2.0 * h))) / (12.0 * h)
}

#[test]
fn densities_and_gradients_are_those_of_explicit_determinants() {
    let x = inputs();
    for hidden in HIDDEN {
        for activation in ACTIVATIONS {
            let name = format!("{hidden:?} {activation:?}");
            let parameters = flow(hidden, activation);
            let got = computed(&parameters, EstimatorChoice::Explicit, Sweep::Reverse, &x);
            let log: Vec<f64> = x
                .chunks_exact(DIM)
                .map(|x| plain::log_density(&parameters, x))
                .collect();
            near(&format!("log p, {name}"), &got.log, &log, 1e-9);

            let mut count = 0;
            visit(&mut parameters.clone(), |_| count += 1);
            let mut want: Vec<f64> = (0..count)
                .map(|k| {
                    difference(|h| {
                        let mut moved = parameters.clone();
                        let mut position = 0;
                        visit(&mut moved, |x| {
                            *x += if position == k { h } else { 0.0 };
                            position += 1;
                        });
                        objective(&moved, &x)
                    })
                })
                .collect();
            want.extend((0..x.len()).map(|k| {
                difference(|h| {
                    let mut x = x.clone();
                    x[k] += h;
                    objective(&parameters, &x)
                })
            }));
            near(&format!("gradient, {name}"), &got.gradient, &want, 2e-6);
        }
    }
}

/// Both sweeps, and the series with and without tr J in closed form, against explicit Jacobians: the
/// same sums in another order.
#[test]
fn sweeps_and_series_agree_with_explicit_jacobians() {
    let x = inputs();
    for hidden in HIDDEN {
        for activation in ACTIVATIONS {
            let parameters = flow(hidden, activation);
            let want = computed(&parameters, EstimatorChoice::Explicit, Sweep::Reverse, &x);
            for (choice, sweep) in [
                (EstimatorChoice::Explicit, Sweep::Forward),
                (series(false), Sweep::Reverse),
                (series(false), Sweep::Forward),
                (series(true), Sweep::Reverse),
                (series(true), Sweep::Forward),
            ] {
                let name = format!("{hidden:?} {activation:?} {choice:?} {sweep:?}");
                let got = computed(&parameters, choice, sweep, &x);
                near(&name, &got.log, &want.log, 1e-12);
                near(&name, &got.gradient, &want.gradient, 1e-11);
            }
        }
    }
}
