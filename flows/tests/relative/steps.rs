//! Relative gradients and the optimisers' steps, the long way, and what SGD follows.

use detfree_core::{Activation, Affine, BaseDensity, Dense, Shape, Side};
use detfree_flows::relative::{
    Drift, FlowTape, Optimiser, OptimiserState, RelativeFlow, ShardedGradient,
};

use crate::{ACTIVATIONS, BASES, DIM, Host, Layers, flow, layers, log_density, normals};

const SIDES: [Side; 2] = [Side::Plain, Side::Transposed];
const ROWS: usize = 5;

/// A tape and an optimiser for batches of [`ROWS`] rows.
fn training(
    flow: &RelativeFlow<Host>,
    optimiser: Optimiser,
    side: Side,
) -> (FlowTape<Host>, OptimiserState<Host>) {
    let (b, shape) = (Host::new(), Shape::new(ROWS, DIM));
    let tape = FlowTape::new(&b, flow, shape, side).unwrap();
    let state = OptimiserState::new(&b, flow, shape, optimiser, side).unwrap();
    (tape, state)
}

fn directions(flow: &RelativeFlow<Host>, rows: &[f64], side: Side) -> Layers {
    let b = Host::new();
    let (mut tape, mut state) = training(flow, Optimiser::Adam, side);
    let batch = |rows| Dense::on_heap(Shape::new(rows, DIM));
    let mut directions: Vec<_> = (0..flow.depth())
        .map(|_| Affine {
            weight: batch(DIM),
            bias: batch(1),
        })
        .collect();
    state
        .gradient(&b, flow, &mut tape, rows, &mut directions)
        .unwrap();
    on_host(&directions)
}

fn on_host(directions: &[Affine<Dense<Vec<f64>>>]) -> Layers {
    let host = |x: &Dense<Vec<f64>>| x.as_slice().to_vec();
    directions
        .iter()
        .map(|Affine { weight, bias }| Affine {
            weight: host(weight),
            bias: host(bias),
        })
        .collect()
}

/// ∂ℓ/∂W_l and ∂ℓ/∂b_l of the mean log-likelihood, its log|det W_l| included, by central
/// differences.
fn ordinary_gradient(
    host: &Layers,
    activation: Activation,
    base: BaseDensity,
    rows: &[f64],
) -> Layers {
    let mean = |host: &Layers| {
        let figures = log_density(&flow(host, activation, base), rows);
        figures.iter().sum::<f64>() / figures.len() as f64
    };
    let step = 1e-5;
    let slope = |shift: &dyn Fn(&mut Layers, f64)| {
        let mut shifted = [host.clone(), host.clone()];
        shift(&mut shifted[0], step);
        shift(&mut shifted[1], -step);
        (mean(&shifted[0]) - mean(&shifted[1])) / (2.0 * step)
    };
    (0..host.len())
        .map(|l| Affine {
            weight: (0..DIM * DIM)
                .map(|i| slope(&|host, by| host[l].weight[i] += by))
                .collect(),
            bias: (0..DIM)
                .map(|i| slope(&|host, by| host[l].bias[i] += by))
                .collect(),
        })
        .collect()
}

/// The product of two matrices with DIM columns and rows in common.
fn times(x: &[f64], y: &[f64]) -> Vec<f64> {
    let row = |x: &[f64], j: usize| (0..DIM).map(|k| x[k] * y[k * DIM + j]).sum();
    x.chunks_exact(DIM)
        .flat_map(|x| (0..DIM).map(move |j| row(x, j)))
        .collect()
}

fn transposed(x: &[f64]) -> Vec<f64> {
    (0..DIM * DIM).map(|i| x[i % DIM * DIM + i / DIM]).collect()
}

