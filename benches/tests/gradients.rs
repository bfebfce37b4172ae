//! The gradients that are timed against each other are gradients of the same function.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use detfree::faer::Faer;
use detfree::reference::Heap;
use detfree::{Affine, Allocate, FlowBackend, Shape};
use detfree_benches::inverse::ByInverse;
use detfree_benches::ordinary::{BySolve, InverseTransposed, Ordinary};
use detfree_benches::problem;
use detfree_benches::relative::Relative;

const SHAPE: Shape = Shape::new(7, 5);
const DEPTH: usize = 3;

fn host<B: Allocate>(b: &B, directions: &[Affine<B::Batch>]) -> Vec<Affine<Vec<B::Scalar>>> {
    let get = |batch: &B::Batch| {
        let Shape { rows, dim } = b.shape(batch);
        let mut host = vec![B::Scalar::default(); rows * dim];
        b.download(batch, &mut host).unwrap();
        host
    };
    let get = |Affine { weight, bias }: &Affine<B::Batch>| Affine {
        weight: get(weight),
        bias: get(bias),
    };
    directions.iter().map(get).collect()
}

fn ordinary<B: FlowBackend + Allocate>(
    b: &B,
    inverse: impl InverseTransposed<B>,
) -> Vec<Affine<Vec<B::Scalar>>> {
    let layers = problem::layers(SHAPE.dim, DEPTH);
    let mut out = problem::directions(b, SHAPE.dim, DEPTH).unwrap();
    let mut ordinary = Ordinary::new(b, &layers, SHAPE, inverse).unwrap();
    let rows = problem::rows(SHAPE.rows, SHAPE.dim);
    ordinary.gradient(b, &rows, &mut out).unwrap();
    host(b, &out)
}

/// T = G Wᵀ + g bᵀ and t = g of the ordinary gradient (G, g): ΔW = T W, Δb = T b + t.
#[test]
fn relative_and_ordinary_gradients_are_one() {
    let (b, n) = (Heap::<f64>::new(), SHAPE.dim);
    let layers = problem::layers(n, DEPTH);
    let mut relative = Relative::new(&b, &layers, SHAPE, 1).unwrap();
    let rows = problem::rows(SHAPE.rows, n);
    let out = host(&b, relative.gradient(&b, &rows).unwrap());
    let ordinary = ordinary(&b, BySolve::new(&b, n).unwrap());
    for ((relative, ordinary), layer) in out.iter().zip(&ordinary).zip(&layers) {
        let tangent = |i: usize, j: usize| {
            let product: f64 = (0..n)
                .map(|k| ordinary.weight[i * n + k] * layer.weight[j * n + k])
                .sum();
            product + ordinary.bias[i] * layer.bias[j]
        };
        for i in 0..n {
            let row: Vec<f64> = (0..n).map(|j| tangent(i, j)).collect();
            let weight = |j| -> f64 { (0..n).map(|k| row[k] * layer.weight[k * n + j]).sum() };
            let bias: f64 = (0..n).map(|k| row[k] * layer.bias[k]).sum();
            // Sums of a few dozen numbers of about 1, and inverses of condition about 2.
            for j in 0..n {
                assert!((relative.weight[i * n + j] - weight(j)).abs() < 256.0 * f64::EPSILON);
            }
            let bias = bias + ordinary.bias[i];
            assert!((relative.bias[i] - bias).abs() < 256.0 * f64::EPSILON);
        }
    }
}

#[test]
fn both_inverses_are_inverses() {
    let b = Faer::<f32>::sequential();
    let by_inverse = ordinary(&b, ByInverse::new(SHAPE.dim));
    let by_solve = ordinary(&b, BySolve::new(&b, SHAPE.dim).unwrap());
    for (one, other) in by_inverse.iter().zip(&by_solve) {
        for (x, y) in one.weight.iter().zip(&other.weight) {
            assert!((x - y).abs() < 64.0 * f32::EPSILON);
        }
        assert_eq!(one.bias, other.bias);
    }
}
