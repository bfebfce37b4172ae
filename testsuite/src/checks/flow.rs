//! The fused passes of nets and flows, against the reference backend.
//!
//! The functions themselves ([`Activation`], [`BaseDensity`], [`Adam`]) have tests of their own in
//! the core; here they are the specification.

use detfree_core::reference::Heap;
use detfree_core::{
    Activation, Adam, Allocate, BaseDensity, DenseBackend, FlowBackend, Scalar, Shape,
};

use crate::failure::{Computed, Failure, near};
use crate::operands::{SHAPES, batch, dirty, read, read_rows, row_results};
use crate::{Outcome, Plain};

const BIJECTIONS: [Activation; 3] = [
    Activation::Identity,
    Activation::LeakySoftplus { alpha: 0.3 },
    Activation::TanhLinear {
        alpha: 1.0,
        beta: 0.1,
    },
];

const CONTRACTIONS: [Activation; 4] = [
    Activation::Tanh,
    Activation::Elu,
    Activation::Sine,
    Activation::LipSwish { beta: 1.5 },
];

/// Elementary functions good to a few ulp, of arguments up to 21, through slopes down to 0.1.
fn tolerance<T: Scalar>() -> f64 {
    64.0 * T::EPSILON
}

/// Numbers in [−20, 20]: both tails of every activation and density.
fn wide<T: Scalar>(shape: Shape) -> Plain {
    Plain::random::<T>(shape, 4).scaled(20.0).rounded::<T>()
}

fn bias_of<T: Scalar>(shape: Shape) -> Plain {
    Plain::random::<T>(Shape::new(1, shape.dim), 1)
}

/// What `log` starts with: passes add to it.
fn start(shape: Shape) -> Plain {
    Plain::random::<f64>(Shape::new(1, shape.rows), 3)
}

fn all<B: Allocate>(b: &B, batches: &[&B::Batch]) -> Computed<B, Vec<f64>> {
    let mut numbers = Vec::new();
    for x in batches {
        numbers.extend_from_slice(read(b, x)?.as_slice());
    }
    Ok(numbers)
}

fn activated<B: DenseBackend + Allocate>(
    b: &B,
    activation: Activation,
    shape: Shape,
) -> Computed<B, Vec<f64>> {
    let bias = batch(b, &bias_of::<B::Scalar>(shape))?;
    let mut h = batch(b, &wide::<B::Scalar>(shape))?;
    let (mut z, mut d1, mut d2) = (dirty(b, shape)?, dirty(b, shape)?, dirty(b, shape)?);
    b.bias_activate(activation, &bias, &mut h, &mut z, &mut d1, &mut d2)?;
    all(b, &[&h, &z, &d1, &d2])
}

pub(crate) fn bias_activate<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    let reference = Heap::<B::Scalar>::new();
    for shape in SHAPES {
        for activation in BIJECTIONS.into_iter().chain(CONTRACTIONS) {
            let got = activated(b, activation, shape)?;
            let want = activated(&reference, activation, shape)?;
            let case = format!("bias_activate {activation:?} {shape:?}");
            near(case, &got, &want, tolerance::<B::Scalar>())?;
        }
    }
    Ok(())
}

fn transformed<B: FlowBackend + Allocate>(
    b: &B,
    activation: Activation,
    shape: Shape,
) -> Computed<B, (Vec<f64>, Vec<f64>)> {
    let bias = batch(b, &bias_of::<B::Scalar>(shape))?;
    let mut y = batch(b, &wide::<B::Scalar>(shape))?;
    let (mut z, mut d1, mut score) = (dirty(b, shape)?, dirty(b, shape)?, dirty(b, shape)?);
    let mut log = row_results(b, start(shape).as_slice())?;
    b.bijection(
        activation, &bias, &mut y, &mut z, &mut d1, &mut score, &mut log,
    )?;
    Ok((all(b, &[&y, &z, &d1, &score])?, read_rows(b, &log)?))
}

/// The sum of dim logarithms of numbers in data type T, each with a few ε, beside the others.
fn sum_tolerance<T: Scalar>(shape: Shape) -> f64 {
    64.0 * T::EPSILON * (shape.dim as f64).sqrt()
}

