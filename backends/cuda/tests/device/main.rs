//! What this backend promises beyond the conformance suite: the reference's bits in fills and
//! elementwise passes, sizes that its tiles and grids cut up, training beside faer's, errors that
//! say what to do.
#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap like tests")]

mod blas;
#[path = "../common/mod.rs"]
mod common;
mod errors;
mod factors;
mod launches;
mod passes;
mod sizes;
mod steady;
mod training;

use std::process::ExitCode;

use detfree_core::reference::Heap;
use detfree_core::{Allocate, Backend, Fill, Key, Scalar, Shape};
use detfree_faer::Faer;
use libtest_mimic::{Arguments, Completion, Trial};

fn main() -> ExitCode {
    if let Some(code) = errors::probe() {
        return code;
    }
    common::with_driver(|| {
        let trials = [
            both(
                "passes::bits_of_the_reference",
                passes::bits::<f32>,
                passes::bits::<f64>,
            ),
            both(
                "passes::more_threads_than_blocks",
                passes::looped::<f32>,
                passes::looped::<f64>,
            ),
            both(
                "sizes::products",
                sizes::products::<f32>,
                sizes::products::<f64>,
            ),
            both("sizes::chain", sizes::chain::<f32>, sizes::chain::<f64>),
            both(
                "sizes::sums_of_rows",
                sizes::sums_of_rows::<f32>,
                sizes::sums_of_rows::<f64>,
            ),
            both(
                "sizes::relative_adam",
                sizes::relative_adam::<f32>,
                sizes::relative_adam::<f64>,
            ),
            both(
                "sizes::transpose",
                sizes::transpose::<f32>,
                sizes::transpose::<f64>,
            ),
            both("factors::lu", factors::lu::<f32>, factors::lu::<f64>),
            both(
                "factors::cholesky",
                factors::cholesky::<f32>,
                factors::cholesky::<f64>,
            ),
            both(
                "training::relative_flow",
                || training::relative(&Faer::<f32>::sequential()),
                || training::relative(&Faer::<f64>::sequential()),
            ),
            both(
                "training::residual_flow",
                || training::residual(&Faer::<f32>::sequential()),
                || training::residual(&Faer::<f64>::sequential()),
            ),
            both(
                "steady::allocates_nothing",
                steady::nothing::<f32>,
                steady::nothing::<f64>,
            ),
            both(
                "errors::out_of_memory",
                errors::out_of_memory::<f32>,
                errors::out_of_memory::<f64>,
            ),
            both(
                "errors::operands",
                errors::operands::<f32>,
                errors::operands::<f64>,
            ),
            both(
                "errors::dropped_elsewhere",
                errors::dropped_elsewhere::<f32>,
                errors::dropped_elsewhere::<f64>,
            ),
            vec![
                Trial::ignorable_test("launches::of_a_term_f32", || {
                    Ok(launches::of_a_term::<f32>())
                }),
                Trial::ignorable_test("launches::of_a_term_f64", || {
                    Ok(launches::of_a_term::<f64>())
                }),
                Trial::ignorable_test("blas::products_f32", || Ok(blas::products::<f32>())),
                Trial::ignorable_test("blas::products_f64", || Ok(blas::products::<f64>())),
                Trial::ignorable_test("blas::lost_device", || Ok(blas::lost_device())),
                Trial::ignorable_test("launches::no_copy_outlasts_its_call", || {
                    Ok(launches::no_copy_outlasts_its_call())
                }),
                Trial::ignorable_test("errors::old_driver", || Ok(errors::old_driver())),
                Trial::ignorable_test("errors::no_driver", || Ok(errors::no_driver())),
                Trial::test("errors::no_such_device", || {
                    errors::no_such_device();
                    Ok(())
                }),
            ],
        ];
        let trials = trials.into_iter().flatten().collect();
        libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
    })
}

/// A trial in each precision.
fn both(name: &str, single: fn(), double: fn()) -> Vec<Trial> {
    let trial = |name: String, test: fn()| {
        Trial::ignorable_test(name, move || {
            test();
            Ok(Completion::Completed)
        })
    };
    vec![
        trial(format!("{name}_f32"), single),
        trial(format!("{name}_f64"), double),
    ]
}

/// Numbers of standard deviation `scale`, a function of the seed alone: the reference's on every
/// backend.
fn normals<B: Allocate>(b: &B, shape: Shape, seed: u64, scale: f64) -> B::Batch {
    let host = Heap::<B::Scalar>::new();
    let Ok(mut numbers) = host.batch(shape);
    let fill = Fill::Gaussian {
        key: Key::new(seed),
        first_row: 0,
        scale,
    };
    let Ok(()) = host.fill(fill, &mut numbers);
    let mut x = b.batch(shape).unwrap();
    b.upload(numbers.as_slice(), &mut x).unwrap();
    x
}

/// A batch that may only be written.
fn dirty<B: Allocate>(b: &B, shape: Shape) -> B::Batch {
    let mut x = b.batch(shape).unwrap();
    let host = vec![B::Scalar::from_f64(f64::NAN); shape.rows * shape.dim];
    b.upload(&host, &mut x).unwrap();
    x
}

fn read<B: Allocate>(b: &B, x: &B::Batch) -> Vec<f64> {
    let shape = b.shape(x);
    let mut host = vec![B::Scalar::default(); shape.rows * shape.dim];
    b.download(x, &mut host).unwrap();
    host.iter().map(|x| x.to_f64()).collect()
}

fn read_rows<B: Allocate>(b: &B, rows: &B::Rows) -> Vec<f64> {
    let mut host = vec![f64::NAN; b.row_count(rows)];
    b.download_rows(rows, &mut host).unwrap();
    host
}

#[track_caller]
fn near(case: &str, got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{case}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!(
            (want - got).abs() <= tolerance * want.abs().max(1.0),
            "{case}: element {i} is {got:e}, not {want:e}"
        );
    }
}

#[track_caller]
fn same_bits(case: &str, got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{case}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let same = got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
        assert!(same, "{case}: element {i} is {got:e}, not {want:e}");
    }
}
