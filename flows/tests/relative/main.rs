//! The flow against explicit determinants, its steps against the long way, its samples against its
//! density.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clip;
mod inverse;
mod last_layer;
mod refused;
mod round_trip;
mod steps;

use detfree_core::reference::Heap;
use detfree_core::{Activation, Affine, Allocate, BaseDensity, DenseBackend, Key, Shape, Side};
use detfree_flows::relative::{Evaluator, FlowTape, RelativeFlow};

type Host = Heap<f64>;
type Layers = Vec<Affine<Vec<f64>>>;

const DIM: usize = 3;

const ACTIVATIONS: [Activation; 2] = [
    Activation::LeakySoftplus { alpha: 0.3 },
    Activation::TanhLinear {
        alpha: 1.0,
        beta: 0.1,
    },
];
const BASES: [BaseDensity; 3] = [
    BaseDensity::Normal,
    BaseDensity::HyperbolicSecant,
    BaseDensity::Logistic,
];

fn normals(count: usize, seed: u64) -> Vec<f64> {
    let key = Key::new(seed);
    (0..count as u32).map(|i| key.normal(0, i)).collect()
}

/// Well-conditioned weights that are not orthogonal, and biases that are not zero.
fn layers(depth: usize) -> Layers {
    (0..depth as u64)
        .map(|l| {
            let mut weight = normals(DIM * DIM, 10 + l);
            for (i, x) in weight.iter_mut().enumerate() {
                *x = 0.3 * *x + f64::from(u8::from(i % (DIM + 1) == 0));
            }
            let bias = normals(DIM, 20 + l);
            Affine { weight, bias }
        })
        .collect()
}

fn flow(host: &Layers, activation: Activation, base: BaseDensity) -> RelativeFlow<Host> {
    RelativeFlow::from_layers(&Host::new(), DIM, host, activation, base).unwrap()
}

fn log_density(flow: &RelativeFlow<Host>, rows: &[f64]) -> Vec<f64> {
    let mut out = Vec::new();
    Evaluator::new(&Host::new(), flow, DIM)
        .unwrap()
        .log_density(&Host::new(), flow, rows, &mut out)
        .unwrap();
    out
}

/// The map x → z_L of one row, the long way.
fn map(host: &Layers, activation: Activation, x: &[f64]) -> Vec<f64> {
    let dim = x.len();
    let mut z = x.to_vec();
    for (l, Affine { weight, bias }) in host.iter().enumerate() {
        let y: Vec<f64> = (0..dim)
            .map(|i| bias[i] + (0..dim).map(|j| weight[i * dim + j] * z[j]).sum::<f64>())
            .collect();
        z.clone_from(&y);
        if l + 1 < host.len() {
            let (mut d1, mut d2) = (vec![0.0; dim], vec![0.0; dim]);
            activation.jets(&y, &mut z, &mut d1, &mut d2);
        }
    }
    z
}

/// log p(x) = log p₀(f(x)) + log|det ∂f|, the Jacobian by central differences of the map.
#[test]
fn density_is_the_change_of_variables() {
    let b = Host::new();
    for activation in ACTIVATIONS {
        for base in BASES {
            let host = layers(3);
            let flow = flow(&host, activation, base);
            let rows = normals(4 * DIM, 5);
            let figures = log_density(&flow, &rows);
            for (x, figure) in rows.chunks_exact(DIM).zip(figures) {
                let step = 1e-5;
                let mut jacobian = b.batch(Shape::new(DIM, DIM)).unwrap();
                for j in 0..DIM {
                    let shifted = |by: f64| {
                        let mut x = x.to_vec();
                        x[j] += by;
                        map(&host, activation, &x)
                    };
                    let (plus, minus) = (shifted(step), shifted(-step));
                    for i in 0..DIM {
                        jacobian.row_mut(i)[j] = (plus[i] - minus[i]) / (2.0 * step);
                    }
                }
                let (_, log_det) = b.log_abs_det(&mut jacobian).unwrap();
                let z = map(&host, activation, x);
                let expected = base.log_density_and_score(&z, &mut [0.0; DIM]) + log_det;
                // A central difference is good to about step² and eps/step.
                assert!((figure - expected).abs() < 1e-8, "{activation:?} {base:?}");
            }
        }
    }
}

/// Samples of every base: E[log p] over 20,000 of them against the flow's own entropy, which for
/// one linear layer is the base's less log|det W|. A bias of 4 standard errors, 0.04, is caught.
#[test]
fn samples_follow_the_density() {
    let b = Host::new();
    let rows = 20_000;
    for base in BASES {
        // Of one coordinate: the quadrature of −p log p.
        let entropy: f64 = (-40_000..40_000)
            .map(|i| {
                let log = base.log_density_and_score(&[f64::from(i) * 1e-3], &mut [0.0]);
                -log.exp() * log * 1e-3
            })
            .sum();
        let flow = flow(&layers(1), Activation::Identity, base);
        let mut z = b.batch(Shape::new(rows, DIM)).unwrap();
        flow.sample(&b, Key::new(4), 0, &mut z).unwrap();
        let figures = log_density(&flow, z.as_slice());
        let mean = figures.iter().sum::<f64>() / rows as f64;
        let variance = figures.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / rows as f64;
        let expected = flow.log_abs_det(&b).unwrap() - DIM as f64 * entropy;
        let z = (mean - expected) / (variance / rows as f64).sqrt();
        assert!(z.abs() < 4.0, "{base:?}: z = {z}");
        assert!(variance < 9.0);
    }
}

#[test]
fn singular_weights_and_wrong_rows_are_refused() {
    let b = Host::new();
    let mut host = layers(2);
    host[1].weight = vec![0.0; DIM * DIM];
    let singular = flow(&host, ACTIVATIONS[0], BaseDensity::Normal);
    assert!(singular.log_abs_det(&b).is_err());
    let mut z = b.batch(Shape::new(2, DIM)).unwrap();
    assert!(singular.sample(&b, Key::new(1), 0, &mut z).is_err());
    let sound = flow(&layers(2), ACTIVATIONS[0], BaseDensity::Normal);
    let mut evaluator = Evaluator::new(&b, &sound, DIM).unwrap();
    let refused = evaluator.log_density(&b, &sound, &[0.0; DIM + 1], &mut Vec::new());
    assert!(refused.is_err());
    let mut tape = FlowTape::new(&b, &sound, Shape::new(2, DIM), Side::Plain).unwrap();
    assert!(tape.forward(&b, &sound, &[0.0; DIM], &mut [0.0]).is_err());
}
