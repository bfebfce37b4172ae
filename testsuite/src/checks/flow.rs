//! The fused passes of nets and flows, against the reference backend.
//!
//! The functions themselves ([`Activation`], [`BaseDensity`], [`Adam`]) have tests of their own in
//! the core; here they are the specification.

use detfree_core::reference::Heap;
use detfree_core::{
    Activation, Adam, Allocate, BaseDensity, DenseBackend, FlowBackend, Scalar, Shape,
};

use crate::failure::{Computed, Failure, gives, near, near_each};
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

/// Elementary functions good to a few ulp, through slopes down to 0.1.
fn tolerance<T: Scalar>() -> f64 {
    64.0 * T::EPSILON
}

/// Numbers in [−20, 20]: both tails of every activation and density.
fn wide<T: Scalar>(shape: Shape) -> Plain {
    Plain::random::<T>(shape, 4).scaled(20.0).rounded::<T>()
}

/// Numbers of every shape, and such as overflow where they are exponents or squares, 32 to 2¹⁴ of either sign,
/// with a NaN, which nothing may clamp away.
fn inputs<T: Scalar>() -> impl Iterator<Item = Plain> {
    let far = Plain::new(2, 41, |r, c| match (r, c) {
        (1, 40) => f64::NAN,
        (_, c) => f64::from(1_u32 << (5 + c / 4)) * if c % 2 == 0 { 1.0 } else { -1.0 },
    });
    SHAPES.into_iter().map(wide::<T>).chain([far])
}

fn bias_of<T: Scalar>(shape: Shape) -> Plain {
    Plain::random::<T>(Shape::new(1, shape.dim), 1)
}

/// What `log` starts with: passes add to it.
fn start(shape: Shape) -> Plain {
    Plain::random::<f64>(Shape::new(1, shape.rows), 3)
}

