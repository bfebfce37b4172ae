//! Products of a batch in `f32` on one thread: `x Wᵀ`, `x W` and `δᵀx`, by faer and by `detfree-x86`, which takes
//! those that it is quicker at.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use detfree_x86::{Matmul, Start, quickest};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};

/// Rows of a batch, and numbers in each.
const SIZES: [[usize; 2]; 7] = [
    [100, 32],
    [100, 100],
    [20, 784],
    [64, 784],
    [100, 784],
    [100, 1000],
    [64, 2000],
];

fn products(criterion: &mut Criterion) {
    let faer: Matmul =
        |dst, _, lhs, rhs, alpha| matmul(dst, Accum::Replace, lhs, rhs, alpha, Par::Seq);
    for [rows, dim] in SIZES {
        let number = |i: usize, j: usize| (i * 31 + j * 17) as f32 % 19.0 / 19.0 - 0.5;
        // Rows that lie in one piece, as the backend's batches have them, are columns here.
        let (x, w) = (
            Mat::from_fn(dim, rows, number),
            Mat::from_fn(dim, dim, number),
        );
        let (mut y, mut g) = (Mat::zeros(dim, rows), Mat::zeros(dim, dim));
        let mut group = criterion.benchmark_group(format!("{rows} rows of {dim}"));
        group.throughput(Throughput::Elements((rows * dim * dim) as u64));
        let mut each = |name: &str, dst: faer::MatMut<'_, f32>, lhs, rhs| {
            let mut dst = dst;
            let ours = quickest(dst.as_ref(), lhs, rhs);
            for (library, product) in [("faer", Some(faer)), ("detfree-x86", ours)] {
                let Some(product) = product else { continue };
                group.bench_function(BenchmarkId::new(name, library), |bencher| {
                    bencher.iter(|| product(dst.as_mut(), Start::Zero, lhs, rhs, 1.0));
                });
            }
        };
        let (x, w) = (x.as_ref().transpose(), w.as_ref().transpose());
        each("x Wᵀ", y.as_mut().transpose_mut(), x, w.transpose());
        each("x W", y.as_mut().transpose_mut(), x, w);
        each("δᵀx", g.as_mut().transpose_mut(), x.transpose(), x);
    }
}

criterion_group!(benches, products);
criterion_main!(benches);
