//! One Adam step of a two-layer relative-gradient flow at batch 100: forward, backward, relative
//! gradient and update, f32 on one thread, by dimension and backend.

#![expect(clippy::unwrap_used, reason = "a benchmark ends where it fails")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use detfree::faer::Faer;
use detfree::flows::relative::{FlowTape, Optimiser, OptimiserState, RelativeFlow};
use detfree::reference::Heap;
use detfree::{Activation, Allocate, BaseDensity, FlowBackend, Key, Shape};
use detfree_benches::normal_rows;

const ROWS: usize = 100;
const DEPTH: usize = 2;

fn step<B: FlowBackend<Scalar = f32> + Allocate>(
    criterion: &mut Criterion,
    name: &str,
    b: &B,
    dims: &[usize],
) {
    let mut group = criterion.benchmark_group("relative step");
    for &dim in dims {
        let sigma = Activation::LeakySoftplus { alpha: 0.3 };
        let base = BaseDensity::Normal;
        let mut flow = RelativeFlow::random(b, dim, DEPTH, sigma, base, Key::new(1)).unwrap();
        let shape = Shape::new(ROWS, dim);
        let mut tape = FlowTape::new(b, &flow, shape).unwrap();
        let mut state = OptimiserState::new(b, &flow, shape, Optimiser::Adam).unwrap();
        let rows = normal_rows::<f32>(ROWS, dim);
        // Products: forward, Wᵀy and the rank-R update in every layer, Wᵀδ in all but the first.
        let products = (4 * DEPTH - 1) * 2 * ROWS * dim * dim;
        group.throughput(Throughput::Elements(products as u64));
        group.bench_function(BenchmarkId::new(name, dim), |bencher| {
            // A step of size zero, so that thousands of repetitions do not wander off.
            bencher.iter(|| state.step(b, &mut flow, &mut tape, &rows, 0.0).unwrap());
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
}

criterion_group!(benches, relative_step);
criterion_main!(benches);
