//! What the residual benchmarks compare with detfree is right.

use detfree::faer::Faer;
use detfree::flows::mlp::{Mlp, MlpGradient, MlpTape};
use detfree::reference::Heap;
use detfree::{
    Allocate, Backend, BilinearGradient, Dense, Draw, Fill, Key, LogDet, Matrix, Moments, Probe,
    RouletteSchedule, Shape, TraceEstimator, Workspace,
};
use detfree_benches::block::{ACTIVATION, Block};
use detfree_benches::naive::Naive;
use detfree_benches::variance::Powers;

const SHAPE: Shape = Shape::new(4, 3);

fn flat(gradient: &MlpGradient<Heap<f64>>) -> Vec<f64> {
    let layers = gradient.layers.iter();
    let layers = layers.flat_map(|l| [l.weight.as_slice(), l.bias.as_slice()]);
    layers
        .chain([gradient.input.as_slice()])
        .flatten()
        .copied()
        .collect()
}

/// The gradient of n terms by differentiating them and by Neumann's series, which has k = 0 … n − 1: one
/// trace, with all unit vectors for probes, and so one gradient but for rounding.
#[test]
fn differentiated_terms_are_the_neumann_series() {
    let b = Heap::<f64>::new();
    let terms = 7;
    let net = Mlp::random(&b, &[3, 6, 5, 3], ACTIVATION, 0.8, Key::new(1)).unwrap();
    let batch = || b.batch(SHAPE).unwrap();
    let (mut x, mut g, mut probe) = (batch(), batch(), batch());
    detfree_benches::fill_normal(&b, 2, &mut x).unwrap();
    let mut tape = MlpTape::new(&b, &net, SHAPE.rows).unwrap();
    let zeros = || MlpGradient::zeros(&b, &net, SHAPE.rows).unwrap();
    let [mut naive_gradient, mut gradient] = [zeros(), zeros()];
    let mut value = b.rows(SHAPE.rows).unwrap();

    let mut naive = Naive::new(&b, SHAPE, terms).unwrap();
    let mut op = tape.linearise(&b, &net, &x, &mut g).unwrap();
    for i in 0..SHAPE.dim {
        b.fill(Fill::Basis(i), &mut probe).unwrap();
        naive.value(&b, &mut op, &probe, &mut value).unwrap();
        naive.gradient(&b, &mut op, &mut naive_gradient).unwrap();
    }
    op.finish(&b, &mut naive_gradient).unwrap();

    let estimator = LogDet {
        schedule: RouletteSchedule::truncated(terms as u32 - 1).unwrap(),
        trace: TraceEstimator::new(Probe::Basis, 1),
    };
    let mut workspace = Workspace::allocate(&b, SHAPE).unwrap();
    let mut op = tape.linearise(&b, &net, &x, &mut g).unwrap();
    let draw = Draw::new(Key::new(3));
    estimator
        .gradient(&b, &mut op, &draw, None, &mut workspace, &mut gradient)
        .unwrap();
    // Sums of some dozens of numbers of about 1.
    for (one, other) in flat(&naive_gradient).iter().zip(flat(&gradient)) {
        assert!(
            (one - other).abs() < 256.0 * f64::EPSILON,
            "{one} and {other}"
        );
    }
}

/// Shards change the order of sums, and nothing else.
#[test]
fn shards_have_one_gradient() {
    let b = Faer::<f64>::new(2).unwrap();
    let estimator = LogDet {
        schedule: RouletteSchedule::truncated(5).unwrap(),
        trace: TraceEstimator::new(Probe::Rademacher, 1),
    };
    let sums = |shards| {
        let mut block = Block::new(&b, &[3, 6, 5, 3], 7, shards, false).unwrap();
        block.gradient(&b, estimator, Key::new(1)).unwrap();
        block.sums(&b).unwrap()
    };
    let (one, other) = (sums(1), sums(3));
    assert!((one.value - other.value).abs() < 1e-12);
    for (x, y) in one.squares.iter().zip(&other.squares) {
        assert!((x - y).abs() < 1e-12 * (1.0 + x), "{x} and {y}");
    }
}

/// The formulas of variances against samples of the library's estimators. 40,000 rows tell a variance to
/// within 4%, for distributions with a kurtosis of up to 16. Those of a draw share rows of the Walsh–Hadamard
/// matrix, so that there are many draws.
#[test]
fn variances_are_those_of_the_estimators() {
    const ROWS: usize = 10;
    const DRAWS: u64 = 4_000;
    let (b, dim) = (Heap::<f64>::new(), 4);
    let jacobian: Vec<f64> = (0..dim * dim)
        .map(|i| 0.22 * Key::new(9).normal(0, i as u32))
        .collect();
    let weight = Dense::new(Shape::new(dim, dim), jacobian.clone()).unwrap();
    let powers = Powers::of(&jacobian, dim);
    let shape = Shape::new(ROWS, dim);
    let mut workspace = Workspace::allocate(&b, shape).unwrap();
    let mut out = b.rows(ROWS).unwrap();
    for (probe, passes) in [
        (Probe::Gaussian, 1),
        (Probe::Rademacher, 1),
        (Probe::Rademacher, 2),
        (Probe::Orthogonal, 2),
    ] {
        let estimator = LogDet {
            schedule: RouletteSchedule::geometric_unchecked(1, 0.4).unwrap(),
            trace: TraceEstimator::new(probe, passes),
        };
        let mut op = Matrix::new(&b, weight.clone(), ROWS).unwrap();
        let mut moments = Moments::default();
        for number in 0..DRAWS {
            let draw = Draw::new(Key::new(5).fold_in(number));
            estimator
                .value(&b, &mut op, &draw, &mut workspace, &mut out)
                .unwrap();
            out.as_slice().iter().for_each(|&x| moments.push(x));
        }
        let variance = powers.cost(&estimator.schedule, probe, passes, 1).variance;
        assert!(
            (moments.variance() / variance - 1.0).abs() < 0.08,
            "{probe:?} {passes}: {} and {variance}",
            moments.variance()
        );
        let error = (variance / moments.count() as f64).sqrt();
        assert!((moments.mean() - powers.log_det()).abs() < 4.0 * error);
    }
}
