//! The relative gradient on a backend: its direction, its guard, and what it tracks.

use detfree_core::{
    Affine, Allocate, DenseBackend, DenseRelative, Key, RelativeGradient, Scalar, Side,
};

use crate::failure::{Computed, ensure, near};
use crate::layer::{forward, random_layer};
use crate::operands::{batch, dirty, read};
use crate::{Failure, Outcome, Plain, relative_direction};

const SIDES: [Side; 2] = [Side::Plain, Side::Transposed];

fn upload<B: Allocate>(b: &B, layer: &Affine<Plain>) -> Computed<B, Affine<B::Batch>> {
    Ok(Affine {
        weight: batch(b, &layer.weight)?,
        bias: batch(b, &layer.bias)?,
    })
}

/// Linearised at the layer, with y (bias included) or z as its anchor.
fn linearised<B: DenseBackend + Allocate>(
    b: &B,
    side: Side,
    layer: &Affine<Plain>,
    z: &Plain,
    delta: &Plain,
) -> Computed<B, DenseRelative<B>> {
    let y = forward(layer, z);
    let anchor = batch(b, if side == Side::Plain { &y } else { z })?;
    let (on_b, delta) = (upload(b, layer)?, batch(b, delta)?);
    let mut tangent = DenseRelative::allocate(b, z.shape().rows, z.shape().dim)?;
    tangent.linearise(b, side, &on_b, &delta, &anchor)?;
    Ok(tangent)
}

pub(crate) fn direction<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    for side in SIDES {
        relative_direction::<B::Scalar>(side, |layer, z, delta| {
            let find = || -> Computed<B, Affine<Plain>> {
                let mut tangent = linearised(b, side, layer, z, delta)?;
                let mut out = Affine {
                    weight: dirty(b, layer.weight.shape())?,
                    bias: dirty(b, layer.bias.shape())?,
                };
                tangent.direction(b, &upload(b, layer)?, &mut out)?;
                Ok(Affine {
                    weight: read(b, &out.weight)?,
                    bias: read(b, &out.bias)?,
                })
            };
            Ok(find()?)
        })?;
    }
    Ok(())
}

/// T = diag(−10, −5): the path W + μ ΔW is singular at μ = 0.1 and at μ = 0.2, and at μ = 0.5 its
/// determinant is positive again. A guard that looks at the sign of the determinant lets 0.5 pass.
pub(crate) fn guard_on_an_even_number_of_crossings<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    let layer = Affine {
        weight: Plain::identity(2),
        bias: Plain::new(1, 2, |_, _| 0.0),
    };
    // T = I + (1/R) Σ δ_r e_rᵀ
    let delta = Plain::new(2, 2, |i, j| if i == j { [-22.0, -12.0][i] } else { 0.0 });
    for side in SIDES {
        let mut tangent = linearised(b, side, &layer, &Plain::identity(2), &delta)?;
        for (mu, clear) in [
            (0.0, true),
            (0.099, true),
            (0.101, false),
            (0.15, false),
            (0.5, false),
        ] {
            let accepted = tangent.log_det_change(b, mu)?.is_some();
            ensure(accepted == clear, || {
                format!("{side:?}: a step of {mu} is accepted: {accepted}")
            })?;
        }
        let asked = tangent.guard(b, 0.5)?;
        let shrunk = asked.map(|step| (step.mu, step.shrinks));
        ensure(shrunk == Some((0.0625, 3)), || {
            format!("{side:?}: a step of 0.5 is guarded to {shrunk:?}, not to (0.0625, 3)")
        })?;
        let exact = (1.0 - 10.0 / 16.0_f64).ln() + (1.0 - 5.0 / 16.0_f64).ln();
        let change: Vec<f64> = asked.iter().map(|step| step.log_det_change).collect();
        near(
            "log|det| of the step",
            &change,
            &[exact],
            8.0 * B::Scalar::EPSILON,
        )?;
        // A step that is no number, or along one.
        ensure(tangent.log_det_change(b, f64::NAN)?.is_none(), || {
            "a step of length NaN is accepted".into()
        })?;
    }
    let bad = delta.map(|x| if x == 0.0 { f64::NAN } else { x });
    let mut tangent = linearised(b, Side::Plain, &layer, &Plain::identity(2), &bad)?;
    ensure(tangent.guard(b, 0.1)?.is_none(), || {
        "a step along a direction that is not finite is accepted".into()
    })
}

/// What a run of guarded training leaves: the layer, the tracked W⁻¹ and log|det W|.
struct Track {
    weight: Plain,
    inverse: Plain,
    log_det: f64,
}

const STEPS: u64 = 2_000;

/// Fits one layer with the hyperbolic-secant base to fresh batches of mixed sources.
fn train<B: DenseBackend + Allocate>(
    b: &B,
    side: Side,
    [rows, dim]: [usize; 2],
    mu: f64,
) -> Result<Track, Failure> {
    let key = Key::new(0x7ac).fold_in((1000 * rows + dim) as u64);
    let mixing = Plain::well_conditioned(key.fold_in(1), dim);
    let start = random_layer::<B::Scalar>(key.fold_in(2), dim);
    let (_, mut log_det, inverse) = start.weight.invert();
    let mut layer = upload(b, &start)?;
    let mut inverse = batch(b, &inverse)?;
    let mut tangent = DenseRelative::allocate(b, rows, dim)?;
    for step in 0..STEPS {
        let z = Plain::normal(key.fold_in(3).fold_in(step), rows, dim)
            .map(|s| 0.6 * s * s.abs())
            .times(&mixing)
            .map(|z| z + 0.5);
        let at = Affine {
            weight: read(b, &layer.weight)?,
            bias: read(b, &layer.bias)?,
        };
        let y = forward(&at, &z);
        let delta = batch(b, &y.map(|y| -y.tanh()))?;
        let anchor = batch(b, if side == Side::Plain { &y } else { &z })?;
        tangent.linearise(b, side, &layer, &delta, &anchor)?;
        let guarded = tangent
            .guard(b, mu)?
            .ok_or_else(|| Failure::new(format!("step {step} finds no clear step")))?;
        tangent.step(b, guarded.mu, &mut layer, Some(&mut inverse))?;
        log_det += guarded.log_det_change;
    }
    Ok(Track {
        weight: read(b, &layer.weight)?,
        inverse: read(b, &inverse)?,
        log_det,
    })
}

/// Rounding of 2,000 steps, in nats and in elements of W⁻¹ W: runs on the reference backend leave up
/// to 500 ε, and twice that is asked for.
pub(crate) fn tracking<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    let tolerance = 1000.0 * B::Scalar::EPSILON;
    for side in SIDES {
        for (shape, mu) in [
            ([1, 1], 0.05),
            ([1, 6], 0.01),
            ([4, 17], 0.02),
            ([17, 17], 0.05),
            ([40, 17], 0.1),
        ] {
            let case = format!("{side:?}, {} rows of {}", shape[0], shape[1]);
            let track = train(b, side, shape, mu)?;
            let (_, exact, _) = track.weight.invert();
            near(
                format!("log|det W|, {case}"),
                &[track.log_det],
                &[exact],
                tolerance,
            )?;
            let product = track.inverse.times(&track.weight);
            let identity = Plain::identity(shape[1]);
            near(
                format!("W⁻¹ W, {case}"),
                product.as_slice(),
                identity.as_slice(),
                tolerance,
            )?;
        }
    }
    Ok(())
}
