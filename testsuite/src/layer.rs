//! The relative gradient of one layer the long way round: explicit inverses, the ordinary gradient
//! and the chain rule through the group.

use detfree_core::{Affine, Allocate, Key, Scalar, Side};

use crate::failure::{Computed, near};
use crate::operands::batch;
use crate::{Failure, Outcome, Plain};

/// ∂ℓ/∂W = W⁻ᵀ + (1/R) Σ δ_r z_rᵀ and ∂ℓ/∂b = (1/R) Σ δ_r: the ordinary gradient.
fn ordinary_gradient(layer: &Affine<Plain>, z: &Plain, delta: &Plain) -> Affine<Plain> {
    let (_, _, inverse) = layer.weight.invert();
    Affine {
        weight: inverse
            .t()
            .plus(1.0 / z.shape().rows as f64, &delta.t().times(z)),
        bias: delta.mean_row(),
    }
}

/// (T, t), the gradient at the identity of the group, by the chain rule through W and b; then the
/// change of (W, b) when the group element moves along it.
///
/// Plain, y → (I+ε)y + e: W → (I+ε)W, b → (I+ε)b + e. Transposed, z → (I+ε)z + e: W → W(I+ε),
/// b → b + W e.
fn long_way(side: Side, layer: &Affine<Plain>, z: &Plain, delta: &Plain) -> Affine<Plain> {
    let Affine { weight, bias } = layer;
    let ordinary = ordinary_gradient(layer, z, delta);
    match side {
        Side::Plain => {
            let t = ordinary.weight.times(&weight.t());
            let t = t.plus(1.0, &ordinary.bias.t().times(bias));
            Affine {
                weight: t.times(weight),
                bias: bias.times(&t.t()).plus(1.0, &ordinary.bias),
            }
        }
        Side::Transposed => Affine {
            weight: weight.times(&weight.t().times(&ordinary.weight)),
            bias: ordinary.bias.times(weight).times(&weight.t()),
        },
    }
}

/// y_r = W z_r + b
pub(crate) fn forward(layer: &Affine<Plain>, z: &Plain) -> Plain {
    z.times(&layer.weight.t()).plus(1.0, &layer.bias)
}

/// A layer of condition number about 3, with a bias that matters.
pub(crate) fn random_layer<T: Scalar>(key: Key, dim: usize) -> Affine<Plain> {
    Affine {
        weight: Plain::well_conditioned(key, dim).rounded::<T>(),
        bias: Plain::normal(key.fold_in(1), 1, dim).rounded::<T>(),
    }
}

/// A layer on a backend.
pub(crate) fn upload<B: Allocate>(b: &B, layer: &Affine<Plain>) -> Computed<B, Affine<B::Batch>> {
    Ok(Affine {
        weight: batch(b, &layer.weight)?,
        bias: batch(b, &layer.bias)?,
    })
}

/// Passes where `direction` gives (ΔW, Δb) of a layer for inputs z and δ = ∂ℓ/∂y, in many shapes
/// with fewer and more rows than dimensions, against explicit inverses in `f64`.
///
/// # Errors
/// Which shape, which element, and by how much.
pub fn relative_direction<T: Scalar>(
    side: Side,
    mut direction: impl FnMut(&Affine<Plain>, &Plain, &Plain) -> Result<Affine<Plain>, Failure>,
) -> Outcome {
    for (rows, dim) in [
        (1, 1),
        (4, 1),
        (1, 5),
        (3, 5),
        (5, 5),
        (9, 5),
        (4, 17),
        (33, 3),
    ] {
        let key = Key::new(0xd1).fold_in((100 * rows + dim) as u64);
        let layer = random_layer::<T>(key, dim);
        let z = Plain::normal(key.fold_in(2), rows, dim).rounded::<T>();
        let delta = Plain::normal(key.fold_in(3), rows, dim).rounded::<T>();
        let want = long_way(side, &layer, &z, &delta);
        let got = direction(&layer, &z, &delta)?;
        // Sums of R and D products in data type T, of numbers no larger than a few tens.
        let tolerance = 160.0 * (rows + dim) as f64 * T::EPSILON;
        for (name, got, want) in [
            ("ΔW", &got.weight, &want.weight),
            ("Δb", &got.bias, &want.bias),
        ] {
            let case = format!("{name} {side:?}, {rows} rows of {dim}");
            near(case, got, want, tolerance)?;
        }
    }
    Ok(())
}

/// The long way itself: against differences of a log-likelihood, and at its maximum.
#[cfg(test)]
mod tests {
    use super::*;

    /// ℓ = log|det W| + (1/R) Σ_r Σ_j log p(y_rj) for standard normal p, and δ = −y.
    fn log_likelihood(layer: &Affine<Plain>, z: &Plain) -> f64 {
        let (_, log_det, _) = layer.weight.invert();
        log_det - 0.5 * forward(layer, z).squared_norm() / z.shape().rows as f64
    }

    fn moved(layer: &Affine<Plain>, h: f64, along: &Affine<Plain>) -> Affine<Plain> {
        Affine {
            weight: layer.weight.plus(h, &along.weight),
            bias: layer.bias.plus(h, &along.bias),
        }
    }

    /// ℓ rises along the direction, by its product with the ordinary gradient. Differences at
    /// h = 1e-5 are off by h² times a third derivative and by ε|ℓ|/h, about 1e-10 each.
    #[test]
    fn climbs_as_the_ordinary_gradient_says() {
        for side in [Side::Plain, Side::Transposed] {
            let key = Key::new(3);
            let layer = random_layer::<f64>(key, 4);
            let z = Plain::normal(key.fold_in(2), 9, 4).map(|z| 1.5 * z + 0.4);
            let delta = forward(&layer, &z).scaled(-1.0);
            let along = long_way(side, &layer, &z, &delta);
            let h = 1e-5;
            let difference = (log_likelihood(&moved(&layer, h, &along), &z)
                - log_likelihood(&moved(&layer, -h, &along), &z))
                / (2.0 * h);
            let gradient = ordinary_gradient(&layer, &z, &delta);
            let dot = |x: &Plain, y: &Plain| x.times(&y.t()).trace();
            let slope = dot(&gradient.weight, &along.weight) + dot(&gradient.bias, &along.bias);
            assert!(slope > 0.1, "{side:?}: {slope}");
            assert!((difference / slope - 1.0).abs() < 1e-6, "{side:?}");
        }
    }

    /// In one dimension the most likely normal has w = 1/σ and b = −mean/σ: nothing moves there.
    #[test]
    fn rests_at_the_most_likely_normal() {
        let z = Plain::normal(Key::new(4), 30, 1).map(|z| 2.0 * z + 3.0);
        let mean = z.mean_row();
        let variance = z.plus(-1.0, &mean).squared_norm() / 30.0;
        let w = 1.0 / variance.sqrt();
        let layer = Affine {
            weight: Plain::new(1, 1, |_, _| w),
            bias: mean.scaled(-w),
        };
        let delta = forward(&layer, &z).scaled(-1.0);
        for side in [Side::Plain, Side::Transposed] {
            let rest = long_way(side, &layer, &z, &delta);
            let largest = rest.weight.at(0, 0).abs().max(rest.bias.at(0, 0).abs());
            // Sums of 30 numbers of order 1.
            assert!(largest < 256.0 * f64::EPSILON, "{side:?}: {largest:e}");
        }
    }
}
