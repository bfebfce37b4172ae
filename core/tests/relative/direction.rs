//! The direction: against explicit inverses, against differences of a log-likelihood, and at its
//! fixed point; each check with the wrong directions that it must tell from the right one.

use detfree_core::{Key, Scalar, Side};

use crate::plain::{Layer, Plain, direction, tangent};

/// Ways to get the direction wrong, the published ones among them.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Variant {
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

/// The direction of the crate, or a variant of it.
fn direction_of<T: Scalar>(
    variant: Variant,
    side: Side,
    layer: &Layer,
    z: &Plain,
    delta: &Plain,
) -> Layer {
    let y = layer.forward(z);
    let anchor = match (side, variant) {
        (_, Variant::NoBiasInAnchor) => y.plus(-1.0, &layer.bias),
        (Side::Plain, Variant::OtherEnd) => z.clone(),
        (Side::Plain, _) | (Side::Transposed, Variant::OtherEnd) => y,
        (Side::Transposed, _) => z.clone(),
    };
    let mut found = direction(&mut tangent::<T>(side, layer, delta, &anchor), layer);
    match variant {
        Variant::NoBias => found.bias = found.bias.plus(-1.0, &layer.bias),
        Variant::NoWeight => found.weight = found.weight.plus(-1.0, &layer.weight),
        _ => {}
    }
    found
}

/// ∂ℓ/∂W = W⁻ᵀ + (1/R) Σ δ_r z_rᵀ and ∂ℓ/∂b = (1/R) Σ δ_r: the ordinary gradient.
fn ordinary_gradient(layer: &Layer, z: &Plain, delta: &Plain) -> Layer {
    let (_, inverse) = layer.weight.log_abs_det_and_inverse();
    let mean = 1.0 / z.shape.rows as f64;
    Layer {
        weight: inverse.t().plus(mean, &delta.t().times(z)),
        bias: delta.mean_row(),
    }
}

/// (T, t): the gradient at the identity of the group, by the chain rule through W and b.
///
/// Plain, y → (I+ε)y + e: W → (I+ε)W, b → (I+ε)b + e. Transposed, z → (I+ε)z + e: W → W(I+ε),
/// b → b + W e.
fn group_gradient(side: Side, layer: &Layer, ordinary: &Layer) -> Layer {
    let Layer { weight, bias } = layer;
    match side {
        Side::Plain => Layer {
            weight: ordinary
                .weight
                .times(&weight.t())
                .plus(1.0, &ordinary.bias.t().times(bias)),
            bias: ordinary.bias.clone(),
        },
        Side::Transposed => Layer {
            weight: weight.t().times(&ordinary.weight),
            bias: ordinary.bias.times(weight),
        },
    }
}

/// The change of (W, b) when the group element moves along (ε, e).
fn move_layer(side: Side, layer: &Layer, group: &Layer) -> Layer {
    match side {
        Side::Plain => Layer {
            weight: group.weight.times(&layer.weight),
            bias: layer.bias.times(&group.weight.t()).plus(1.0, &group.bias),
        },
        Side::Transposed => Layer {
            weight: layer.weight.times(&group.weight),
            bias: group.bias.times(&layer.weight.t()),
        },
    }
}

fn long_way(side: Side, layer: &Layer, z: &Plain, delta: &Plain) -> Layer {
    let ordinary = ordinary_gradient(layer, z, delta);
    move_layer(side, layer, &group_gradient(side, layer, &ordinary))
}

/// Sums of R and D products in data type T, of numbers no larger than the largest result or a few
/// tens; the long way itself inverts a matrix of condition number about 3.
fn tolerance<T: Scalar>(z: &Plain, scale: f64) -> f64 {
    16.0 * (z.shape.rows + z.shape.dim) as f64 * T::EPSILON * scale.max(10.0)
}

const SIDES: [Side; 2] = [Side::Plain, Side::Transposed];

/// Error over tolerance of a variant against the long way.
fn error_against_long_way<T: Scalar>(
    variant: Variant,
    side: Side,
    (rows, dim): (usize, usize),
) -> f64 {
    let key = Key::new(0xd1).fold_in((100 * rows + dim) as u64);
    let layer = Layer::random(key, dim).rounded::<T>();
    let z = Plain::normal(key.fold_in(2), rows, dim, 1.0).rounded::<T>();
    let delta = Plain::normal(key.fold_in(3), rows, dim, 1.0).rounded::<T>();
    let expected = long_way(side, &layer, &z, &delta);
    let found = direction_of::<T>(variant, side, &layer, &z, &delta);
    found.plus(-1.0, &expected).largest() / tolerance::<T>(&z, expected.largest())
}

fn matches_long_way<T: Scalar>() {
    for side in SIDES {
        for shape in [
            (1, 1),
            (4, 1),
            (1, 5),
            (3, 5),
            (5, 5),
            (9, 5),
            (4, 8),
            (17, 3),
        ] {
            let error = error_against_long_way::<T>(Variant::Right, side, shape);
            assert!(
                error < 1.0,
                "{side:?} {shape:?}: {error} times the tolerance"
            );
        }
        for variant in [
            Variant::NoBias,
            Variant::NoWeight,
            Variant::OtherEnd,
            Variant::NoBiasInAnchor,
        ] {
            let error = error_against_long_way::<T>(variant, side, (9, 5));
            assert!(error > 100.0, "{side:?} {variant:?} passes: {error}");
        }
    }
}

#[test]
fn matches_the_long_way_in_f64() {
    matches_long_way::<f64>();
}

#[test]
fn matches_the_long_way_in_f32() {
    matches_long_way::<f32>();
}

