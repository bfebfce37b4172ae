//! Shards and repetition: neither how a batch is cut nor when it runs changes what comes out.

use detfree_core::{
    Allocate, Backend, Draw, Error, Key, LogDet, Probe, RouletteSchedule, Scalar, Shape,
    TraceEstimator, Workspace,
};

use crate::failure::{Computed, Failure, ensure, near};
use crate::jacobians::Jacobians;
use crate::operands::{read_rows, row_results};
use crate::{Outcome, Plain};

const FACTORS: [f64; 7] = [1.0, -0.5, 0.75, 0.25, -1.0, 0.5, 0.9];

/// Values of the rows from `first` on, as a batch of their own.
fn values<B: Backend + Allocate>(
    b: &B,
    estimator: &LogDet,
    weight: &Plain,
    first: usize,
    count: usize,
) -> Computed<B, Vec<f64>> {
    let mut op = Jacobians {
        weight: weight.clone(),
        factors: FACTORS[first..first + count].to_vec(),
    };
    let mut workspace = Workspace::allocate(b, Shape::new(count, weight.shape().dim))?;
    let mut out = row_results(b, &vec![f64::NAN; count])?;
    let draw = Draw::new(Key::new(5)).at_row(first as u64);
    estimator.value(b, &mut op, &draw, &mut workspace, &mut out)?;
    read_rows(b, &out)
}

struct Shard<E> {
    first: usize,
    count: usize,
    runs: u32,
    values: Result<Vec<f64>, Error<E>>,
}

/// Random probes and a fixed number of terms: the shards' values are those of the undivided batch.
pub(crate) fn one_piece<B: Backend + Allocate + Sync>(b: &B) -> Outcome {
    let weight = Plain::contraction(9, 0.5, 3).rounded::<B::Scalar>();
    for probe in [Probe::Rademacher, Probe::Gaussian, Probe::Orthogonal] {
        let estimator = LogDet {
            schedule: RouletteSchedule::truncated(12)?,
            trace: TraceEstimator::new(probe, 3),
        };
        let whole = values(b, &estimator, &weight, 0, FACTORS.len())?;
        let mut shards = [(0, 3), (3, 1), (4, 3)].map(|(first, count)| Shard::<B::Error> {
            first,
            count,
            runs: 0,
            values: Ok(Vec::new()),
        });
        b.each_shard(&mut shards, |b, shard| {
            shard.runs += 1;
            shard.values = values(b, &estimator, &weight, shard.first, shard.count);
            Ok(())
        })
        .map_err(|error| Failure::new(format!("each_shard failed: {error:?}")))?;
        let mut parts = Vec::new();
        for shard in shards {
            ensure(shard.runs == 1, || {
                format!(
                    "the shard from row {} ran {} times",
                    shard.first, shard.runs
                )
            })?;
            parts.extend(shard.values?);
        }
        // The same operations on the same numbers, in another shape.
        let tolerance = 16.0 * 9.0 * B::Scalar::EPSILON;
        near(
            format!("{probe:?} in shards against one piece"),
            &parts,
            &whole,
            tolerance,
        )?;
    }
    Ok(())
}

type Call<B> = fn(&B) -> Result<(), <B as Backend>::Error>;

/// Calls that a backend may refuse with an error: empty batches, and operands that do not fit.
fn refusals<B: Allocate>() -> [Call<B>; 5] {
    const TALL: Shape = Shape::new(4, 1);
    const WIDE: Shape = Shape::new(1, 3);
    [
        |b| b.batch(Shape::new(0, 3)).map(|_| ()),
        |b| b.batch(Shape::new(3, 0)).map(|_| ()),
        |b| b.copy(&b.batch(TALL)?, &mut b.batch(WIDE)?),
        |b| b.upload(&[B::Scalar::from_f64(0.5)], &mut b.batch(TALL)?),
        |b| b.axpy(3..9, 1.0, &b.batch(WIDE)?, &mut b.batch(TALL)?),
    ]
}

/// The first error in index order comes back, where a backend has errors that can be provoked.
pub(crate) fn first_error<B: Backend + Allocate + Sync>(b: &B) -> Outcome {
    let refusals = refusals::<B>();
    let error_of = |call: usize| refusals[call](b).err().map(|error| format!("{error:?}"));
    let refused: Vec<usize> = (0..refusals.len())
        .filter(|&call| error_of(call).is_some())
        .collect();
    let (Some(&one), Some(&other)) = (refused.first(), refused.last()) else {
        return Ok(());
    };
    for (first, last) in [(one, other), (other, one)] {
        let mut shards = [None, Some(first), None, Some(last), None];
        let outcome = b.each_shard(&mut shards, |b, shard| {
            shard.map_or(Ok(()), |call| refusals[call](b))
        });
        let (got, want) = (
            outcome.err().map(|error| format!("{error:?}")),
            error_of(first),
        );
        ensure(got == want, || {
            format!(
                "each_shard, where shards 1 and 3 fail, returns {got:?}, not the error of shard 1, \
                 {want:?}"
            )
        })?;
    }
    Ok(())
}

/// The same bits three times over.
pub(crate) fn run_to_run<B: Backend + Allocate>(b: &B) -> Outcome {
    let weight = Plain::contraction(9, 0.5, 3).rounded::<B::Scalar>();
    let estimator = LogDet {
        schedule: RouletteSchedule::geometric_unchecked(2, 0.5)?,
        trace: TraceEstimator::new(Probe::Gaussian, 2),
    };
    let run = || values(b, &estimator, &weight, 0, FACTORS.len());
    let first = run()?;
    for _ in 0..2 {
        near("a repetition", &run()?, &first, 0.0)?;
    }
    Ok(())
}
