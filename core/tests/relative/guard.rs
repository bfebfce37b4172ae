//! The guard on steps: what it accepts, what it refuses, and what a weaker one would accept.

use detfree_core::reference::Heap;
use detfree_core::{DenseRelative, RelativeGradient, Scalar, Side};

use crate::plain::{Layer, Plain, direction, tangent};

fn layer(weight: Plain) -> Layer {
    let dim = weight.shape.dim;
    Layer {
        weight,
        bias: Plain::new(1, dim, |_, _| 0.0),
    }
}

/// W = I and T = I + M for a matrix M of small size: with rows e_r as anchors, δ_r = D M e_r.
fn with_tangent<T: Scalar>(side: Side, m: &Plain) -> (Layer, DenseRelative<Heap<T>>) {
    let dim = m.shape.dim;
    let layer = layer(Plain::identity(dim));
    let delta = m.t().scaled(dim as f64);
    let tangent = tangent(side, &layer, &delta, &Plain::identity(dim));
    (layer, tangent)
}

fn diagonal(entries: &[f64]) -> Plain {
    Plain::new(entries.len(), entries.len(), |i, j| {
        if i == j { entries[i] } else { 0.0 }
    })
}

/// The sign of det(W + μ ΔW), for two dimensions.
fn sign_of_determinant<T: Scalar>(
    tangent: &mut DenseRelative<Heap<T>>,
    layer: &Layer,
    mu: f64,
) -> f64 {
    let moved = layer.plus(mu, &direction(tangent, layer)).weight;
    (moved.at(0, 0) * moved.at(1, 1) - moved.at(0, 1) * moved.at(1, 0)).signum()
}

/// T = diag(−10, −5): the path is singular at μ = 0.1 and at μ = 0.2, and at μ = 0.5 its
/// determinant is positive again.
#[test]
fn refuses_an_even_number_of_crossings() {
    let b = Heap::<f64>::new();
    for side in [Side::Plain, Side::Transposed] {
        let (layer, mut tangent) = with_tangent::<f64>(side, &diagonal(&[-11.0, -6.0]));
        let mut accepted = |mu| tangent.log_det_change(&b, mu).unwrap().is_some();
        assert!(accepted(0.0999));
        assert!(!accepted(0.1001));
        assert!(!accepted(0.15));
        assert!(!accepted(0.5));
        // The control: a guard that looks at the sign of the determinant lets it pass.
        assert_eq!(sign_of_determinant(&mut tangent, &layer, 0.15), -1.0);
        assert_eq!(sign_of_determinant(&mut tangent, &layer, 0.5), 1.0);
    }
}

/// T turns by 120° and stretches: no μ > 0 leads to a singular matrix, and the test refuses large
/// steps all the same. Whoever makes it necessary as well has this to change.
#[test]
fn refuses_some_clear_paths() {
    let b = Heap::<f64>::new();
    let (cos, sin) = (-0.5, 0.75_f64.sqrt());
    let turn = Plain::new(2, 2, |i, j| match (i, j) {
        (0, 1) => -8.0 * sin,
        (1, 0) => 8.0 * sin,
        _ => 8.0 * cos,
    });
    let (_, mut tangent) = with_tangent::<f64>(Side::Plain, &turn.plus(-1.0, &Plain::identity(2)));
    // The symmetric part of I + μT is (1 − 4μ) I.
    assert!(tangent.log_det_change(&b, 0.249).unwrap().is_some());
    assert!(tangent.log_det_change(&b, 0.251).unwrap().is_none());
}

/// One row of two numbers: K is a number, and the limit is that of the first crossing,
/// μ× = 1/(−ν−1) with ν = yᵀδ. The same for more rows than numbers, where K is taken on the other
/// side.
#[test]
fn limit_is_the_first_crossing() {
    let b = Heap::<f64>::new();
    for side in [Side::Plain, Side::Transposed] {
        for rows in [1, 3] {
            let layer = layer(Plain::identity(2));
            let y = Plain::new(rows, 2, |_, j| [2.0, 1.0][j]);
            let delta = y.scaled(-0.6); // ν = −3
            let mut tangent = tangent::<f64>(side, &layer, &delta, &y);
            let limit = 0.5;
            for (mu, clear) in [(1e-3, true), (0.999 * limit, true), (1.001 * limit, false)] {
                let found = tangent.log_det_change(&b, mu).unwrap();
                assert_eq!(found.is_some(), clear, "{side:?} {rows} {mu}");
                // T has the eigenvalues 1 and 1 + ν = −2.
                let Some(change) = found else { continue };
                let exact = mu.ln_1p() + (-2.0 * mu).ln_1p();
                assert!(
                    (change - exact).abs()
                        < 64.0 * f64::EPSILON * (1.0 + exact.abs() / (limit - mu))
                );
            }
        }
    }
}

#[test]
fn shrinks_to_the_first_clear_step_and_counts() {
    let b = Heap::<f32>::new();
    let (_, mut tangent) = with_tangent::<f32>(Side::Plain, &diagonal(&[-11.0, -6.0]));
    let asked = tangent.guard(&b, 0.5).unwrap().unwrap();
    assert_eq!((asked.mu, asked.shrinks), (0.0625, 3));
    let exact = (1.0 - 10.0 / 16.0_f64).ln() + (1.0 - 5.0 / 16.0_f64).ln();
    assert!((asked.log_det_change - exact).abs() < 8.0 * f64::from(f32::EPSILON));
    let small = tangent.guard(&b, 1e-3).unwrap().unwrap();
    assert_eq!((small.mu, small.shrinks), (1e-3, 0));
    let none = tangent.guard(&b, 0.0).unwrap().unwrap();
    assert_eq!((none.log_det_change, none.shrinks), (0.0, 0));
}

#[test]
fn refuses_what_is_not_finite() {
    let b = Heap::<f64>::new();
    let (_, mut clear) = with_tangent::<f64>(Side::Plain, &diagonal(&[0.5, 0.5]));
    for mu in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -7.0] {
        assert_eq!(clear.log_det_change(&b, mu), Ok(None), "{mu}");
    }
    assert_eq!(clear.guard(&b, f64::NAN), Ok(None));
    assert_eq!(clear.guard(&b, f64::INFINITY), Ok(None));

    for side in [Side::Plain, Side::Transposed] {
        for rows in [1, 2, 3] {
            for at in 0..2 * rows {
                for bad in [f64::NAN, f64::INFINITY] {
                    let layer = layer(Plain::identity(2));
                    let mut delta = Plain::new(rows, 2, |i, j| 0.1 * (i + j + 1) as f64);
                    let anchor = delta.clone();
                    delta.data[at] = bad;
                    let mut tangent = tangent::<f64>(side, &layer, &delta, &anchor);
                    assert_eq!(
                        tangent.guard(&b, 0.1),
                        Ok(None),
                        "{side:?} {rows} {at} {bad}"
                    );
                }
            }
        }
    }
}
