//! The relative gradient on a backend: its direction, its guard, and what it tracks.

use detfree_core::{Affine, Allocate, DenseBackend, DenseRelative, RelativeGradient, Scalar, Side};

use crate::failure::{Computed, ensure, near};
use crate::layer::{forward, upload};
use crate::operands::{batch, dirty, read};
use crate::{Outcome, Plain, relative_direction, relative_tracking};

const SIDES: [Side; 2] = [Side::Plain, Side::Transposed];

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

pub(crate) fn tracking<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    follows(b, 2_000)
}

pub(crate) fn tracking_in_brief<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    follows(b, 400)
}

fn follows<B: DenseBackend + Allocate>(b: &B, steps: u32) -> Outcome {
    for side in SIDES {
        relative_tracking(b, side, steps, |rows, dim| {
            Ok(DenseRelative::allocate(b, rows, dim)?)
        })?;
    }
    Ok(())
}
