//! One Adam step of a two-layer relative-gradient flow at batch 100: forward, backward, relative
//! gradient and update, f32 on one thread (or a GPU, with the feature `cuda`), by dimension and backend.

#![expect(clippy::unwrap_used, reason = "a benchmark ends where it fails")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use detfree::faer::Faer;
use detfree::reference::Heap;
use detfree::{Allocate, FlowBackend, Shape};
use detfree_benches::problem;
use detfree_benches::relative::Relative;

const ROWS: usize = 100;
const DEPTH: usize = 2;

fn step<B>(criterion: &mut Criterion, name: &str, b: &B, dims: &[usize])
where
    B: FlowBackend<Scalar = f32> + Allocate + Sync,
{
    let mut group = criterion.benchmark_group("relative step");
    for &dim in dims {
        let shape = Shape::new(ROWS, dim);
        let layers = problem::layers(dim, DEPTH);
        let mut relative = Relative::new(b, &layers, shape, 1).unwrap();
        let rows = problem::rows::<f32>(ROWS, dim);
        // Products: forward, Wᵀy and the rank-R update in every layer, Wᵀδ in all but the first.
        let products = (4 * DEPTH - 1) * 2 * ROWS * dim * dim;
        group.throughput(Throughput::Elements(products as u64));
        group.bench_function(BenchmarkId::new(name, dim), |bencher| {
            // A step of size zero, so that thousands of repetitions do not wander off.
            bencher.iter(|| relative.step(b, &rows, 0.0).unwrap());
        });
    }
}

fn relative_step(criterion: &mut Criterion) {
    step(
        criterion,
        "faer",
        &Faer::sequential(),
        &[2, 10, 64, 100, 500, 784, 2000],
    );
    step(
        criterion,
        "reference",
        &Heap::<f32>::new(),
        &[2, 10, 64, 100],
    );
    #[cfg(feature = "cuda")]
    match detfree::cuda::Cuda::discover() {
        Ok(b) => step(criterion, "cuda", &b, &[2, 10, 64, 100, 500, 784, 2000]),
        Err(error) => eprintln!("no rows for cuda: {error}"),
    }
}

criterion_group!(benches, relative_step);
criterion_main!(benches);
