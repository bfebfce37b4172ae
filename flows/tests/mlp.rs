//! Nets as operators: products against differences of the net, gradients of log det(I + J) with
//! respect to parameters and input against LU and differences, with unequal row weights.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use detfree_core::reference::Heap;
use detfree_core::{
    Activation, Allocate, Backend, Dense, DenseBackend, Draw, Fill, FirstTrace, Key, LogDet,
    Operator, Probe, Quantity, RouletteSchedule, Shape, TraceEstimator, Workspace,
};
use detfree_flows::mlp::{Mlp, MlpGradient, MlpTape, TraceTape};

type Host = Heap<f64>;
type Batch = Dense<Vec<f64>>;

const DIM: usize = 3;
const ROWS: usize = 4;
/// Unequal, one of them zero and one negative.
const WEIGHTS: [f64; ROWS] = [0.7, -1.3, 0.0, 2.1];

const ACTIVATIONS: [Activation; 4] = [
    Activation::LipSwish { beta: 1.2 },
    Activation::Tanh,
    Activation::Sine,
    Activation::LeakySoftplus { alpha: 0.3 },
];

fn batch(rows: usize, dim: usize) -> Batch {
    let mut batch = Dense::on_heap(Shape::new(rows, dim));
    batch.as_mut_slice().fill(f64::NAN);
    batch
}

fn normals(rows: usize, dim: usize, seed: u64) -> Batch {
    let mut x = batch(rows, dim);
    let what = Fill::Gaussian {
        key: Key::new(seed),
        first_row: 0,
        scale: 1.0,
    };
    Host::new().fill(what, &mut x).unwrap();
    x
}

/// A net whose Jacobian has a norm well below one.
fn net(hidden: &[usize], activation: Activation) -> Mlp<Host> {
    let widths: Vec<usize> = [&[DIM], hidden, &[DIM]].concat();
    Mlp::random(&Host::new(), &widths, activation, 0.55, Key::new(11)).unwrap()
}

fn forward(net: &Mlp<Host>, x: &Batch) -> Batch {
    let b = Host::new();
    let rows = x.shape().rows;
    let mut out = batch(rows, DIM);
    let mut tape = MlpTape::new(&b, net, rows).unwrap();
    tape.linearise(&b, net, x, &mut out).unwrap();
    out
}

/// The Jacobian of row `r`, column after column, through the operator's jvp.
fn jacobian(net: &Mlp<Host>, x: &Batch, r: usize) -> Batch {
    let b = Host::new();
    let rows = x.shape().rows;
    let mut tape = MlpTape::new(&b, net, rows).unwrap();
    let mut op = tape.linearise(&b, net, x, &mut batch(rows, DIM)).unwrap();
    let (mut e, mut je, mut j) = (batch(rows, DIM), batch(rows, DIM), batch(DIM, DIM));
    for column in 0..DIM {
        b.fill(Fill::Basis(column), &mut e).unwrap();
        op.jvp(&b, 0..rows, &e, &mut je).unwrap();
        for i in 0..DIM {
            j.row_mut(i)[column] = je.row(r)[i];
        }
    }
    j
}

/// Σ_r c_r log det(I + J_r) by LU.
fn objective(net: &Mlp<Host>, x: &Batch, weights: &[f64]) -> f64 {
    (0..x.shape().rows)
        .map(|r| {
            let mut j = jacobian(net, x, r);
            for i in 0..DIM {
                j.row_mut(i)[i] += 1.0;
            }
            let (sign, log) = Host::new().log_abs_det(&mut j).unwrap();
            assert_eq!(sign, 1.0, "the net is not contractive");
            weights[r] * log
        })
        .sum()
}

#[test]
fn products_match_differences_and_each_other() {
    let b = Host::new();
    for activation in ACTIVATIONS {
        for hidden in [&[5][..], &[6, 4], &[4, 5, 6]] {
            let net = net(hidden, activation);
            let x = normals(ROWS, DIM, 1);
            let (v, w) = (normals(ROWS, DIM, 2), normals(ROWS, DIM, 3));
            let mut tape = MlpTape::new(&b, &net, ROWS).unwrap();
            let mut op = tape.linearise(&b, &net, &x, &mut batch(ROWS, DIM)).unwrap();
            let (mut jv, mut jtw) = (batch(ROWS, DIM), batch(ROWS, DIM));
            op.jvp(&b, 0..ROWS, &v, &mut jv).unwrap();
            op.vjp(&b, 0..ROWS, &w, &mut jtw).unwrap();

            let step = 1e-5;
            let (mut plus, mut minus) = (x.clone(), x.clone());
            b.axpy(0..ROWS, step, &v, &mut plus).unwrap();
            b.axpy(0..ROWS, -step, &v, &mut minus).unwrap();
            let (plus, minus) = (forward(&net, &plus), forward(&net, &minus));
            for i in 0..ROWS * DIM {
                let slope = (plus.as_slice()[i] - minus.as_slice()[i]) / (2.0 * step);
                // Truncation of a central difference, step² ‖g'''‖, and rounding, eps/step.
                assert!((slope - jv.as_slice()[i]).abs() < 1e-9, "{activation:?}");
            }
            for r in 0..ROWS {
                let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
                let difference = dot(w.row(r), jv.row(r)) - dot(jtw.row(r), v.row(r));
                assert!(difference.abs() < 64.0 * f64::EPSILON);
                // A swap of the two products would show: J is not symmetric.
                assert!((dot(w.row(r), jtw.row(r)) - dot(jv.row(r), v.row(r))).abs() > 1e-3);
            }
        }
    }
}

