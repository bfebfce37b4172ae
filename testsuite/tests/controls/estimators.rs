//! Wrong estimators and samplers: errors people have published, and near misses.

use std::convert::Infallible;
use std::ops::Range;

use detfree_core::{
    BilinearGradient, FirstTerm, Key, Matrix, Operator, Quantity, RouletteSchedule, Series, Shape,
    Terms, Workspace,
};
use detfree_testsuite::{Outcome, Plain, RowSums, Sums, sampler_follows, unbiased, unbiased_rows};

use crate::assert_rejected;
use crate::host::{Batch, Host, batch, plain, zeros};

fn matrix(w: &Plain, rows: usize) -> Matrix<Batch> {
    Matrix::new(&Host::new(), batch(w), rows).unwrap()
}

/// The core's series for this operator.
fn run_on<O>(op: &mut O, series: Series, terms: Terms, probes: &Plain) -> Sums
where
    O: BilinearGradient<Host, Gradient = Batch>,
{
    let b = Host::new();
    let Shape { rows, dim } = probes.shape();
    let mut workspace = Workspace::allocate(&b, probes.shape()).unwrap();
    *workspace.probe_mut() = batch(probes);
    let (mut out, mut gradient) = (zeros(rows, 1), zeros(dim, dim));
    series
        .value_and_sum(&b, op, terms, &mut workspace, &mut out)
        .unwrap();
    op.accumulate(&b, workspace.sum(), &batch(probes), &mut gradient)
        .unwrap();
    Sums {
        values: out.as_slice().to_vec(),
        gradient: plain(&gradient),
    }
}

/// The same for J = W in every row.
fn run(series: Series, w: &Plain, terms: Terms, probes: &Plain) -> Sums {
    run_on(&mut matrix(w, probes.shape().rows), series, terms, probes)
}

fn scaled(x: &Plain, a: f64) -> Plain {
    Plain::new(x.shape().rows, x.shape().dim, |i, j| a * x.at(i, j))
}

fn law() -> RouletteSchedule {
    RouletteSchedule::geometric_unchecked(2, 0.5).unwrap()
}

fn with(schedule: RouletteSchedule) -> Series {
    Series {
        schedule,
        first: FirstTerm::Probed,
    }
}

fn jacobian() -> Plain {
    Plain::contraction(3, 0.4, 1)
}

/// The verdict on an estimator of N terms for these probes.
fn verdict(estimator: impl Fn(u32, &Plain) -> Sums) -> Outcome {
    unbiased(&law(), &jacobian(), f64::EPSILON, |n, probes| {
        Ok(estimator(n, probes))
    })
}

/// The core's series with another schedule, other terms or other probes.
fn series(series: Series, n: u32, probes: &Plain) -> Sums {
    run(series, &jacobian(), Terms::Same(n), probes)
}

#[test]
fn the_right_estimator_passes() {
    assert_eq!(verdict(|n, v| series(with(law()), n, v)), Ok(()));
}

#[test]
fn without_one_over_survival() {
    assert_rejected(
        verdict(|n, v| series(with(RouletteSchedule::truncated(n).unwrap()), n, v)),
        "E[value]",
    );
}

#[test]
fn survival_off_by_one() {
    let late = RouletteSchedule::geometric_unchecked(3, 0.5).unwrap();
    assert_rejected(verdict(|n, v| series(with(late), n, v)), "E[value]");
}

#[test]
fn sampler_and_survival_that_disagree() {
    let other = RouletteSchedule::geometric_unchecked(2, 0.4).unwrap();
    assert_rejected(verdict(|n, v| series(with(other), n, v)), "E[value]");
}

