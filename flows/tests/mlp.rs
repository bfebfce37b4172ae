//! Nets as operators: sampled gradients, and what is refused. Products, exact log-determinants and
//! exact gradients are the conformance suite's, which checks them on every backend.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use detfree_core::reference::Heap;
use detfree_core::{
    Activation, Allocate, Backend, BilinearGradient, Dense, Draw, Fill, FirstTrace, Key, LogDet,
    Probe, Quantity, RouletteSchedule, Shape, TraceEstimator, Workspace,
};
use detfree_flows::mlp::{Mlp, MlpGradient, MlpTape, TraceTape};

type Host = Heap<f64>;
type Batch = Dense<Vec<f64>>;

const DIM: usize = 3;
const ROWS: usize = 4;
/// Unequal, one of them zero and one negative.
const WEIGHTS: [f64; ROWS] = [0.7, -1.3, 0.0, 2.1];

fn normals(rows: usize, dim: usize, seed: u64) -> Batch {
    let mut x = Dense::on_heap(Shape::new(rows, dim));
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

/// The gradient with respect to the first weight, for each of the draws.
fn gradients(estimator: LogDet, draws: u64) -> Vec<Vec<f64>> {
    let b = Host::new();
    let net = net(&[6, 4], Activation::LipSwish { beta: 1.0 });
    let x = normals(ROWS, DIM, 1);
    let weights = Dense::new(Shape::new(ROWS, 1), WEIGHTS.to_vec()).unwrap();
    let mut workspace = Workspace::allocate(&b, x.shape()).unwrap();
    let mut tape = MlpTape::new(&b, &net, ROWS).unwrap();
    let mut out = Dense::on_heap(x.shape());
    let mut op = tape.linearise(&b, &net, &x, &mut out).unwrap();
    let mut gradients = Vec::new();
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
        gradients.push(gradient.layers[0].weight.as_slice().to_vec());
    }
    gradients
}

/// The stochastic gradient's mean over 4,000 draws is the exact one: a bias of 5 standard errors
/// in any of the first weight's entries would be caught, and one of 10% of its norm.
#[test]
fn sampled_gradient_is_unbiased() {
    let exact = LogDet {
        schedule: RouletteSchedule::truncated(150).unwrap(),
        trace: TraceEstimator::new(Probe::Basis, 1),
    };
    let exact = gradients(exact, 1).remove(0);
    let estimator = LogDet {
        schedule: RouletteSchedule::certified(0.5, Quantity::Gradient).unwrap(),
        trace: TraceEstimator::new(Probe::Rademacher, 1),
    };
    let samples = gradients(estimator, 4_000);
    let count = samples.len() as f64;
    let (mut distance, mut norm) = (0.0, 0.0);
    for (k, exact) in exact.into_iter().enumerate() {
        let mean = samples.iter().map(|g| g[k]).sum::<f64>() / count;
        let squares = samples.iter().map(|g| (g[k] - mean).powi(2)).sum::<f64>();
        let error = squares.sqrt() / count;
        assert!((mean - exact).abs() < 5.0 * error, "{k}");
        distance += (mean - exact).powi(2);
        norm += exact * exact;
    }
    assert!(distance.sqrt() < 0.1 * norm.sqrt(), "{distance} {norm}");
}

/// Whatever was there: the first sum after it takes its place, and a weight that gets none becomes zero.
#[test]
fn a_cleared_gradient_is_a_new_one() {
    let b = Host::new();
    let estimator = LogDet {
        schedule: RouletteSchedule::truncated(3).unwrap(),
        trace: TraceEstimator::new(Probe::Rademacher, 2),
    };
    for (hidden, exact_first) in [(&[6, 4][..], false), (&[6, 4], true), (&[5], true)] {
        let net = net(hidden, Activation::LipSwish { beta: 1.0 });
        let x = normals(ROWS, DIM, 1);
        let mut workspace = Workspace::allocate(&b, x.shape()).unwrap();
        let mut tape = MlpTape::new(&b, &net, ROWS).unwrap();
        let mut trace = TraceTape::new(&b, &net).unwrap();
        trace.refresh(&b, &net).unwrap();
        let mut fill = |gradient: &mut MlpGradient<Host>| {
            let (draw, w, mut out) = (
                Draw::new(Key::new(2)),
                &mut workspace,
                Dense::on_heap(x.shape()),
            );
            let mut op = tape.linearise(&b, &net, &x, &mut out).unwrap();
            if exact_first {
                let (estimator, mut op) = (estimator.with_exact_first(), op.with_trace(&mut trace));
                op.accumulate_trace(&b, None, gradient).unwrap();
                estimator.gradient(&b, &mut op, &draw, None, w, gradient)
            } else {
                op.accumulate_output(&b, &x, gradient).unwrap();
                estimator.gradient(&b, &mut op, &draw, None, w, gradient)
            }
            .unwrap();
        };
        let weights = |gradient: &MlpGradient<Host>| -> Vec<Vec<f64>> {
            let layers = gradient.layers.iter();
            layers.map(|sum| sum.weight.as_slice().to_vec()).collect()
        };
        let mut new = MlpGradient::zeros(&b, &net, ROWS).unwrap();
        fill(&mut new);
        let mut cleared = MlpGradient::zeros(&b, &net, ROWS).unwrap();
        for sum in &mut cleared.layers {
            b.fill(Fill::Constant(f64::NAN), &mut sum.weight).unwrap();
        }
        cleared.clear(&b).unwrap();
        fill(&mut cleared);
        assert_eq!(weights(&cleared), weights(&new));

        cleared.clear(&b).unwrap();
        let mut out = Dense::on_heap(x.shape());
        let mut op = tape.linearise(&b, &net, &x, &mut out).unwrap();
        op.finish(&b, &mut cleared).unwrap();
        assert!(weights(&cleared).concat().iter().all(|&x| x == 0.0));
    }
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
