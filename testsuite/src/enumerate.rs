//! Expectations that are sums: every sign vector, every number of terms, with its probability.

use detfree_core::{RouletteSchedule, Terms};

use crate::failure::{ensure, near};
use crate::{Failure, Outcome, Plain};

/// What one run of a series gave for a batch: the value of every row, and the gradient summed
/// over the rows, Σ_r s_r v_rᵀ.
#[derive(Clone, Debug, PartialEq)]
pub struct Sums {
    /// X_r
    pub values: Vec<f64>,
    /// Σ_r s_r v_rᵀ
    pub gradient: Plain,
}

/// The same of a batch whose rows have Jacobians of their own: the gradient of every row apart.
#[derive(Clone, Debug, PartialEq)]
pub struct RowSums {
    /// X_r
    pub values: Vec<f64>,
    /// s_r v_rᵀ
    pub gradients: Vec<Plain>,
}

/// Rounding of a sum of a hundred or so numbers of order 1, each from a few dozen operations.
const ROUNDINGS: f64 = 256.0;

/// All of {±1}^D, one a row.
#[must_use]
pub fn sign_vectors(dim: usize) -> Plain {
    Plain::new(1 << dim, dim, |r, c| {
        1.0 - 2.0 * f64::from((r >> c & 1) as u8)
    })
}

/// mean ← mean + share · gradient
fn add(mean: &mut Plain, share: f64, gradient: &Plain) -> Outcome {
    ensure(gradient.shape() == mean.shape(), || {
        format!(
            "a gradient of {:?}, not {:?}",
            gradient.shape(),
            mean.shape()
        )
    })?;
    *mean = mean.plus(share, gradient);
    Ok(())
}

/// How much of an expectation the numbers of terms beyond n can hold, for ‖v‖ = 1 and terms of
/// size Lᵏ: Σ_{m>n} P(N=m) Σ_{k≤m} Lᵏ/S(k) = S(n+1) Σ_{k≤n} Lᵏ/S(k) + Σ_{k>n} Lᵏ.
fn remainder(law: &RouletteSchedule, contraction: f64, n: u32) -> f64 {
    let terms = (0..=n).map(|k| contraction.powi(k as i32) / law.survival(k));
    law.survival(n + 1) * terms.sum::<f64>() + contraction.powi(n as i32 + 1) / (1.0 - contraction)
}

/// The numbers of terms that matter to an accuracy of `rounding`, for an operator of D dimensions.
fn most_terms(law: &RouletteSchedule, contraction: f64, dim: usize, rounding: f64) -> u32 {
    (1..500)
        .find(|&n| dim as f64 * remainder(law, contraction, n) < 0.25 * rounding)
        .unwrap_or(500)
}

/// Passes where E\[X\] = log det(I + J) and E\[s vᵀ\] = (I + J)⁻ᵀ, over every probe of {±1}^D and
/// every number of terms N of `law`, with exact probabilities, to 256 times `rounding` (the ε of
/// the data type). `estimator` gets N and a batch of all the probes.
///
/// ‖J‖ is taken to be below its Frobenius norm, and that below 1.
///
/// ```
/// use detfree_core::RouletteSchedule;
/// use detfree_testsuite::{Plain, Sums, unbiased};
/// let law = RouletteSchedule::truncated(60).unwrap();
/// // In one dimension the series is that of log(1 + j), and v² = 1.
/// let j = Plain::new(1, 1, |_, _| 0.25_f64);
/// let estimator = |n: u32, probes: &Plain| {
///     let powers = |k: u32| (-0.25_f64).powi(k as i32);
///     let value = -(1..=n).map(|k| powers(k) / f64::from(k)).sum::<f64>();
///     let sum = (0..=n).map(powers).sum::<f64>();
///     let rows = probes.shape().rows;
///     Ok(Sums { values: vec![value; rows], gradient: Plain::new(1, 1, |_, _| rows as f64 * sum) })
/// };
/// unbiased(&law, &j, f64::EPSILON, estimator).unwrap();
/// ```
///
/// # Errors
/// Where an expectation is off, and by how much.
pub fn unbiased(
    law: &RouletteSchedule,
    jacobian: &Plain,
    rounding: f64,
    mut estimator: impl FnMut(u32, &Plain) -> Result<Sums, Failure>,
) -> Outcome {
    let dim = jacobian.shape().dim;
    let probes = sign_vectors(dim);
    let share = 1.0 / probes.shape().rows as f64;
    let mut value = 0.0;
    let mut gradient = Plain::new(dim, dim, |_, _| 0.0);
    let most = most_terms(law, jacobian.squared_norm().sqrt(), dim, rounding);
    for n in 1..=most {
        let probability = law.survival(n) - law.survival(n + 1);
        if probability > 0.0 {
            let sums = estimator(n, &probes)?;
            value += probability * share * sums.values.iter().sum::<f64>();
            add(&mut gradient, probability * share, &sums.gradient)?;
        }
    }
    let (_, log_det, inverse) = Plain::identity(dim).plus(1.0, jacobian).invert();
    let tolerance = ROUNDINGS * rounding;
    near(
        format!("E[value] with {law:?}"),
        &[value],
        &[log_det],
        tolerance,
    )?;
    let case = format!("E[gradient] with {law:?}");
    near(case, &gradient, &inverse.t(), tolerance)
}