#[test]
fn samplers() {
    let laws = [
        law(),
        RouletteSchedule::geometric_unchecked(0, 0.98).unwrap(),
        RouletteSchedule::certified(0.9, Quantity::Value).unwrap(),
        RouletteSchedule::certified(0.9, Quantity::Gradient).unwrap(),
        RouletteSchedule::poisson_unchecked(3, 20.0).unwrap(),
        RouletteSchedule::truncated(7).unwrap(),
    ];
    for law in laws {
        assert_eq!(
            sampler_follows(|k| law.survival(k), |u| law.terms(u)),
            Ok(())
        );
    }
    let other = RouletteSchedule::geometric_unchecked(2, 0.4).unwrap();
    for outcome in [
        sampler_follows(|k| law().survival(k), |u| other.terms(u)),
        sampler_follows(|k| law().survival(k + 1), |u| law().terms(u)),
        sampler_follows(|k| law().survival(k), |u| law().terms(u) - 1),
    ] {
        assert_rejected(outcome, "the sampler");
    }
}

#[test]
fn odd_terms_of_the_wrong_sign() {
    let negative = scaled(&jacobian(), -1.0);
    assert_rejected(
        verdict(|n, v| run(with(law()), &negative, Terms::Same(n), v)),
        "E[value]",
    );
}

#[test]
fn a_gradient_that_starts_at_its_second_term() {
    let headless = Series {
        schedule: law(),
        first: FirstTerm::Known { control: 0.0 },
    };
    let estimator = |n, v: &Plain| Sums {
        gradient: series(headless, n, v).gradient,
        ..series(with(law()), n, v)
    };
    assert_rejected(verdict(estimator), "E[gradient]");
}

#[test]
fn probes_of_another_covariance() {
    let estimator = |n, v: &Plain| series(with(law()), n, &scaled(v, 2.0_f64.sqrt()));
    assert_rejected(verdict(estimator), "E[value]");
}

/// g(x) = W x, whose bilinear form is contracted with ∂g/∂W where (∂J)v belongs: s_r x_rᵀ for
/// s_r v_rᵀ, as in published sample code. It is odd in the probe, and zero in expectation.
struct OfTheMap {
    jacobian: Matrix<Batch>,
    x: Batch,
}

impl Operator<Host> for OfTheMap {
    fn shape(&self, b: &Host) -> Shape {
        self.jacobian.shape(b)
    }

    fn jvp(
        &mut self,
        b: &Host,
        rows: Range<usize>,
        v: &Batch,
        out: &mut Batch,
    ) -> Result<(), Infallible> {
        self.jacobian.jvp(b, rows, v, out)
    }

    fn vjp(
        &mut self,
        b: &Host,
        rows: Range<usize>,
        w: &Batch,
        out: &mut Batch,
    ) -> Result<(), Infallible> {
        self.jacobian.vjp(b, rows, w, out)
    }
}

impl BilinearGradient<Host> for OfTheMap {
    type Gradient = Batch;

    fn accumulate(
        &mut self,
        b: &Host,
        s: &Batch,
        _: &Batch,
        gradient: &mut Batch,
    ) -> Result<(), Infallible> {
        self.jacobian.accumulate(b, s, &self.x, gradient)
    }
}

#[test]
fn contraction_with_the_derivative_of_the_map() {
    let estimator = |n, v: &Plain| {
        let mut op = OfTheMap {
            jacobian: matrix(&jacobian(), v.shape().rows),
            x: batch(&Plain::new(v.shape().rows, 3, |r, c| {
                Key::new(1).normal(r as u64, c as u32)
            })),
        };
        run_on(&mut op, with(law()), Terms::Same(n), v)
    };
    // Not because nothing is left of it.
    let one = estimator(3, &Plain::new(1, 3, |_, _| 1.0));
    assert!(one.gradient.as_slice().iter().all(|g| g.abs() > 1e-3));
    assert_rejected(verdict(estimator), "E[gradient]");
}

/// (Jᵀ)ᵏ where Jᵏ belongs: every trace is right, and the gradient transposed.
#[test]
fn vjp_and_jvp_swapped_in_the_series() {
    let estimator = |n, v: &Plain| {
        let right = series(with(law()), n, v);
        let g = &right.gradient;
        let gradient = Plain::new(3, 3, |i, j| g.at(j, i));
        Sums { gradient, ..right }
    };
    assert_rejected(verdict(estimator), "E[gradient]");
}