pub(crate) fn bijection<B: FlowBackend + Allocate>(b: &B) -> Outcome {
    let reference = Heap::<B::Scalar>::new();
    for shape in SHAPES {
        for activation in BIJECTIONS {
            let (got, got_log) = transformed(b, activation, shape)?;
            let (want, want_log) = transformed(&reference, activation, shape)?;
            let case = format!("bijection {activation:?} {shape:?}");
            near(&case, &got, &want, tolerance::<B::Scalar>())?;
            let tolerance = sum_tolerance::<B::Scalar>(shape);
            near(format!("{case}, log"), &got_log, &want_log, tolerance)?;
        }
    }
    Ok(())
}

/// σ⁻¹(σ(y + bias)) − bias = y: the pass and its inverse belong together. z has an error of ε|z|,
/// which the inverse divides by σ' ≥ 0.1.
pub(crate) fn inverse_bijection<B: FlowBackend + Allocate>(b: &B) -> Outcome {
    for shape in SHAPES {
        for activation in BIJECTIONS {
            let y = wide::<B::Scalar>(shape);
            let got = || -> Computed<B, Plain> {
                let bias = batch(b, &bias_of::<B::Scalar>(shape))?;
                let mut y = batch(b, &y)?;
                let (mut z, mut d1, mut score) =
                    (dirty(b, shape)?, dirty(b, shape)?, dirty(b, shape)?);
                let mut log = row_results(b, start(shape).as_slice())?;
                b.bijection(
                    activation, &bias, &mut y, &mut z, &mut d1, &mut score, &mut log,
                )?;
                b.inverse_bijection(activation, &bias, &mut z)?;
                read(b, &z)
            };
            let case = format!("inverse_bijection {activation:?} {shape:?}");
            // Relative to 20, the largest y, where a small one came of a large bias.
            let tolerance = 8.0 * tolerance::<B::Scalar>();
            near(case, got()?.as_slice(), y.as_slice(), tolerance)?;
        }
    }
    Ok(())
}

fn density<B: FlowBackend + Allocate>(
    b: &B,
    base: BaseDensity,
    shape: Shape,
) -> Computed<B, (Vec<f64>, Vec<f64>)> {
    let z = batch(b, &wide::<B::Scalar>(shape))?;
    let mut score = dirty(b, shape)?;
    let mut log = row_results(b, start(shape).as_slice())?;
    b.base_density(base, &z, &mut score, &mut log)?;
    Ok((all(b, &[&score])?, read_rows(b, &log)?))
}

pub(crate) fn base_density<B: FlowBackend + Allocate>(b: &B) -> Outcome {
    let reference = Heap::<B::Scalar>::new();
    for shape in SHAPES {
        for base in [
            BaseDensity::Normal,
            BaseDensity::HyperbolicSecant,
            BaseDensity::Logistic,
        ] {
            let (got, got_log) = density(b, base, shape)?;
            let (want, want_log) = density(&reference, base, shape)?;
            let case = format!("base_density {base:?} {shape:?}");
            near(&case, &got, &want, tolerance::<B::Scalar>())?;
            let tolerance = sum_tolerance::<B::Scalar>(shape);
            near(format!("{case}, log"), &got_log, &want_log, tolerance)?;
        }
    }
    Ok(())
}

/// Three steps, then one of a large ε: where √v is as small as ε, a step without it is not small.
fn adapted<B: FlowBackend + Allocate>(b: &B, shape: Shape) -> Computed<B, Vec<f64>> {
    let mut w = batch(b, &Plain::random::<B::Scalar>(shape, 1))?;
    let zero = Plain::filled(shape, 0.0);
    let (mut m, mut v) = (batch(b, &zero)?, batch(b, &zero)?);
    for t in 1..5 {
        let g = batch(b, &Plain::random::<B::Scalar>(shape, 2 + t))?;
        let mut step = Adam::new(1e-2, t);
        if t == 4 {
            step.epsilon = 0.25;
        }
        b.adam(&step, &g, &mut m, &mut v, &mut w)?;
    }
    all(b, &[&w, &m, &v])
}

pub(crate) fn adam<B: FlowBackend + Allocate>(b: &B) -> Outcome {
    let reference = Heap::<B::Scalar>::new();
    for shape in SHAPES {
        let (got, want) = (adapted(b, shape)?, adapted(&reference, shape)?);
        near(
            format!("adam {shape:?}"),
            &got,
            &want,
            tolerance::<B::Scalar>(),
        )
        .map_err(|failure: Failure| failure.of("three steps and one with ε = ¼"))?;
    }
    Ok(())
}
