//! Expectations by enumeration of every probe and number of terms.

use detfree_core::{
    Allocate, Backend, BilinearGradient, DenseBackend, Key, Matrix, RouletteSchedule, Scalar,
    Series, Shape, Terms,
};

use super::{DIM, host_sums, run, series, workspace};
use crate::failure::{Computed, near};
use crate::jacobians::Jacobians;
use crate::operands::{batch, read, read_rows, row_results, store};
use crate::{Failure, Outcome, Plain, RowSums, Sums, unbiased, unbiased_rows};

fn laws() -> Result<[RouletteSchedule; 4], Failure> {
    Ok([
        RouletteSchedule::geometric_unchecked(2, 0.5)?,
        RouletteSchedule::geometric_unchecked(0, 0.7)?,
        RouletteSchedule::geometric_unchecked(5, 0.3)?,
        RouletteSchedule::poisson_unchecked(1, 3.0)?,
    ])
}

fn small<T: Scalar>(seed: u64) -> Plain {
    Plain::contraction(DIM, 0.4, seed).rounded::<T>()
}

/// With an operator on the host: the passes that every backend has.
pub(crate) fn enumerated<B: Backend + Allocate>(b: &B) -> Outcome {
    let w = small::<B::Scalar>(1);
    for law in laws()? {
        unbiased(&law, &w, B::Scalar::EPSILON, |n, probes| {
            Ok(host_sums(b, &series(law), &w, n, probes)?)
        })?;
    }
    Ok(())
}

fn matrix_sums<B: DenseBackend + Allocate>(
    b: &B,
    series: &Series,
    jacobian: &Plain,
    n: u32,
    probes: &Plain,
) -> Computed<B, Sums> {
    let mut op = Matrix::new(b, batch(b, jacobian)?, probes.shape().rows)?;
    let mut gradient = batch(b, &Plain::filled(jacobian.shape(), 0.0))?;
    let values = run(b, &mut op, series, Terms::Same(n), probes, &mut gradient)?;
    let gradient = read(b, &gradient)?;
    Ok(Sums { values, gradient })
}

/// With the backend's own products.
pub(crate) fn enumerated_on_a_matrix<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    let w = small::<B::Scalar>(2);
    for law in laws()? {
        unbiased(&law, &w, B::Scalar::EPSILON, |n, probes| {
            Ok(matrix_sums(b, &series(law), &w, n, probes)?)
        })?;
    }
    Ok(())
}

/// One run for a batch, its gradient taken apart by row weights that are unit vectors.
fn row_sums<B: Backend + Allocate>(
    b: &B,
    op: &Jacobians,
    law: RouletteSchedule,
    terms: Terms,
    probes: &Plain,
) -> Computed<B, RowSums> {
    let rows = op.factors.len();
    let mut op = op.clone();
    let mut workspace = workspace(b, probes.shape())?;
    store(b, probes, workspace.probe_mut())?;
    let mut out = row_results(b, &vec![0.0; rows])?;
    series(law).value_and_sum(b, &mut op, terms, &mut workspace, &mut out)?;
    let probe = batch(b, probes)?;
    let mut sum = batch(b, &Plain::dirty(probes.shape()))?;
    let mut gradients = Vec::new();
    for r in 0..rows {
        let unit: Vec<f64> = (0..rows).map(|i| f64::from(u8::from(i == r))).collect();
        b.copy(workspace.sum(), &mut sum)?;
        b.scale_rows(&row_results(b, &unit)?, &mut sum)?;
        let mut gradient = Plain::filled(op.weight.shape(), 0.0);
        op.accumulate(b, &sum, &probe, &mut gradient)?;
        op.finish(b, &mut gradient)?;
        // The gradient is that with respect to W, and J_r = a_r W.
        gradients.push(gradient.scaled(1.0 / op.factors[r]));
    }
    let values = read_rows(b, &out)?;
    Ok(RowSums { values, gradients })
}

/// Another Jacobian in every row: a range off by one, or wrong at the turn of the cyclic interval,
/// biases a row.
pub(crate) fn enumerated_per_row<B: Backend + Allocate>(b: &B) -> Outcome {
    for factors in [vec![1.0], vec![1.0, -0.6, 0.3]] {
        let op = Jacobians {
            weight: Plain::contraction(2, 0.4, 5).rounded::<B::Scalar>(),
            factors,
        };
        let jacobians: Vec<Plain> = (0..op.factors.len()).map(|r| op.of_row(r)).collect();
        for law in [
            RouletteSchedule::geometric_unchecked(1, 0.5)?,
            RouletteSchedule::poisson_unchecked(1, 2.0)?,
        ] {
            unbiased_rows(&law, &jacobians, B::Scalar::EPSILON, |terms, probes| {
                Ok(row_sums(b, &op, law, terms, probes)?)
            })?;
        }
    }
    Ok(())
}

/// A row of a stratified batch has the value that it has where every row runs its number of terms:
/// for every rotation, in a batch of as many Jacobians.
pub(crate) fn rows_run_their_own_terms<B: Backend + Allocate>(b: &B) -> Outcome {
    let op = Jacobians {
        weight: Plain::contraction(DIM, 0.4, 6).rounded::<B::Scalar>(),
        factors: vec![1.0, -0.6, 0.3, 0.8, -1.0],
    };
    let rows = op.factors.len();
    let law = RouletteSchedule::geometric_unchecked(1, 0.7)?;
    let probes = Plain::random::<B::Scalar>(Shape::new(rows, DIM), 9);
    let values = |terms| {
        let mut gradient = Plain::filled(op.weight.shape(), 0.0);
        run(
            b,
            &mut op.clone(),
            &series(law),
            terms,
            &probes,
            &mut gradient,
        )
    };
    for rotation in 0..rows {
        let uniform = Key::new(7).uniform(rotation as u64, 0);
        let terms = Terms::Stratified { uniform, rotation };
        let got = values(terms)?;
        for (r, got) in got.into_iter().enumerate() {
            let alone = Terms::Same(terms.of_row(&law, r, rows));
            let case = format!("row {r} of {terms:?}");
            // The same operations on the same numbers.
            near(
                case,
                &[got],
                &[values(alone)?[r]],
                16.0 * B::Scalar::EPSILON,
            )?;
        }
    }
    Ok(())
}