/// Base densities with their log-density and its derivative.
#[derive(Clone, Copy, Debug)]
enum Base {
    Normal,
    Secant,
}

impl Base {
    fn log_density(self, y: f64) -> f64 {
        match self {
            Self::Normal => -0.5 * y * y - 0.5 * std::f64::consts::TAU.ln(),
            Self::Secant => -(std::f64::consts::PI * y.cosh()).ln(),
        }
    }

    fn score(self, y: f64) -> f64 {
        match self {
            Self::Normal => -y,
            Self::Secant => -y.tanh(),
        }
    }

    /// log|det W| + (1/R) Σ_r Σ_j log p(y_rj)
    fn log_likelihood(self, layer: &Layer, z: &Plain) -> f64 {
        let (log_det, _) = layer.weight.log_abs_det_and_inverse();
        let y = layer.forward(z);
        let sum: f64 = y.data.iter().map(|&y| self.log_density(y)).sum();
        log_det + sum / z.shape.rows as f64
    }
}

/// dℓ along a variant, by central differences, over ‖T‖² + ‖t‖² by the long way, minus one.
fn ascent_error(variant: Variant, side: Side, base: Base, (rows, dim): (usize, usize)) -> f64 {
    let key = Key::new(0xa5).fold_in((100 * rows + dim) as u64);
    let layer = Layer::random(key, dim);
    let z = Plain::normal(key.fold_in(2), rows, dim, 1.5).map(|z| z + 0.4);
    let delta = layer.forward(&z).map(|y| base.score(y));
    let along = direction_of::<f64>(variant, side, &layer, &z, &delta);
    let h = 1e-5;
    let difference = (base.log_likelihood(&layer.plus(h, &along), &z)
        - base.log_likelihood(&layer.plus(-h, &along), &z))
        / (2.0 * h);
    let ordinary = ordinary_gradient(&layer, &z, &delta);
    let slope = group_gradient(side, &layer, &ordinary).squared_norm();
    difference / slope - 1.0
}

/// Differences at h = 1e-5 are off by h² times a third derivative (about 1e-8 relative here) and
/// by ε|ℓ|/h (1e-10): 1e-6 is a hundred times that.
#[test]
fn climbs_by_the_squared_norm_of_the_tangent() {
    for side in SIDES {
        for base in [Base::Normal, Base::Secant] {
            for shape in [(1, 1), (2, 6), (6, 6), (30, 4)] {
                let error = ascent_error(Variant::Right, side, base, shape);
                assert!(error.abs() < 1e-6, "{side:?} {base:?} {shape:?}: {error}");
            }
            for variant in [
                Variant::NoBias,
                Variant::NoWeight,
                Variant::OtherEnd,
                Variant::NoBiasInAnchor,
            ] {
                let error = ascent_error(variant, side, base, (30, 4));
                assert!(error.abs() > 1e-3, "{side:?} {base:?} {variant:?}: {error}");
            }
        }
    }
}

/// The lower triangular L with L Lᵀ = A.
fn cholesky(a: &Plain) -> Plain {
    let dim = a.shape.dim;
    let mut l = a.map(|_| 0.0);
    for i in 0..dim {
        for j in 0..=i {
            let rest = a.at(i, j) - (0..j).map(|k| l.at(i, k) * l.at(j, k)).sum::<f64>();
            l.data[i * dim + j] = if i == j {
                rest.sqrt()
            } else {
                rest / l.at(j, j)
            };
        }
    }
    l
}

/// Data with a mean far from zero, and the Gaussian model of largest likelihood: W C Wᵀ = I,
/// b = −W mean.
fn gaussian_optimum(rows: usize, dim: usize) -> (Layer, Plain) {
    let key = Key::new(0xf1).fold_in(7);
    let mixing = Plain::well_conditioned(key, dim);
    let z = Plain::normal(key.fold_in(2), rows, dim, 1.0)
        .times(&mixing)
        .plus(2.0, &Plain::normal(key.fold_in(3), 1, dim, 1.0));
    let mean = z.mean_row();
    let centred = z.plus(-1.0, &mean);
    let covariance = centred.t().times(&centred).scaled(1.0 / rows as f64);
    let (_, weight) = cholesky(&covariance).log_abs_det_and_inverse();
    let bias = mean.times(&weight.t()).scaled(-1.0);
    (Layer { weight, bias }, z)
}

/// The size of a variant's direction at the optimum, over the tolerance.
fn drift_at_optimum<T: Scalar>(variant: Variant, side: Side) -> f64 {
    let (layer, z) = gaussian_optimum(40, 4);
    let (layer, z) = (layer.rounded::<T>(), z.rounded::<T>());
    let delta = layer.forward(&z).scaled(-1.0);
    let found = direction_of::<T>(variant, side, &layer, &z, &delta);
    found.largest() / tolerance::<T>(&z, layer.largest())
}

fn rests_at_optimum<T: Scalar>() {
    for side in SIDES {
        let drift = drift_at_optimum::<T>(Variant::Right, side);
        assert!(drift < 1.0, "{side:?}: {drift} times the tolerance");
        // The mean of y is zero at the optimum: a bias missing from the anchor cannot be seen there.
        for variant in [Variant::NoBias, Variant::NoWeight, Variant::OtherEnd] {
            let drift = drift_at_optimum::<T>(variant, side);
            assert!(
                drift > 100.0,
                "{side:?} {variant:?} rests there too: {drift}"
            );
        }
    }
}

#[test]
fn rests_at_the_most_likely_gaussian_in_f64() {
    rests_at_optimum::<f64>();
}

#[test]
fn rests_at_the_most_likely_gaussian_in_f32() {
    rests_at_optimum::<f32>();
}
