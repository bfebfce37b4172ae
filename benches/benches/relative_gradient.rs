//! One gradient of a two-layer flow at batch 100, f32 on one thread, by dimension: relative, and
//! ordinary by an explicit inverse and by LU solves.

#![expect(clippy::unwrap_used, reason = "a benchmark ends where it fails")]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use detfree::Shape;
use detfree::faer::Faer;
use detfree_benches::inverse::ByInverse;
use detfree_benches::ordinary::{BySolve, Ordinary};
use detfree_benches::problem;
use detfree_benches::relative::Relative;

const ROWS: usize = 100;
const DEPTH: usize = 2;

fn relative_gradient(criterion: &mut Criterion) {
    let b = Faer::<f32>::sequential();
    let mut group = criterion.benchmark_group("gradient");
    group.sample_size(10);
    for dim in [10, 32, 100, 500, 784] {
        let shape = Shape::new(ROWS, dim);
        let layers = problem::layers(dim, DEPTH);
        let mut out = problem::directions(&b, dim, DEPTH).unwrap();
        let rows = problem::rows::<f32>(ROWS, dim);
        let mut relative = Relative::new(&b, &layers, shape, 1).unwrap();
        group.bench_function(BenchmarkId::new("relative", dim), |bencher| {
            bencher.iter(|| relative.gradient(&b, &rows).map(<[_]>::len).unwrap());
        });
        let mut inverse = Ordinary::new(&b, &layers, shape, ByInverse::new(dim)).unwrap();
        group.bench_function(BenchmarkId::new("ordinary, inverse", dim), |bencher| {
            bencher.iter(|| inverse.gradient(&b, &rows, &mut out).unwrap());
        });
        let solve = BySolve::new(&b, dim).unwrap();
        let mut solve = Ordinary::new(&b, &layers, shape, solve).unwrap();
        group.bench_function(BenchmarkId::new("ordinary, LU solves", dim), |bencher| {
            bencher.iter(|| solve.gradient(&b, &rows, &mut out).unwrap());
        });
    }
}

criterion_group!(benches, relative_gradient);
criterion_main!(benches);