/// Rows outside a range are neither read nor written.
#[test]
fn ranges_leave_other_rows_alone() {
    let b = Host::new();
    let net = net(&[5, 4], Activation::Tanh);
    let mut tape = MlpTape::new(&b, &net, ROWS).unwrap();
    let x = normals(ROWS, DIM, 1);
    let mut op = tape.linearise(&b, &net, &x, &mut batch(ROWS, DIM)).unwrap();
    let v = normals(ROWS, DIM, 2);
    let mut whole = batch(ROWS, DIM);
    op.vjp(&b, 0..ROWS, &v, &mut whole).unwrap();
    let mut part = batch(ROWS, DIM);
    op.vjp(&b, 1..3, &v, &mut part).unwrap();
    assert_eq!(part.row(1), whole.row(1));
    assert_eq!(part.row(2), whole.row(2));
    assert!(part.row(0).iter().chain(part.row(3)).all(|x| x.is_nan()));
}

/// The exact estimator: basis probes, and a truncation whose tail is below rounding.
fn exact() -> LogDet {
    LogDet {
        schedule: RouletteSchedule::truncated(150).unwrap(),
        trace: TraceEstimator::new(Probe::Basis, 1),
    }
}

struct Run {
    value: Vec<f64>,
    gradient: MlpGradient<Host>,
}

fn run(net: &Mlp<Host>, x: &Batch, weights: Option<&[f64]>, exact_first: bool) -> Run {
    let b = Host::new();
    let mut tape = MlpTape::new(&b, net, ROWS).unwrap();
    let op = tape.linearise(&b, net, x, &mut batch(ROWS, DIM)).unwrap();
    let mut workspace = Workspace::allocate(&b, Shape::new(ROWS, DIM)).unwrap();
    let mut gradient = MlpGradient::zeros(&b, net, ROWS).unwrap();
    let mut value = batch(ROWS, 1);
    let weights = weights.map(|w| Dense::new(Shape::new(ROWS, 1), w.to_vec()).unwrap());
    let draw = Draw::new(Key::new(5));
    let (weights, workspace) = (weights.as_ref(), &mut workspace);
    if exact_first {
        let mut trace = TraceTape::new(&b, net).unwrap();
        let mut op = op.with_trace(&mut trace);
        exact()
            .with_exact_first()
            .value_and_gradient(
                &b,
                &mut op,
                &draw,
                weights,
                workspace,
                &mut value,
                &mut gradient,
            )
            .unwrap();
    } else {
        let mut op = op;
        exact()
            .value_and_gradient(
                &b,
                &mut op,
                &draw,
                weights,
                workspace,
                &mut value,
                &mut gradient,
            )
            .unwrap();
    }
    let value = value.as_slice().to_vec();
    Run { value, gradient }
}

/// The largest difference between a run's gradient and central differences of the LU objective,
/// over every weight, bias and input.
fn gradient_error(net: &mut Mlp<Host>, x: &Batch, weights: &[f64], run: &Run) -> f64 {
    let step = 1e-5;
    let mut worst: f64 = 0.0;
    for l in 0..net.layers().len() {
        for part in 0..2 {
            let sum = &run.gradient.layers[l];
            let sum = [&sum.weight, &sum.bias][part].as_slice().to_vec();
            for (i, sum) in sum.into_iter().enumerate() {
                let mut shifted = |by: f64| {
                    let layer = &mut net.layers_mut()[l];
                    let entry = &mut [&mut layer.weight, &mut layer.bias][part].as_mut_slice()[i];
                    let kept = *entry;
                    *entry += by;
                    let value = objective(net, x, weights);
                    let layer = &mut net.layers_mut()[l];
                    [&mut layer.weight, &mut layer.bias][part].as_mut_slice()[i] = kept;
                    value
                };
                let slope = (shifted(step) - shifted(-step)) / (2.0 * step);
                worst = worst.max((slope - sum).abs());
            }
        }
    }
    for i in 0..ROWS * DIM {
        let shifted = |by: f64| {
            let mut x = x.clone();
            x.as_mut_slice()[i] += by;
            objective(net, &x, weights)
        };
        let slope = (shifted(step) - shifted(-step)) / (2.0 * step);
        worst = worst.max((slope - run.gradient.input.as_slice()[i]).abs());
    }
    worst
}

/// Differences are good to about step² times a third derivative, and eps/step.
const DIFFERENCES: f64 = 1e-8;

