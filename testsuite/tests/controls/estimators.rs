//! Wrong estimators, samplers, directions and operators: errors people have published, and near
//! misses.

use std::convert::Infallible;
use std::ops::Range;

use detfree_core::reference::Heap;
use detfree_core::{
    Affine, BilinearGradient, Dense, DenseRelative, Matrix, Operator, Quantity, RelativeGradient,
    RouletteSchedule, Series, Shape, Side, Terms, Workspace,
};
use detfree_testsuite::{
    Failure, Outcome, Plain, Sums, adjoint, linearises, relative_direction, sampler_follows,
    unbiased, unbiased_rows,
};

type Host = Heap<f64>;
type Batch = Dense<Vec<f64>>;

fn batch(x: &Plain) -> Batch {
    Dense::new(x.shape(), x.as_slice().to_vec()).unwrap()
}

fn plain(x: &Batch) -> Plain {
    Plain::new(x.shape().rows, x.shape().dim, |i, j| x.row(i)[j])
}

fn zeros(rows: usize, dim: usize) -> Batch {
    Dense::on_heap(Shape::new(rows, dim))
}

/// The core's series for J = W in every row.
fn run(series: Series, w: &Plain, terms: Terms, probes: &Plain) -> Sums {
    let b = Host::new();
    let rows = probes.shape().rows;
    let mut op = Matrix::new(&b, batch(w), rows).unwrap();
    let mut workspace = Workspace::allocate(&b, probes.shape()).unwrap();
    *workspace.probe_mut() = batch(probes);
    let (mut out, mut gradient) = (zeros(rows, 1), batch(&scaled(w, 0.0)));
    series
        .value_and_sum(&b, &mut op, terms, &mut workspace, &mut out)
        .unwrap();
    op.accumulate(&b, workspace.sum(), &batch(probes), &mut gradient)
        .unwrap();
    Sums {
        values: out.as_slice().to_vec(),
        gradient: plain(&gradient),
    }
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
        exact_first: false,
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

#[track_caller]
fn assert_rejected(outcome: Outcome, expectation: &str) {
    let message = outcome.expect_err("it passes").to_string();
    assert!(message.starts_with(expectation), "{message}");
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
        exact_first: true,
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

/// The published sample code: fixed terms, contraction with ∂g/∂θ, so that nothing is left of it.
#[test]
fn contraction_with_another_derivative() {
    let estimator = |n, v: &Plain| {
        let right = series(with(law()), n, v);
        Sums {
            gradient: scaled(&right.gradient, 0.0),
            ..right
        }
    };
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

/// The verdict on the stratified roulette of three rows, with its draws changed.
fn stratified(change: impl Fn(Terms) -> Terms) -> Outcome {
    let w = Plain::contraction(2, 0.4, 5);
    let law = RouletteSchedule::geometric_unchecked(0, 0.5).unwrap();
    let one_plus = Plain::new(2, 2, |i, j| w.at(i, j) + f64::from(u8::from(i == j)));
    let (_, log_det, _) = one_plus.invert();
    unbiased_rows(&law, 0.4, 2, &[log_det; 3], f64::EPSILON, |terms, v| {
        Ok(run(with(law), &w, change(terms), v).values)
    })
}

#[test]
fn stratification_with_a_marginal_that_is_not_uniform() {
    assert_eq!(stratified(|terms| terms), Ok(()));
    // Without the rotation, row 0 always has the longest series.
    let fixed = |terms| match terms {
        Terms::Stratified { uniform, .. } => Terms::Stratified {
            uniform,
            rotation: 0,
        },
        same => same,
    };
    assert_rejected(stratified(fixed), "E[value] of every row");
}

#[test]
fn one_number_of_terms_weighted_as_if_per_row() {
    let law = RouletteSchedule::geometric_unchecked(0, 0.5).unwrap();
    let shared =
        |terms: Terms| Terms::Same((0..3).map(|r| terms.of_row(&law, r, 3)).min().unwrap());
    assert_rejected(stratified(shared), "E[value] of every row");
}

#[derive(Clone, Copy)]
enum Direction {
    Right,
    /// Δb without the b of T b: the published code.
    NoBias,
    /// ΔW without the leading W, the gradient of log|det W|.
    NoWeight,
    /// z where y belongs, or the other way round.
    OtherEnd,
    /// W z where W z + b belongs.
    NoBiasInAnchor,
}

fn direction(variant: Direction, side: Side) -> Outcome {
    relative_direction::<f64>(side, |layer, z, delta| {
        let b = Host::new();
        let at = Affine {
            weight: batch(&layer.weight),
            bias: batch(&layer.bias),
        };
        let Shape { rows, dim } = z.shape();
        let no_bias = match variant {
            Direction::NoBiasInAnchor => 0.0,
            _ => 1.0,
        };
        let y = Plain::new(rows, dim, |r, i| {
            let sum: f64 = (0..dim).map(|k| layer.weight.at(i, k) * z.at(r, k)).sum();
            sum + no_bias * layer.bias.at(0, i)
        });
        let anchor = match (side, variant) {
            (Side::Plain, Direction::OtherEnd) => z,
            (Side::Plain, _) | (_, Direction::OtherEnd) => &y,
            _ => z,
        };
        let mut tangent = DenseRelative::allocate(&b, rows, dim)?;
        tangent.linearise(&b, side, &at, &batch(delta), &batch(anchor))?;
        let mut out = at.clone();
        tangent.direction(&b, &at, &mut out)?;
        let less =
            |x: &Batch, y: &Plain| Plain::new(y.shape().rows, dim, |i, j| x.row(i)[j] - y.at(i, j));
        Ok::<_, Failure>(match variant {
            Direction::NoBias => Affine {
                weight: plain(&out.weight),
                bias: less(&out.bias, &layer.bias),
            },
            Direction::NoWeight => Affine {
                weight: less(&out.weight, &layer.weight),
                bias: plain(&out.bias),
            },
            _ => Affine {
                weight: plain(&out.weight),
                bias: plain(&out.bias),
            },
        })
    })
}

#[test]
fn relative_directions() {
    for side in [Side::Plain, Side::Transposed] {
        assert_eq!(direction(Direction::Right, side), Ok(()));
        assert_rejected(direction(Direction::NoBias, side), "Δb");
        assert_rejected(direction(Direction::NoWeight, side), "ΔW");
        assert_rejected(direction(Direction::OtherEnd, side), "ΔW");
    }
    assert_rejected(direction(Direction::NoBiasInAnchor, Side::Plain), "Δ");
}

/// An operator whose products are those of the inner one, or not.
struct Crooked {
    inner: Matrix<Batch>,
    how: How,
}

#[derive(Clone, Copy)]
enum How {
    /// jvp and vjp exchanged.
    Swapped,
    /// vjp is jvp.
    OneForBoth,
    /// Every product over all rows.
    AllRows,
}

impl Operator<Host> for Crooked {
    fn shape(&self, b: &Host) -> Shape {
        self.inner.shape(b)
    }

    fn jvp(
        &mut self,
        b: &Host,
        rows: Range<usize>,
        v: &Batch,
        out: &mut Batch,
    ) -> Result<(), Infallible> {
        match self.how {
            How::Swapped => self.inner.vjp(b, rows, v, out),
            How::OneForBoth => self.inner.jvp(b, rows, v, out),
            How::AllRows => self.inner.jvp(b, 0..out.shape().rows, v, out),
        }
    }

    fn vjp(
        &mut self,
        b: &Host,
        rows: Range<usize>,
        w: &Batch,
        out: &mut Batch,
    ) -> Result<(), Infallible> {
        match self.how {
            How::Swapped | How::OneForBoth => self.inner.jvp(b, rows, w, out),
            How::AllRows => self.inner.vjp(b, 0..out.shape().rows, w, out),
        }
    }
}

#[test]
fn operators() {
    let b = Host::new();
    let w = Plain::contraction(5, 0.9, 2);
    let crooked = |how| Crooked {
        inner: Matrix::new(&b, batch(&w), 4).unwrap(),
        how,
    };
    // A swap keeps every trace and the adjoint identity, and only the Jacobian tells.
    assert_eq!(adjoint(&b, &mut crooked(How::Swapped)), Ok(()));
    assert_rejected(
        linearises(&b, &mut crooked(How::Swapped), |_| w.clone(), 0.0),
        "J v",
    );
    assert_rejected(adjoint(&b, &mut crooked(How::OneForBoth)), "⟨w, J v⟩");
    assert_rejected(adjoint(&b, &mut crooked(How::AllRows)), "jvp of rows");
}