/// Passes where every row of a batch has E\[X_r\] = log det(I + J_r) and E\[s_r v_rᵀ\] =
/// (I + J_r)⁻ᵀ under the stratified roulette, over every probe of {±1}^D (the same in every row) and
/// every draw of uniform and rotation up to which terms the rows get, with exact probabilities, to
/// 256 times `rounding`.
///
/// `jacobians` has one J_r a row, as [`unbiased`] wants it.
///
/// # Errors
/// Which row is off, and by how much.
pub fn unbiased_rows(
    law: &RouletteSchedule,
    jacobians: &[Plain],
    rounding: f64,
    mut estimator: impl FnMut(Terms, &Plain) -> Result<RowSums, Failure>,
) -> Outcome {
    let rows = jacobians.len();
    let dim = jacobians.iter().map(|j| j.shape().dim).max().unwrap_or(0);
    let contraction = jacobians.iter().map(|j| j.squared_norm().sqrt());
    let contraction = contraction.fold(0.0, f64::max);
    let signs = sign_vectors(dim);
    let count = signs.shape().rows;
    let mut values = vec![0.0; rows];
    let mut gradients = vec![Plain::new(dim, dim, |_, _| 0.0); rows];
    let most = most_terms(law, contraction, dim, rounding / rows as f64);
    for (probability, terms) in draws(law, rows, most) {
        let share = probability / count as f64;
        for probe in 0..count {
            let probes = Plain::new(rows, dim, |_, c| signs.at(probe, c));
            let sums = estimator(terms, &probes)?;
            for (mean, value) in values.iter_mut().zip(sums.values) {
                *mean += share * value;
            }
            for (mean, gradient) in gradients.iter_mut().zip(&sums.gradients) {
                add(mean, share, gradient)?;
            }
        }
    }
    for (r, jacobian) in jacobians.iter().enumerate() {
        let (_, log_det, inverse) = Plain::identity(dim).plus(1.0, jacobian).invert();
        let tolerance = ROUNDINGS * rounding;
        let case = format!("E[value] of row {r} with {law:?}");
        near(case, &[values[r]], &[log_det], tolerance)?;
        let case = format!("E[gradient] of row {r} with {law:?}");
        let gradient = &gradients[r];
        near(case, gradient, &inverse.t(), tolerance)?;
    }
    Ok(())
}

/// The numbers of terms change only where some S(k) crosses a quantile: between these cuts every
/// uniform number gives the same.
fn draws(law: &RouletteSchedule, rows: usize, most: u32) -> Vec<(f64, Terms)> {
    let positions = (1..=most).map(|k| law.survival(k) * rows as f64);
    let mut cuts: Vec<f64> = positions
        .map(|at| at - at.floor())
        .chain([0.0, 1.0])
        .collect();
    cuts.sort_by(f64::total_cmp);
    let pieces = cuts.windows(2).filter(|piece| piece[1] > piece[0]);
    pieces
        .flat_map(|piece| {
            let uniform = 0.5 * (piece[0] + piece[1]);
            let probability = (piece[1] - piece[0]) / rows as f64;
            (0..rows).map(move |rotation| (probability, Terms::Stratified { uniform, rotation }))
        })
        .collect()
}
