//! The series on a backend: unbiased, by enumeration; with the variance of its formula; and exact
//! with exact probes.

mod enumeration;
mod exact;
mod variance;

use detfree_core::{
    Allocate, BilinearGradient, FirstTerm, RouletteSchedule, ScheduleError, Series, Shape, Terms,
    Workspace,
};

pub(crate) use enumeration::{
    enumerated, enumerated_on_a_matrix, enumerated_per_row, rows_run_their_own_terms,
};
pub(crate) use exact::{exact_first_trace, exact_probes, exact_probes_on_a_matrix};
pub(super) use exact::{run as run_exact, run_with_exact_first};
pub(crate) use variance::{certified_samples, variance};

use crate::failure::Computed;
use crate::jacobians::Jacobians;
use crate::operands::{batch, dirty, read_rows, row_results, store};
use crate::{Failure, Plain, Sums};

const DIM: usize = 3;

impl From<ScheduleError> for Failure {
    fn from(error: ScheduleError) -> Self {
        Self::new(format!("the check's own schedule: {error}"))
    }
}

fn series(schedule: RouletteSchedule) -> Series {
    Series {
        schedule,
        first: FirstTerm::Probed,
    }
}

/// Four buffers of NaN.
fn workspace<B: Allocate>(b: &B, shape: Shape) -> Computed<B, Workspace<B>> {
    let buffer = || dirty(b, shape);
    Workspace::new(b, [buffer()?, buffer()?, buffer()?, buffer()?])
}

/// The value of every row for these probes and terms, and the gradient into `gradient`.
fn run<B: Allocate, O: BilinearGradient<B>>(
    b: &B,
    op: &mut O,
    series: &Series,
    terms: Terms,
    probes: &Plain,
    gradient: &mut O::Gradient,
) -> Computed<B, Vec<f64>> {
    let mut workspace = workspace(b, probes.shape())?;
    store(b, probes, workspace.probe_mut())?;
    let mut out = row_results(b, &vec![0.0; probes.shape().rows])?;
    series.value_and_sum(b, op, terms, &mut workspace, &mut out)?;
    // `probe` is lent mutably, and the contraction needs it beside the sum.
    let probe = batch(b, probes)?;
    op.accumulate(b, workspace.sum(), &probe, gradient)?;
    op.finish(b, gradient)?;
    read_rows(b, &out)
}

/// A run of N terms with J = `jacobian` in every row, its products taken on the host.
fn host_sums<B: Allocate>(
    b: &B,
    series: &Series,
    jacobian: &Plain,
    n: u32,
    probes: &Plain,
) -> Computed<B, Sums> {
    let mut op = Jacobians {
        weight: jacobian.clone(),
        factors: vec![1.0; probes.shape().rows],
    };
    let mut gradient = Plain::filled(jacobian.shape(), 0.0);
    let values = run(b, &mut op, series, Terms::Same(n), probes, &mut gradient)?;
    Ok(Sums { values, gradient })
}
