//! Nets on a backend: their products, and log det(I + J) with its gradients with respect to
//! parameters and input, against exact determinants and differences on the host.

use detfree_core::{Activation, Allocate, DenseBackend, Error, Key, Scalar, Shape};
use detfree_flows::mlp::{Mlp, MlpGradient, MlpOperator, MlpTape, TraceTape};

use super::series::{run_exact, run_with_exact_first};
use crate::failure::{Computed, near};
use crate::net::{DIFFERENCES, Net, NetGradient};
use crate::operands::{batch, dirty, read};
use crate::{Failure, Outcome, Plain, adjoint, linearises};

const DIM: usize = 5;
const ROWS: usize = 4;
/// Unequal, one of them zero and one negative.
const WEIGHTS: [f64; ROWS] = [0.7, -1.3, 0.0, 2.1];

/// Nets that are as smooth as the differences need them.
const ACTIVATIONS: [Activation; 5] = [
    Activation::LipSwish { beta: 1.2 },
    Activation::Tanh,
    Activation::Sine,
    Activation::LeakySoftplus { alpha: 0.3 },
    Activation::TanhLinear {
        alpha: 0.9,
        beta: 0.1,
    },
];

/// Widths of hidden layers on both sides of a vector's.
const HIDDEN: [&[usize]; 3] = [&[9], &[8, 6], &[4, 7, 9]];

/// A net whose Jacobians have norms well below one, the same net on the host, and a batch.
struct Case<B: DenseBackend> {
    on_backend: Mlp<B>,
    on_host: Net,
    x: Plain,
    name: String,
}

impl<B: DenseBackend + Allocate> Case<B> {
    fn new(b: &B, hidden: &[usize], activation: Activation) -> Result<Self, Failure> {
        let widths = [&[DIM], hidden, &[DIM]].concat();
        let on_backend = Mlp::random(b, &widths, activation, 0.55, Key::new(11))?;
        Ok(Self {
            on_host: Net::read(b, &on_backend, activation)?,
            on_backend,
            x: Plain::random::<B::Scalar>(Shape::new(ROWS, DIM), 1),
            name: format!("{widths:?} {activation:?}"),
        })
    }

    fn linearised<'a>(
        &'a self,
        b: &B,
        tape: &'a mut MlpTape<B>,
        g: &mut B::Batch,
    ) -> Computed<B, MlpOperator<'a, B>> {
        tape.linearise(b, &self.on_backend, &batch(b, &self.x)?, g)
    }

    /// Values and gradients of an exact estimator, which `run` runs, against the host's.
    fn check(
        &self,
        b: &B,
        c: Option<&[f64]>,
        run: impl FnOnce(
            MlpOperator<'_, B>,
            Option<&[f64]>,
            &mut MlpGradient<B>,
        ) -> Result<Vec<f64>, Failure>,
    ) -> Outcome {
        let mut tape = tape(b, &self.on_backend)?;
        let mut g = dirty(b, self.x.shape())?;
        let mut gradient = gradient(b, &self.on_backend)?;
        let values = run(self.linearised(b, &mut tape, &mut g)?, c, &mut gradient)?;
        let got = NetGradient::read(b, &gradient)?;
        let want = self.on_host.gradient(&self.x, c.unwrap_or(&[1.0; ROWS]));

        let name = &self.name;
        let tolerance = rounding::<B::Scalar>();
        let log_dets: Vec<f64> = (0..ROWS)
            .map(|r| self.on_host.log_det(&self.x.one_row(r)))
            .collect();
        near(format!("log det, {name}"), &values, &log_dets, tolerance)?;
        let tolerance = DIFFERENCES + tolerance;
        for (l, (got, want)) in got.layers.iter().zip(&want.layers).enumerate() {
            for (what, got, want) in [
                ("weight", &got.weight, &want.weight),
                ("bias", &got.bias, &want.bias),
            ] {
                let case = format!("gradient of {what} {l} with row weights {c:?}, {name}");
                near(case, got, want, tolerance)?;
            }
        }
        let case = format!("gradient of the input with row weights {c:?}, {name}");
        let (got, want) = (&got.input, &want.input);
        near(case, got, want, tolerance)
    }
}

fn tape<B: DenseBackend + Allocate>(b: &B, net: &Mlp<B>) -> Computed<B, MlpTape<B>> {
    Ok(MlpTape::new(b, net, ROWS)?)
}

fn gradient<B: DenseBackend + Allocate>(b: &B, net: &Mlp<B>) -> Computed<B, MlpGradient<B>> {
    Ok(MlpGradient::zeros(b, net, ROWS)?)
}

/// Sums over four rows with weights of 4 together, of products through at most eight weights of up to
/// nine inputs: some 4 ε on the backends of this project, and eight times that is asked for.
fn rounding<T: Scalar>() -> f64 {
    32.0 * T::EPSILON
}

fn cases<B: DenseBackend + Allocate>(
    b: &B,
    hidden: &[&[usize]],
    check: impl Fn(Case<B>) -> Outcome,
) -> Outcome {
    for &hidden in hidden {
        for activation in ACTIVATIONS {
            check(Case::new(b, hidden, activation)?)?;
        }
    }
    Ok(())
}

/// g(x), J v and Jᵀ w, in all rows and in parts of them.
pub(crate) fn products<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    cases(b, &HIDDEN, |case| {
        let mut tape = tape(b, &case.on_backend)?;
        let mut g = dirty(b, case.x.shape())?;
        let mut op = case.linearised(b, &mut tape, &mut g)?;
        let on_host = |r| case.on_host.linearised(&case.x.one_row(r));
        linearises(b, &mut op, |r| on_host(r).1, 0.0).map_err(|f| f.of(&case.name))?;
        adjoint(b, &mut op).map_err(|f| f.of(&case.name))?;
        let got = read(b, &g)?;
        for r in 0..ROWS {
            let want = on_host(r).0;
            let what = format!("g(x) of row {r}, {}", case.name);
            near(what, got.row(r), &want, rounding::<B::Scalar>())?;
        }
        Ok(())
    })
}

pub(crate) fn log_det_and_gradient<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    cases(b, &HIDDEN, |case| {
        for c in [Some(&WEIGHTS[..]), None] {
            case.check(b, c, |mut op, c, gradient| {
                run_exact(b, &mut op, c, gradient)
            })?;
        }
        Ok(())
    })
}

/// The same with tr J in closed form, which nets of one and two hidden layers offer: made for the
/// net, or made for another and refreshed.
pub(crate) fn exact_first_trace<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    cases(b, &HIDDEN[..2], |case| {
        let made = TraceTape::new(b, &case.on_backend)?;
        let widths = case.on_backend.widths(b);
        let other = Mlp::random(b, &widths, Activation::Tanh, 0.55, Key::new(12))?;
        let mut refreshed = TraceTape::new(b, &other)?;
        refreshed
            .refresh(b, &case.on_backend)
            .map_err(Error::Device)?;
        for (c, mut trace) in [(Some(&WEIGHTS[..]), made), (None, refreshed)] {
            case.check(b, c, |op, c, gradient| {
                run_with_exact_first(b, &mut op.with_trace(&mut trace), c, gradient)
            })?;
        }
        Ok(())
    })
}