/// With G = ∂ℓ/∂W and g = ∂ℓ/∂b: (G Wᵀ + g bᵀ) W and (G Wᵀ + g bᵀ) b + g, plain; W Wᵀ G and
/// W Wᵀ g, transposed.
#[test]
fn gradients_are_relative() {
    for activation in ACTIVATIONS {
        for base in BASES {
            let host = layers(3);
            let rows = normals(ROWS * DIM, 6);
            let ordinary = ordinary_gradient(&host, activation, base, &rows);
            for side in SIDES {
                let got = directions(&flow(&host, activation, base), &rows, side);
                for ((layer, gradient), got) in host.iter().zip(&ordinary).zip(&got) {
                    let w_t = transposed(&layer.weight);
                    let (weight, bias) = match side {
                        Side::Plain => {
                            let mut t = times(&gradient.weight, &w_t);
                            for (i, t) in t.iter_mut().enumerate() {
                                *t += gradient.bias[i / DIM] * layer.bias[i % DIM];
                            }
                            let bias = times(&layer.bias, &transposed(&t));
                            let bias = bias.iter().zip(&gradient.bias).map(|(x, y)| x + y);
                            (times(&t, &layer.weight), bias.collect::<Vec<_>>())
                        }
                        Side::Transposed => {
                            let square = times(&layer.weight, &w_t);
                            (
                                times(&square, &gradient.weight),
                                times(&gradient.bias, &square),
                            )
                        }
                    };
                    let pairs = got.weight.iter().zip(&weight);
                    for (got, want) in pairs.chain(got.bias.iter().zip(&bias)) {
                        // A central difference is good to about step² and eps/step.
                        assert!(
                            (got - want).abs() < 1e-7,
                            "{activation:?} {base:?} {side:?}"
                        );
                    }
                }
            }
        }
    }
}

/// What a tape has not kept cannot be had from it.
#[test]
fn a_tape_for_the_plain_side_has_no_anchors_of_the_other() {
    let mut flow = flow(&layers(2), ACTIVATIONS[0], BASES[0]);
    let (mut tape, _) = training(&flow, Optimiser::Adam, Side::Plain);
    let (_, mut state) = training(&flow, Optimiser::Adam, Side::Transposed);
    let rows = normals(ROWS * DIM, 6);
    let refused = state.step(&Host::new(), &mut flow, &mut tape, &rows, 0.1);
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("the transposed side")
    );
}

/// Every optimiser's first steps, the long way from the directions.
#[test]
fn optimisers_follow_their_rules() {
    let b = Host::new();
    let (activation, base) = (ACTIVATIONS[0], BASES[0]);
    let rows = normals(ROWS * DIM, 6);
    for side in SIDES {
        for optimiser in [
            Optimiser::Sgd,
            Optimiser::Momentum { decay: 0.7 },
            Optimiser::Adam,
        ] {
            let mut flow = flow(&layers(3), activation, base);
            let (mut tape, mut state) = training(&flow, optimiser, side);
            let mut want = flow.to_layers(&b).unwrap();
            let mut memory = vec![[0.0, 0.0]; want.len() * DIM * (DIM + 1)];
            for t in 1..4 {
                let along = directions(&flow, &rows, side);
                let numbers = want
                    .iter_mut()
                    .flat_map(|layer| layer.weight.iter_mut().chain(&mut layer.bias));
                let along = along
                    .iter()
                    .flat_map(|layer| layer.weight.iter().chain(&layer.bias));
                for ((x, g), [m, v]) in numbers.zip(along).zip(&mut memory) {
                    let mu = 0.01;
                    *x += match optimiser {
                        Optimiser::Sgd => mu * g,
                        Optimiser::Momentum { decay } => {
                            *m = decay * *m + g;
                            mu * *m
                        }
                        Optimiser::Adam => {
                            *m = 0.9 * *m + 0.1 * g;
                            *v = 0.999 * *v + 0.001 * g * g;
                            let (m, v) =
                                (*m / (1.0 - 0.9_f64.powi(t)), *v / (1.0 - 0.999_f64.powi(t)));
                            mu * m / (v.sqrt() + 1e-8)
                        }
                    };
                }
                state.step(&b, &mut flow, &mut tape, &rows, 0.01).unwrap();
                for (got, want) in flow.to_layers(&b).unwrap().iter().zip(&want) {
                    let pairs = got.weight.iter().zip(&want.weight);
                    for (got, want) in pairs.chain(got.bias.iter().zip(&want.bias)) {
                        // Some thirty operations on numbers of order 1, in another order.
                        let error = (got - want).abs();
                        assert!(
                            error < 128.0 * f64::EPSILON,
                            "{optimiser:?} {side:?}: {error:e}"
                        );
                    }
                }
            }
        }
    }
}

