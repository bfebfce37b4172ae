//! Value and gradient of log det(I + J) of a residual block 64-128-128-64 at batch 64, f32 on one
//! thread: the certified roulette at L = 0.9, with and without the exact first trace, and a
//! truncated series of as many terms. On a GPU, too, with the feature `cuda`.

#![expect(clippy::unwrap_used, reason = "a benchmark ends where it fails")]

use criterion::{Criterion, criterion_group, criterion_main};
use detfree::faer::Faer;
use detfree::flows::mlp::{Mlp, MlpGradient, MlpTape, TraceTape};
use detfree::{
    Activation, Allocate, DenseBackend, Draw, Key, LogDet, Probe, Quantity, RouletteSchedule,
    Shape, TraceEstimator, Workspace,
};
use detfree_benches::fill_normal;

fn log_det(criterion: &mut Criterion) {
    value_and_gradient(criterion, "faer", &Faer::sequential());
    #[cfg(feature = "cuda")]
    match detfree::cuda::Cuda::discover() {
        Ok(b) => value_and_gradient(criterion, "cuda", &b),
        Err(error) => eprintln!("no rows for cuda: {error}"),
    }
}

fn value_and_gradient<B>(criterion: &mut Criterion, backend: &str, b: &B)
where
    B: DenseBackend<Scalar = f32> + Allocate,
{
    let (rows, dim) = (64, 64);
    let shape = Shape::new(rows, dim);
    let sigma = Activation::LipSwish { beta: 1.0 };
    let net = Mlp::random(b, &[dim, 128, 128, dim], sigma, 0.4, Key::new(1)).unwrap();
    let mut x = b.batch(shape).unwrap();
    fill_normal(b, 2, &mut x).unwrap();
    let mut out = b.batch(shape).unwrap();
    let mut tape = MlpTape::new(b, &net, rows).unwrap();
    let mut trace = TraceTape::new(b, &net).unwrap();
    let mut workspace = Workspace::allocate(b, shape).unwrap();
    let mut value = b.rows(rows).unwrap();
    let mut gradient = MlpGradient::zeros(b, &net, rows).unwrap();
    let probes = TraceEstimator::new(Probe::Rademacher, 1);
    let certified = RouletteSchedule::certified(0.9, Quantity::Gradient).unwrap();
    let truncated = RouletteSchedule::truncated(12).unwrap();

    let mut host = vec![0.0; rows];
    let mut group = criterion.benchmark_group(format!("value and gradient, {backend}"));
    for (name, schedule) in [("certified", certified), ("truncated at 12", truncated)] {
        let estimator = LogDet {
            schedule,
            trace: probes,
        };
        let mut step = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                step += 1;
                let draw = Draw::new(Key::new(step));
                let mut op = tape.linearise(b, &net, &x, &mut out).unwrap();
                estimator
                    .value_and_gradient(
                        b,
                        &mut op,
                        &draw,
                        None,
                        &mut workspace,
                        &mut value,
                        &mut gradient,
                    )
                    .unwrap();
                // Waits for a device.
                b.download_rows(&value, &mut host).unwrap();
            });
        });
        let estimator = estimator.with_exact_first();
        group.bench_function(format!("{name}, exact first trace"), |bencher| {
            bencher.iter(|| {
                step += 1;
                let draw = Draw::new(Key::new(step));
                let op = tape.linearise(b, &net, &x, &mut out).unwrap();
                let mut op = op.with_trace(&mut trace);
                estimator
                    .value_and_gradient(
                        b,
                        &mut op,
                        &draw,
                        None,
                        &mut workspace,
                        &mut value,
                        &mut gradient,
                    )
                    .unwrap();
                // Waits for a device.
                b.download_rows(&value, &mut host).unwrap();
            });
        });
    }
}

criterion_group!(benches, log_det);
criterion_main!(benches);
