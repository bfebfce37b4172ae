//! The likelihood's curvature where sources are independent: a 2×2 block for every pair.

use alloc::vec::Vec;

use super::rows::Point;

/// The least eigenvalue that a block is left with.
const FLOOR: f64 = 0.01;

/// The symmetric matrix [[a, c], [c, d]].
#[derive(Clone, Copy)]
struct Block {
    a: f64,
    c: f64,
    d: f64,
}

impl Block {
    /// The solution of (M + λI) x = g, with the least λ ≥ 0 that brings every eigenvalue to
    /// [`FLOOR`].
    fn solve(self, [g, h]: [f64; 2]) -> [f64; 2] {
        let Self { a, c, d } = self;
        let least = 0.5 * (a + d - libm::hypot(a - d, 2.0 * c));
        let shift = (FLOOR - least).max(0.0);
        let (a, d) = (a + shift, d + shift);
        let det = a * d - c * c;
        [(d * g - c * h) / det, (a * h - c * g) / det]
    }
}

/// out ← H⁻¹ g for g of shape [D, D+1], H the approximate negative Hessian of the log-likelihood
/// with its blocks made positive definite, so that ⟨g, out⟩ > 0.
///
/// Under W → (I+ε) W and b → b + e, with y = u + b,
///
/// −ℓ'' ≈ Σ_{i≠j} (h_ij ε_ij² + ε_ij ε_ji) + Σ_i ((1 + E ψ'u²) ε_ii² + 2 E ψ'u ε_ii e_i + E ψ' e_i²)
///
/// with h_ij = E[ψ'(y_i)] E[u_j²]: exact where sources are independent (Zibulevsky 2003; Ablin,
/// Cardoso and Gramfort 2018, section 3).
pub(super) fn precondition(point: &Point, g: &[f64]) -> Vec<f64> {
    let dim = point.power.len();
    let mut out = alloc::vec![0.0; g.len()];
    let at = |i: usize, j: usize| i * (dim + 1) + j;
    let mut solve = |block: Block, places: [usize; 2]| {
        let [x, y] = block.solve(places.map(|place| g.get(place).copied().unwrap_or_default()));
        for (place, value) in places.into_iter().zip([x, y]) {
            if let Some(out) = out.get_mut(place) {
                *out = value;
            }
        }
    };
    let sources = || point.slopes.iter().zip(&point.power).enumerate();
    for (i, (&[slope, slope_u, slope_uu], &power)) in sources() {
        for (j, (&[other_slope, ..], &other_power)) in sources().skip(i + 1) {
            let block = Block {
                a: slope * other_power,
                c: 1.0,
                d: other_slope * power,
            };
            solve(block, [at(i, j), at(j, i)]);
        }
        let block = Block {
            a: 1.0 + slope_uu,
            c: slope_u,
            d: slope,
        };
        solve(block, [at(i, i), at(i, dim)]);
    }
    out
}

/// The most interference that is given as a number: it is of first order in 1/n, and errors as large
/// as the sources themselves are beyond any first order.
const MOST: f64 = 0.5;

/// The share of other sources' variance that every estimated source is expected to hold beside
/// its own, for `count` independent rows; `None` beyond [`MOST`], which is ours.
///
/// At the maximum the error ε of W has covariance H⁻¹ S H⁻¹/n, S that of the gradient. In units of
/// the sources' deviations a pair's blocks are H = [[κ_i, 1], [1, κ_j]], S = [[a_i, 1], [1, a_j]]
/// with κ = E[ψ'] E[u²] and a = E[ψ²] E[u²], so that
///
/// E ε_ij² = (κ_j² a_i − 2 κ_j + a_j)/((κ_i κ_j − 1)² n)
///
/// κ = 1 for Gaussian sources, more for heavier tails: of two Gaussian ones any rotation is as
/// likely.
pub(super) fn interference(point: &Point, count: usize) -> Vec<Option<f64>> {
    let shapes: Vec<(f64, f64)> = (point.slopes.iter().zip(&point.power))
        .map(|(&[slope, ..], power)| (slope * power, (1.0 - slope) * power))
        .collect();
    let pair = |(k, a): (f64, f64), (other_k, other_a): (f64, f64)| {
        let curvature = k * other_k - 1.0;
        if curvature <= 0.0 {
            return f64::INFINITY;
        }
        let noise = other_k * other_k * a - 2.0 * other_k + other_a;
        noise / (curvature * curvature * count as f64)
    };
    let with_others = |i: usize, &shape: &(f64, f64)| {
        let others = shapes.iter().enumerate().filter(|(j, _)| *j != i);
        others.fold(0.0, |sum, (_, &other)| sum + pair(shape, other))
    };
    shapes
        .iter()
        .enumerate()
        .map(|(i, shape)| Some(with_others(i, shape)).filter(|&sum| sum <= MOST))
        .collect()
}
