//! Noise: exactly that of the formula, and what sampling leaves of it.

use detfree_core::{
    Allocate, Backend, DenseBackend, Key, LogDet, Matrix, Probe, Quantity, RouletteSchedule,
    Scalar, Shape, TraceEstimator,
};

use super::{DIM, host_sums, series, workspace};
use crate::failure::{ensure, near};
use crate::operands::{batch, row_results};
use crate::{Outcome, Plain};

/// Var(X | v) = Σ_{k≥2} (1/S(k) − 1/S(k−1)) T_k², T_k the tails of the unweighted signed terms.
pub(crate) fn variance<B: Backend + Allocate>(b: &B) -> Outcome {
    let (norm, terms) = (0.8, 240);
    // The worst of all J of this norm: every term has the same sign.
    let w = Plain::new(DIM, DIM, |_, _| -norm / DIM as f64).rounded::<B::Scalar>();
    let probes = Plain::new(1, DIM, |_, _| 1.0);
    let mut power = probes.clone();
    let mut signed = vec![0.0];
    for k in 1..=terms {
        power = power.times(&w);
        let form = power.times(&probes.t()).at(0, 0);
        signed.push(if k % 2 == 1 { 1.0 } else { -1.0 } * form / f64::from(k));
    }
    for quantity in [Quantity::Value, Quantity::Gradient] {
        let law = RouletteSchedule::certified(norm, quantity)?;
        let exact: f64 = (2..terms)
            .map(|k| {
                let tail: f64 = signed[k as usize..].iter().rev().sum();
                (1.0 / law.survival(k) - 1.0 / law.survival(k - 1)) * tail * tail
            })
            .sum();
        let (mut mean, mut square) = (0.0, 0.0);
        for n in 1..terms {
            let probability = law.survival(n) - law.survival(n + 1);
            let x = host_sums(b, &series(law), &w, n, &probes)?.values[0];
            mean += probability * x;
            square += probability * x * x;
        }
        // Differences of sums of order 1, a hundred terms of them.
        let tolerance = 256.0 * B::Scalar::EPSILON;
        let case = format!("Var[X | v] with {law:?}");
        near(case, &[square - mean * mean], &[exact], tolerance)?;
        // The check would be empty where the tolerance hid the variance.
        ensure(exact > 2.0 * tolerance, || {
            format!("the variance is only {exact:e}")
        })?;
    }
    Ok(())
}

/// Samples of the certified schedule with each probe law, 400 batches of 16 rows: |z| < 4.5 is
/// exceeded by luck once in 10⁵, and with a standard error of at most 0.02 a bias of 0.09 is caught.
pub(crate) fn certified_samples<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    let (dim, rows) = (16, 16);
    let w = Plain::contraction(dim, 0.8, 4).rounded::<B::Scalar>();
    let (_, exact, _) = Plain::identity(dim).plus(1.0, &w).invert();
    for (probe, passes) in [
        (Probe::Rademacher, 2),
        (Probe::Gaussian, 2),
        (Probe::Orthogonal, 4),
    ] {
        let estimator = LogDet {
            schedule: RouletteSchedule::certified(0.8, Quantity::Gradient)?,
            trace: TraceEstimator::new(probe, passes),
        };
        let mut op = Matrix::new(b, batch(b, &w)?, rows)?;
        let mut workspace = workspace(b, Shape::new(rows, dim))?;
        let mut out = row_results(b, &vec![f64::NAN; rows])?;
        let mut host = vec![0.0; rows];
        let (samples, key) = (400, Key::new(8));
        let estimate = estimator.estimate(
            b,
            &mut op,
            samples,
            key,
            &mut workspace,
            &mut out,
            &mut host,
        )?;
        let z = (estimate.mean - exact) / estimate.standard_error;
        ensure(z.abs() < 4.5, || {
            format!(
                "{probe:?}: {} is {z:.1} standard errors off {exact}",
                estimate.mean
            )
        })?;
        ensure(estimate.standard_error < 0.02, || {
            format!("{probe:?}: a standard error of {}", estimate.standard_error)
        })?;
    }
    Ok(())
}
