//! The flow against explicit determinants, its steps against the likelihood's slope, its samples
//! against its density.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use detfree_core::reference::Heap;
use detfree_core::{
    Activation, Affine, Allocate, BaseDensity, Dense, DenseBackend, Key, Scalar, Shape,
};
use detfree_flows::relative::{Evaluator, FlowTape, Optimiser, OptimiserState, RelativeFlow};

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

/// An SGD step with rate μ raises the mean log-likelihood by μ Σ_l (‖T_l‖² + ‖t_l‖²) + O(μ²), and
/// the change of Σ log|det W| that it reports is the one LU finds. The slope is checked against
/// the direction itself: ⟨∂ℓ/∂θ, Δθ⟩ by differences along it.
#[test]
fn steps_ascend_and_report_their_log_det() {
    let b = Host::new();
    for activation in ACTIVATIONS {
        for base in BASES {
            let host = layers(3);
            let rows = normals(5 * DIM, 6);
            let mean =
                |flow: &RelativeFlow<Host>| log_density(flow, &rows).iter().sum::<f64>() / 5.0;
            let mut slopes = [0.0; 2];
            for (slope, mu) in slopes.iter_mut().zip([1e-6, 1e-7]) {
                let mut flow = flow(&host, activation, base);
                let shape = Shape::new(5, DIM);
                let mut tape = FlowTape::new(&b, &flow, shape).unwrap();
                let mut state = OptimiserState::new(&b, &flow, shape, Optimiser::Sgd).unwrap();
                let (before, log_det) = (mean(&flow), flow.log_abs_det(&b).unwrap());
                let report = state.step(&b, &mut flow, &mut tape, &rows, mu).unwrap();
                assert!((report.log_density + log_det - before).abs() < 1e-12);
                let change = flow.log_abs_det(&b).unwrap() - log_det;
                assert!((report.log_det_change.unwrap() - change).abs() < 1e-13);
                assert_eq!(report.shrinks, 0);
                *slope = (mean(&flow) - before) / mu;
            }
            // The slope is a property of the point, not of μ, and it is that of ascent.
            assert!(slopes[0] > 0.0);
            assert!((slopes[0] / slopes[1] - 1.0).abs() < 1e-3, "{slopes:?}");
            let squares = squared_gradient(&host, activation, base, &rows);
            assert!(
                (slopes[1] / squares - 1.0).abs() < 1e-3,
                "{slopes:?} {squares}"
            );
        }
    }
}

/// Σ_l ‖T_l‖² + ‖t_l‖² where T_l = (∂ℓ/∂W_l) W_lᵀ + (∂ℓ/∂b_l) b_lᵀ and t_l = ∂ℓ/∂b_l: the gradient at
/// the identity of the group acting on y_l, from central differences in the ordinary parameters.
fn squared_gradient(host: &Layers, activation: Activation, base: BaseDensity, rows: &[f64]) -> f64 {
    let mean = |host: &Layers| {
        let figures = log_density(&flow(host, activation, base), rows);
        figures.iter().sum::<f64>() / figures.len() as f64
    };
    let step = 1e-5;
    let mut sum = 0.0;
    for l in 0..host.len() {
        let slope = |shift: &dyn Fn(&mut Layers, f64)| {
            let mut shifted = [host.clone(), host.clone()];
            shift(&mut shifted[0], step);
            shift(&mut shifted[1], -step);
            (mean(&shifted[0]) - mean(&shifted[1])) / (2.0 * step)
        };
        let weight: Vec<f64> = (0..DIM * DIM)
            .map(|i| slope(&|host, by| host[l].weight[i] += by))
            .collect();
        let bias: Vec<f64> = (0..DIM)
            .map(|i| slope(&|host, by| host[l].bias[i] += by))
            .collect();
        for i in 0..DIM {
            sum += bias[i] * bias[i];
            for j in 0..DIM {
                let Affine { weight: w, bias: b } = &host[l];
                let product = (0..DIM).map(|k| weight[i * DIM + k] * w[j * DIM + k]);
                let t: f64 = product.sum::<f64>() + bias[i] * b[j];
                sum += t * t;
            }
        }
    }
    sum
}

/// The worst error of x → z → x over standard normal rows, relative to max(1, |x|), at a random
/// flow of `depth` layers.
fn round_trip<T: Scalar>(activation: Activation, depth: usize) -> f64 {
    let b = Heap::<T>::new();
    let (dim, rows) = (5, 20);
    let flow =
        RelativeFlow::random(&b, dim, depth, activation, BaseDensity::Normal, Key::new(1)).unwrap();
    let host = flow.to_layers(&b).unwrap();
    let x = normals(rows * dim, 2);
    // Forward the long way, in f64 with the same weights.
    let z: Vec<T> = x
        .chunks_exact(dim)
        .flat_map(|x| map(&host, activation, x))
        .map(T::from_f64)
        .collect();
    let mut z = Dense::new(Shape::new(rows, dim), z).unwrap();
    flow.invert(&b, &mut z).unwrap();
    let errors = z.as_slice().iter().zip(&x);
    errors
        .map(|(back, x)| (back.to_f64() - x).abs() / x.abs().max(1.0))
        .fold(0.0, f64::max)
}

/// The condition of the map grows with depth, faster where slopes spread more: s_T's lie between
/// 0.1 and 1.1.
#[test]
fn inversion_undoes_the_map() {
    for (activation, depth) in [(ACTIVATIONS[0], 30), (ACTIVATIONS[1], 10)] {
        let error = round_trip::<f64>(activation, depth);
        assert!(error < 1e-10, "{activation:?}: {error:e}");
        let error = round_trip::<f32>(activation, depth);
        assert!(error < 1e-3, "{activation:?}: {error:e}");
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
    let mut tape = FlowTape::new(&b, &sound, Shape::new(2, DIM)).unwrap();
    assert!(tape.forward(&b, &sound, &[0.0; DIM], &mut [0.0]).is_err());
}