#[test]
fn value_and_gradient_match_lu() {
    for activation in ACTIVATIONS {
        for hidden in [&[5][..], &[6, 4], &[4, 5, 6]] {
            let mut net = net(hidden, activation);
            let x = normals(ROWS, DIM, 1);
            for exact_first in [false, true] {
                if exact_first && hidden.len() > 2 {
                    continue;
                }
                let run = run(&net, &x, Some(&WEIGHTS), exact_first);
                for r in 0..ROWS {
                    let mut one = [0.0; ROWS];
                    one[r] = 1.0;
                    let exact = objective(&net, &x, &one);
                    assert!((run.value[r] - exact).abs() < 512.0 * f64::EPSILON);
                }
                let error = gradient_error(&mut net, &x, &WEIGHTS, &run);
                assert!(
                    error < DIFFERENCES,
                    "{activation:?} {hidden:?} exact first {exact_first}: {error:e}"
                );
            }
        }
    }
}

/// Gradients with the row weights left out, or of the trace alone, fail the same comparison.
#[test]
fn wrong_gradients_are_caught() {
    let b = Host::new();
    let mut net = net(&[6, 4], Activation::Sine);
    let x = normals(ROWS, DIM, 1);
    let unweighted = run(&net, &x, None, false);
    assert!(gradient_error(&mut net, &x, &WEIGHTS, &unweighted) > 1e-3);
    assert!(gradient_error(&mut net, &x, &[1.0; ROWS], &unweighted) < DIFFERENCES);

    let mut gradient = MlpGradient::zeros(&b, &net, ROWS).unwrap();
    let mut trace = TraceTape::new(&b, &net).unwrap();
    let mut tape = MlpTape::new(&b, &net, ROWS).unwrap();
    let mut out = batch(ROWS, DIM);
    let op = tape.linearise(&b, &net, &x, &mut out).unwrap();
    op.with_trace(&mut trace)
        .accumulate_trace(&b, None, &mut gradient)
        .unwrap();
    let only_trace = Run {
        value: vec![],
        gradient,
    };
    assert!(gradient_error(&mut net, &x, &[1.0; ROWS], &only_trace) > 1e-3);
}

/// The stochastic gradient's mean over 4,000 draws is the exact one: a bias of 5 standard errors
/// in any of the first weight's entries would be caught, and one of 10% of its norm.
#[test]
fn sampled_gradient_is_unbiased() {
    let b = Host::new();
    let net = net(&[6, 4], Activation::LipSwish { beta: 1.0 });
    let x = normals(ROWS, DIM, 1);
    let exact = run(&net, &x, Some(&WEIGHTS), false).gradient;
    let estimator = LogDet {
        schedule: RouletteSchedule::certified(0.5, Quantity::Gradient).unwrap(),
        trace: TraceEstimator::new(Probe::Rademacher, 1),
    };
    let weights = Dense::new(Shape::new(ROWS, 1), WEIGHTS.to_vec()).unwrap();
    let mut workspace = Workspace::allocate(&b, Shape::new(ROWS, DIM)).unwrap();
    let mut tape = MlpTape::new(&b, &net, ROWS).unwrap();
    let mut out = batch(ROWS, DIM);
    let mut op = tape.linearise(&b, &net, &x, &mut out).unwrap();
    let size = exact.layers[0].weight.as_slice().len();
    let (mut mean, mut squares) = (vec![0.0; size], vec![0.0; size]);
    let draws = 4_000;
    for i in 0..draws {
        let mut gradient = MlpGradient::zeros(&b, &net, ROWS).unwrap();
        let draw = Draw::new(Key::new(i));
        estimator
            .gradient(
                &b,
                &mut op,
                &draw,
                Some(&weights),
                &mut workspace,
                &mut gradient,
            )
            .unwrap();
        for (k, g) in gradient.layers[0].weight.as_slice().iter().enumerate() {
            mean[k] += g / draws as f64;
            squares[k] += g * g / draws as f64;
        }
    }
    let (mut distance, mut norm) = (0.0, 0.0);
    for (k, exact) in exact.layers[0].weight.as_slice().iter().enumerate() {
        let error = ((squares[k] - mean[k] * mean[k]) / draws as f64).sqrt();
        assert!((mean[k] - exact).abs() < 5.0 * error, "{k}");
        distance += (mean[k] - exact).powi(2);
        norm += exact * exact;
    }
    assert!(distance.sqrt() < 0.1 * norm.sqrt(), "{distance} {norm}");
}

#[test]
fn nets_of_the_wrong_shape_are_refused() {
    let b = Host::new();
    assert!(Mlp::random(&b, &[3, 3], Activation::Tanh, 0.5, Key::new(1)).is_err());
    let deep = net(&[4, 4, 4], Activation::Tanh);
    assert!(TraceTape::new(&b, &deep).is_err());
    let mut tape = MlpTape::new(&b, &deep, ROWS).unwrap();
    let mut out = b.batch(Shape::new(ROWS, DIM)).unwrap();
    let short = normals(ROWS - 1, DIM, 1);
    assert!(tape.linearise(&b, &deep, &short, &mut out).is_err());
}