/// Σ log|det W|, W⁻¹ and the likelihood of the batch as SGD follows them for 300 steps, against LU.
#[test]
fn sgd_follows_the_likelihood_and_the_inverses() {
    let b = Host::new();
    for side in SIDES {
        let mut flow = flow(&layers(3), ACTIVATIONS[0], BASES[1]);
        let (mut tape, mut state) = training(&flow, Optimiser::Sgd, side);
        let start = flow.log_abs_det(&b).unwrap();
        assert_eq!(state.log_abs_det(), Some(start));
        for batch in 0..300 {
            let rows = normals(ROWS * DIM, 100 + batch);
            let figures = log_density(&flow, &rows);
            let exact = figures.iter().sum::<f64>() / ROWS as f64;
            let report = state.step(&b, &mut flow, &mut tape, &rows, 0.02).unwrap();
            assert!((report.log_likelihood.unwrap() - exact).abs() < 1e-12);
        }
        let exact = flow.log_abs_det(&b).unwrap();
        assert!((exact - start).abs() > 0.1, "nothing moved");
        assert!((state.log_abs_det().unwrap() - exact).abs() < 1e-12);
        for (l, layer) in flow.to_layers(&b).unwrap().iter().enumerate() {
            let unit = times(state.inverse(l).unwrap().as_slice(), &layer.weight);
            for (i, x) in unit.iter().enumerate() {
                let want = f64::from(u8::from(i % (DIM + 1) == 0));
                assert!((x - want).abs() < 1e-11, "{side:?}: {x} for {want}");
            }
        }
        let drift = state.refresh(&b, &flow).unwrap().unwrap();
        assert!(drift.log_det < 1e-12 && drift.inverse < 1e-11, "{drift:?}");
        assert!(drift.inverse > 0.0, "300 steps have left no rounding");
        // What has been refreshed has not drifted.
        assert_eq!(state.refresh(&b, &flow).unwrap(), Some(Drift::default()));
    }
}

/// The others do not pretend to.
#[test]
fn only_sgd_follows_the_likelihood() {
    let b = Host::new();
    for optimiser in [Optimiser::Adam, Optimiser::Momentum { decay: 0.9 }] {
        let mut flow = flow(&layers(2), ACTIVATIONS[0], BASES[0]);
        let (mut tape, mut state) = training(&flow, optimiser, Side::Plain);
        let rows = normals(ROWS * DIM, 6);
        let report = state.step(&b, &mut flow, &mut tape, &rows, 0.01).unwrap();
        assert_eq!((report.log_likelihood, report.log_det_change), (None, None));
        assert_eq!(state.refresh(&b, &flow).unwrap(), None);
        assert!(state.inverse(0).is_none() && state.log_abs_det().is_none());
    }
}

/// The directions of shards of one and two rows are those of the batch, and so are the steps.
#[test]
fn shards_give_the_directions_and_steps_of_the_batch() {
    let (b, shape) = (Host::new(), Shape::new(ROWS, DIM));
    let rows = normals(ROWS * DIM, 11);
    let close = |x: &Layers, y: &Layers| {
        for (x, y) in x.iter().zip(y) {
            let pairs = x.weight.iter().zip(&y.weight);
            for (x, y) in pairs.chain(x.bias.iter().zip(&y.bias)) {
                assert!((x - y).abs() < 1e-13, "{x} {y}");
            }
        }
    };
    for (side, optimiser) in SIDES.into_iter().flat_map(|side| {
        [Optimiser::Adam, Optimiser::Momentum { decay: 0.5 }].map(|optimiser| (side, optimiser))
    }) {
        let host = layers(3);
        let new = || flow(&host, ACTIVATIONS[0], BASES[0]);
        let (mut whole, mut cut) = (new(), new());
        let (mut tape, mut state) = training(&whole, optimiser, side);
        let (_, mut cut_state) = training(&cut, optimiser, side);
        let mut sharded = ShardedGradient::new(&b, &cut, shape, side, 3).unwrap();
        for _ in 0..3 {
            let expected = directions(&cut, &rows, side);
            let density = sharded.compute(&b, &cut, &rows).unwrap();
            close(&on_host(sharded.directions()), &expected);
            cut_state
                .ascend(&b, &mut cut, sharded.directions(), 0.05)
                .unwrap();
            let report = state.step(&b, &mut whole, &mut tape, &rows, 0.05).unwrap();
            assert!((report.log_density - density).abs() < 1e-13);
        }
        close(&cut.to_layers(&b).unwrap(), &whole.to_layers(&b).unwrap());
    }
    let flow = flow(&layers(3), ACTIVATIONS[0], BASES[0]);
    let mut sharded = ShardedGradient::new(&b, &flow, shape, Side::Plain, 99).unwrap();
    assert!(sharded.compute(&b, &flow, &rows[1..]).is_err());
    assert!(sharded.compute(&b, &flow, &rows).is_ok());
}