/// Buffers by the names that the traits give them.
type Buffers = Vec<(&'static str, Plain)>;

fn all<B: Allocate>(b: &B, batches: &[(&'static str, &B::Batch)]) -> Computed<B, Buffers> {
    batches
        .iter()
        .map(|&(name, x)| Ok((name, read(b, x)?)))
        .collect()
}

fn activated<B: DenseBackend + Allocate>(
    b: &B,
    activation: Activation,
    input: &Plain,
) -> Computed<B, Buffers> {
    let shape = input.shape();
    let bias = batch(b, &bias_of::<B::Scalar>(shape))?;
    let mut h = batch(b, input)?;
    let (mut z, mut d1, mut d2) = (dirty(b, shape)?, dirty(b, shape)?, dirty(b, shape)?);
    b.bias_activate(activation, &bias, &mut h, &mut z, &mut d1, &mut d2)?;
    all(b, &[("h", &h), ("z", &z), ("d1", &d1), ("d2", &d2)])
}

pub(crate) fn bias_activate<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    let reference = Heap::<B::Scalar>::new();
    for input in inputs::<B::Scalar>() {
        for activation in BIJECTIONS.into_iter().chain(CONTRACTIONS) {
            let got = activated(b, activation, &input)?;
            let want = activated(&reference, activation, &input)?;
            let case = format!("bias_activate {activation:?} {:?}", input.shape());
            near_each(case, &got, &want, tolerance::<B::Scalar>())?;
        }
    }
    Ok(())
}

/// (the batches, the sums): with the sums, or without any.
fn transformed<B: FlowBackend + Allocate>(
    b: &B,
    activation: Activation,
    input: &Plain,
    with_log: bool,
) -> Computed<B, (Buffers, Vec<f64>)> {
    let shape = input.shape();
    let bias = batch(b, &bias_of::<B::Scalar>(shape))?;
    let mut y = batch(b, input)?;
    let (mut z, mut d1, mut score) = (dirty(b, shape)?, dirty(b, shape)?, dirty(b, shape)?);
    let mut log = row_results(b, start(shape).as_slice())?;
    let sums = with_log.then_some(&mut log);
    b.bijection(activation, &bias, &mut y, &mut z, &mut d1, &mut score, sums)?;
    let batches = all(b, &[("y", &y), ("z", &z), ("d1", &d1), ("score", &score)])?;
    Ok((batches, read_rows(b, &log)?))
}

/// The sum of dim logarithms of numbers in data type T, each with a few ε, beside the others.
fn sum_tolerance<T: Scalar>(shape: Shape) -> f64 {
    64.0 * T::EPSILON * (shape.dim as f64).sqrt()
}

pub(crate) fn bijection<B: FlowBackend + Allocate>(b: &B) -> Outcome {
    let reference = Heap::<B::Scalar>::new();
    for input in inputs::<B::Scalar>() {
        let shape = input.shape();
        for activation in BIJECTIONS {
            for with_log in [true, false] {
                let (got, got_log) = transformed(b, activation, &input, with_log)?;
                let (want, want_log) = transformed(&reference, activation, &input, with_log)?;
                let case = format!("bijection {activation:?} {shape:?}, log: {with_log}");
                near_each(&case, &got, &want, tolerance::<B::Scalar>())?;
                let tolerance = sum_tolerance::<B::Scalar>(shape);
                near(format!("{case}: log"), &got_log, &want_log, tolerance)?;
            }
        }
    }
    Ok(())
}

/// σ⁻¹(σ(y + bias)) − bias = y: the pass and its inverse belong together. z has an error of ε|z|,
/// which the inverse divides by σ' ≥ 0.1.
pub(crate) fn inverse_bijection<B: FlowBackend + Allocate>(b: &B) -> Outcome {
    for y in inputs::<B::Scalar>() {
        let shape = y.shape();
        for activation in BIJECTIONS {
            let got = || -> Computed<B, Plain> {
                let bias = batch(b, &bias_of::<B::Scalar>(shape))?;
                let mut y = batch(b, &y)?;
                let (mut z, mut d1, mut score) =
                    (dirty(b, shape)?, dirty(b, shape)?, dirty(b, shape)?);
                let mut log = row_results(b, start(shape).as_slice())?;
                b.bijection(
                    activation,
                    &bias,
                    &mut y,
                    &mut z,
                    &mut d1,
                    &mut score,
                    Some(&mut log),
                )?;
                b.inverse_bijection(activation, &bias, &mut z)?;
                read(b, &z)
            };
            let case = format!("inverse_bijection {activation:?} {shape:?}");
            // Relative to 20, the largest y, where a small one came of a large bias.
            let tolerance = 8.0 * tolerance::<B::Scalar>();
            gives(case, got(), &y, tolerance)?;
        }
    }
    Ok(())
}

fn density<B: FlowBackend + Allocate>(
    b: &B,
    base: BaseDensity,
    input: &Plain,
) -> Computed<B, (Buffers, Vec<f64>)> {
    let shape = input.shape();
    let z = batch(b, input)?;
    let mut score = dirty(b, shape)?;
    let mut log = row_results(b, start(shape).as_slice())?;
    b.base_density(base, &z, &mut score, &mut log)?;
    Ok((all(b, &[("score", &score)])?, read_rows(b, &log)?))
}

pub(crate) fn base_density<B: FlowBackend + Allocate>(b: &B) -> Outcome {
    let reference = Heap::<B::Scalar>::new();
    for input in inputs::<B::Scalar>() {
        let shape = input.shape();
        for base in [
            BaseDensity::Normal,
            BaseDensity::HyperbolicSecant,
            BaseDensity::Logistic,
        ] {
            let (got, got_log) = density(b, base, &input)?;
            let (want, want_log) = density(&reference, base, &input)?;
            let case = format!("base_density {base:?} {shape:?}");
            near_each(&case, &got, &want, tolerance::<B::Scalar>())?;
            let tolerance = sum_tolerance::<B::Scalar>(shape);
            near(format!("{case}: log"), &got_log, &want_log, tolerance)?;
        }
    }
    Ok(())
}

/// Three steps, then one of other decays and a large ε: where √v is as small as ε, a step without it is not small.
fn adapted<B: FlowBackend + Allocate>(b: &B, shape: Shape) -> Computed<B, Buffers> {
    let mut w = batch(b, &Plain::random::<B::Scalar>(shape, 1))?;
    let zero = Plain::filled(shape, 0.0);
    let (mut m, mut v) = (batch(b, &zero)?, batch(b, &zero)?);
    for t in 1..5 {
        let g = batch(b, &Plain::random::<B::Scalar>(shape, 2 + t))?;
        let mut step = Adam::new(1e-2, t);
        if t == 4 {
            (step.beta1, step.beta2, step.epsilon) = (0.5, 0.75, 0.25);
        }
        b.adam(&step, &g, &mut m, &mut v, &mut w)?;
    }
    all(b, &[("w", &w), ("m", &m), ("v", &v)])
}

pub(crate) fn adam<B: FlowBackend + Allocate>(b: &B) -> Outcome {
    let reference = Heap::<B::Scalar>::new();
    for shape in SHAPES {
        let (got, want) = (adapted(b, shape)?, adapted(&reference, shape)?);
        near_each(
            format!("adam {shape:?}"),
            &got,
            &want,
            tolerance::<B::Scalar>(),
        )
        .map_err(|failure: Failure| failure.of("three steps and one with β₁ = ½, β₂ = ¾, ε = ¼"))?;
    }
    Ok(())
}

/// One step from moments whose second is far from zero, so that the quotient takes errors as they
/// are.
fn relatively_adapted<B: FlowBackend + Allocate>(
    b: &B,
    rows: usize,
    dim: usize,
) -> Computed<B, Buffers> {
    let random = |rows, dim, seed| Plain::random::<B::Scalar>(Shape::new(rows, dim), seed);
    let (left, right) = (
        batch(b, &random(rows, dim, 1))?,
        batch(b, &random(rows, dim, 2))?,
    );
    let mut w = batch(b, &random(dim, dim, 3))?;
    let mut m = batch(b, &random(dim, dim, 4))?;
    let mut v = batch(b, &random(dim, dim, 5).map(|v| 1.0 + 0.5 * v))?;
    let mut scratch = dirty(b, b.relative_adam_scratch(dim))?;
    let (step, a) = (Adam::new(0.1, 3), -1.0 / rows as f64);
    b.relative_adam(
        &step,
        a,
        &left,
        &right,
        &mut scratch,
        &mut m,
        &mut v,
        &mut w,
    )?;
    all(b, &[("w", &w), ("m", &m), ("v", &v)])
}

/// Few and many rows, and weights that are worth threads and several blocks.
pub(crate) fn relative_adam<B: FlowBackend + Allocate>(b: &B) -> Outcome {
    let reference = Heap::<B::Scalar>::new();
    for [rows, dim] in [[1, 1], [3, 5], [9, 8], [40, 17], [5, 65], [70, 150]] {
        let got = relatively_adapted(b, rows, dim)?;
        let want = relatively_adapted(&reference, rows, dim)?;
        let case = format!("relative_adam, {rows} rows of {dim}");
        near_each(case, &got, &want, tolerance::<B::Scalar>())?;
    }
    Ok(())
}
