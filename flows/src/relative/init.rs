//! Well-conditioned initial weights.

use alloc::vec::Vec;

use detfree_core::{Activation, Affine, Key};

/// Layers through which standardised data stays standardised: with orthogonal Q_l, the first is
/// y = Q₁ x, and the others undo the mean c and the standard deviation s that the activation gives
/// a standard normal, y = Q_l (z − c)/s.
///
/// A hundred layers then stretch and shift no direction systematically, where plain orthogonal
/// weights behind an activation of slope below one would contract all of them to a point.
#[must_use]
pub(super) fn standardised(
    dim: usize,
    depth: usize,
    activation: Activation,
    key: Key,
) -> Vec<Affine<Vec<f64>>> {
    let (mean, deviation) = moments(activation);
    (0..depth)
        .map(|l| {
            let mut weight = orthogonal(dim, key.fold_in(l as u64));
            if l == 0 {
                let bias = alloc::vec![0.0; dim];
                return Affine { weight, bias };
            }
            for x in &mut weight {
                *x /= deviation;
            }
            let bias = weight
                .chunks_exact(dim.max(1))
                .map(|row| -mean * row.iter().sum::<f64>())
                .collect();
            Affine { weight, bias }
        })
        .collect()
}

/// Mean and standard deviation of σ(Y) for a standard normal Y, by the trapezoidal rule (whose
/// error for such integrands is below rounding).
fn moments(activation: Activation) -> (f64, f64) {
    let (mut mass, mut mean, mut square) = (0.0, 0.0, 0.0);
    for i in -160..=160 {
        let y = f64::from(i) * 0.05;
        let (mut z, mut d1, mut d2) = ([0.0], [0.0], [0.0]);
        activation.jets(&[y], &mut z, &mut d1, &mut d2);
        let weight = libm::exp(-0.5 * y * y);
        mass += weight;
        mean += weight * z[0];
        square += weight * z[0] * z[0];
    }
    mean /= mass;
    (mean, libm::sqrt(square / mass - mean * mean))
}

/// A random orthogonal [dim, dim] matrix: the product of at most 32 Householder reflections
/// I − 2 v vᵀ/‖v‖² with Gaussian v, O(dim²) each.
#[must_use]
fn orthogonal(dim: usize, key: Key) -> Vec<f64> {
    let mut q = alloc::vec![0.0; dim * dim];
    for (i, row) in q.chunks_exact_mut(dim.max(1)).enumerate() {
        if let Some(x) = row.get_mut(i) {
            *x = 1.0;
        }
    }
    for reflection in 0..dim.min(32) as u64 {
        let v: Vec<f64> = (0..dim as u32).map(|j| key.normal(reflection, j)).collect();
        let square: f64 = v.iter().map(|v| v * v).sum();
        for row in q.chunks_exact_mut(dim.max(1)) {
            let product: f64 = row.iter().zip(&v).map(|(q, v)| q * v).sum();
            let factor = 2.0 * product / square;
            for (q, v) in row.iter_mut().zip(&v) {
                *q -= factor * v;
            }
        }
    }
    q
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E σ(Y) and the variance for σ(y) = y, and for s_L by its symmetry s_L(y) − s_L(−y) = (1+α) y.
    #[test]
    fn moments_of_activations() {
        let (mean, deviation) = moments(Activation::Identity);
        assert!(mean.abs() < 1e-14 && (deviation - 1.0).abs() < 1e-13);
        // s_L = (1+α) y/2 + an even part, uncorrelated with it.
        let alpha = 0.3;
        let (mean, deviation) = moments(Activation::LeakySoftplus { alpha });
        let even = |y: f64| (1.0 - alpha) * (2.0 * (y / 2.0).cosh()).ln();
        let (mut mass, mut first, mut second) = (0.0, 0.0, 0.0);
        for i in -9_000..=9_000 {
            let y = f64::from(i) * 1e-3;
            let weight = (-0.5 * y * y).exp();
            mass += weight;
            first += weight * even(y);
            second += weight * even(y).powi(2);
        }
        let variance = second / mass - (first / mass).powi(2) + ((1.0 + alpha) / 2.0).powi(2);
        assert!((mean - first / mass).abs() < 1e-12);
        assert!((deviation - variance.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn rows_are_orthonormal_and_mixed() {
        for dim in [1, 2, 7, 64] {
            let q = orthogonal(dim, Key::new(3));
            for i in 0..dim {
                for j in 0..dim {
                    let dot: f64 = (0..dim).map(|k| q[i * dim + k] * q[j * dim + k]).sum();
                    let expected = f64::from(u8::from(i == j));
                    assert!((dot - expected).abs() < 1e-13, "{dim}");
                }
            }
            let largest = q.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
            assert!(dim < 64 || largest < 0.9, "{largest}");
        }
    }
}