/// The value read off the bilinear form: its expectation is tr(J(I+J)⁻¹).
#[test]
fn a_value_from_the_bilinear_form() {
    let estimator = |n, v: &Plain| {
        let right = series(with(law()), n, v);
        let pairs = right
            .gradient
            .as_slice()
            .iter()
            .zip(jacobian().as_slice().to_vec());
        let form: f64 = pairs.map(|(g, j)| g * j).sum();
        let rows = v.shape().rows as f64;
        Sums {
            values: vec![form / rows; v.shape().rows],
            ..right
        }
    };
    assert_rejected(verdict(estimator), "E[value]");
}

/// The core's series for J = W in every row, each with a gradient of its own.
fn run_rows(w: &Plain, terms: Terms, probes: &Plain) -> RowSums {
    let b = Host::new();
    let Shape { rows, dim } = probes.shape();
    let mut workspace = Workspace::allocate(&b, probes.shape()).unwrap();
    *workspace.probe_mut() = batch(probes);
    let mut out = zeros(rows, 1);
    with(stratified_law())
        .value_and_sum(&b, &mut matrix(w, rows), terms, &mut workspace, &mut out)
        .unwrap();
    let sum = workspace.sum();
    let gradient = |r| Plain::new(dim, dim, |i, j| sum.row(r)[i] * probes.at(r, j));
    RowSums {
        values: out.as_slice().to_vec(),
        gradients: (0..rows).map(gradient).collect(),
    }
}

fn stratified_law() -> RouletteSchedule {
    RouletteSchedule::geometric_unchecked(0, 0.5).unwrap()
}

/// The verdict on the stratified roulette of three rows, with its draws changed.
fn stratified(values: impl Fn(Terms) -> Terms, gradients: impl Fn(Terms) -> Terms) -> Outcome {
    let w = Plain::contraction(2, 0.4, 5);
    let jacobians = [w.clone(), w.clone(), w.clone()];
    unbiased_rows(&stratified_law(), &jacobians, f64::EPSILON, |terms, v| {
        Ok(RowSums {
            values: run_rows(&w, values(terms), v).values,
            gradients: run_rows(&w, gradients(terms), v).gradients,
        })
    })
}

fn unchanged(terms: Terms) -> Terms {
    terms
}

/// Without the rotation, row 0 always has the longest series.
fn never_rotated(terms: Terms) -> Terms {
    match terms {
        Terms::Stratified { uniform, .. } => Terms::Stratified {
            uniform,
            rotation: 0,
        },
        same => same,
    }
}

/// All rows stop with the first, and are weighted as if each had its own number of terms.
fn shared(terms: Terms) -> Terms {
    let of_row = |r| terms.of_row(&stratified_law(), r, 3);
    Terms::Same((0..3).map(of_row).min().unwrap())
}

#[test]
fn the_stratified_roulette_passes() {
    assert_eq!(stratified(unchanged, unchanged), Ok(()));
}

#[test]
fn stratification_with_a_marginal_that_is_not_uniform() {
    assert_rejected(stratified(never_rotated, unchanged), "E[value] of row 0");
    assert_rejected(stratified(unchanged, never_rotated), "E[gradient] of row 0");
}

#[test]
fn one_number_of_terms_weighted_as_if_per_row() {
    assert_rejected(stratified(shared, unchanged), "E[value] of row");
    assert_rejected(stratified(unchanged, shared), "E[gradient] of row");
}

/// Every gradient is right, and another row's.
#[test]
fn gradients_of_other_rows() {
    let w = Plain::contraction(2, 0.4, 5);
    let jacobians = [w.clone(), scaled(&w, -0.5)];
    let outcome = |swap: bool| {
        unbiased_rows(&stratified_law(), &jacobians, f64::EPSILON, |terms, v| {
            let [first, second] = [&jacobians[0], &jacobians[1]].map(|w| run_rows(w, terms, v));
            let mut gradients = vec![first.gradients[0].clone(), second.gradients[1].clone()];
            if swap {
                gradients.reverse();
            }
            let values = vec![first.values[0], second.values[1]];
            Ok(RowSums { values, gradients })
        })
    };
    assert_eq!(outcome(false), Ok(()));
    assert_rejected(outcome(true), "E[gradient] of row 0");
}
