//! Rows of unit covariance, on the host and in double precision.

use alloc::vec::Vec;

use super::UnmixError;
use crate::Standardisation;
use crate::cholesky::{factorise, solve_rows, split, tail, transposed};

/// The share of a column's variance that the columns before it leave open, below which it counts
/// as their linear combination. Sums of products that nearly cancel are good to about 10⁻¹⁵ over
/// the shares of the columns before.
const LEAST_SHARE: f64 = 1e-10;

/// x̂ = L⁻¹ S⁻¹ (x − m): mean m, standard deviations S, and L Lᵀ the correlations of the columns.
pub(super) struct Whitening {
    standardisation: Standardisation,
    /// Lᵀ, row-major.
    factor: Vec<f64>,
}

impl Whitening {
    /// The whitening of `rows`, and the rows whitened by it.
    pub(super) fn of<E>(rows: &[f64], dim: usize) -> Result<(Self, Vec<f64>), UnmixError<E>> {
        if let Some(place) = rows.iter().position(|x| !x.is_finite()) {
            let (row, column) = (place / dim, place % dim);
            return Err(UnmixError::NotFinite { row, column });
        }
        let Some(standardisation) = Standardisation::of(dim, rows.chunks_exact(dim)) else {
            let alone = |j: &usize| {
                let column = rows.chunks_exact(dim).filter_map(|row| row.get(*j..=*j));
                Standardisation::of(1, column).is_none()
            };
            let column = (0..dim).find(alone).unwrap_or_default();
            return Err(UnmixError::NoSpread { column });
        };
        let mut rows = rows.to_vec();
        for row in rows.chunks_exact_mut(dim) {
            standardisation.apply(row);
        }
        let mut factor = products(&rows, dim);
        let count = (rows.len() / dim) as f64;
        for x in &mut factor {
            *x /= count;
        }
        if let Some(column) = factorise(&mut factor, dim, LEAST_SHARE) {
            return Err(UnmixError::Dependent { column });
        }
        solve_rows(&factor, dim, &mut rows);
        let whitening = Self {
            standardisation,
            factor,
        };
        Ok((whitening, rows))
    }

    /// m
    pub(super) fn mean(&self) -> &[f64] {
        &self.standardisation.mean
    }

    /// S, the standard deviation of every column.
    pub(super) fn scale(&self) -> &[f64] {
        &self.standardisation.scale
    }

    /// log|det ∂x̂/∂x|
    pub(super) fn log_jacobian(&self) -> f64 {
        let dim = self.scale().len();
        let diagonal = self.factor.iter().step_by(dim + 1);
        self.standardisation.log_jacobian() - diagonal.map(|&l| libm::log(l)).sum::<f64>()
    }

    /// w ← the weights in the data's own units of a source whose weights on x̂ are w: S⁻¹ L⁻ᵀ w.
    pub(super) fn unwhiten_weights(&self, w: &mut [f64]) {
        let dim = w.len();
        for (i, row) in self.factor.chunks_exact(dim.max(1)).enumerate().rev() {
            let (Some((x, known)), Some((l, row))) = (tail(w, i), split(row, i)) else {
                continue;
            };
            let sum: f64 = row.iter().zip(&*known).map(|(l, w)| l * w).sum();
            *x = (*x - sum) / l;
        }
        for (w, scale) in w.iter_mut().zip(self.scale()) {
            *w /= scale;
        }
    }

    /// out ← L a, the standardised data that the whitened a stands for.
    pub(super) fn unwhiten(&self, a: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (j, (row, a)) in self.factor.chunks_exact(a.len().max(1)).zip(a).enumerate() {
            for (out, l) in out.iter_mut().zip(row).skip(j) {
                *out += l * a;
            }
        }
    }
}

/// A [dim, dim] matrix with orthonormal rows, uniform over all of them where `normals` are
/// independent standard normals: the columns of their matrix, whitened.
pub(super) fn orthonormal(normals: &[f64], dim: usize) -> Vec<f64> {
    let mut columns = transposed(normals, dim);
    let mut factor = products(&columns, dim);
    // Singular with probability 0.
    factorise(&mut factor, dim, 0.0);
    solve_rows(&factor, dim, &mut columns);
    transposed(&columns, dim)
}

/// Σ_r x_r x_rᵀ, its upper triangle.
fn products(rows: &[f64], dim: usize) -> Vec<f64> {
    let mut sum = alloc::vec![0.0; dim * dim];
    // Four rows at a time: the sum is read and written once for all of them.
    let mut fours = rows.chunks_exact(4 * dim);
    for four in &mut fours {
        let (ab, cd) = four.split_at(2 * dim);
        let ((a, b), (c, d)) = (ab.split_at(dim), cd.split_at(dim));
        for (i, sum) in sum.chunks_exact_mut(dim).enumerate() {
            let (Some((sum, a)), Some((b, (c, d)))) = (
                sum.get_mut(i..).zip(a.get(i..)),
                b.get(i..).zip(c.get(i..).zip(d.get(i..))),
            ) else {
                continue;
            };
            let ([p, ..], [q, ..], [s, ..], [t, ..]) = (a, b, c, d) else {
                continue;
            };
            let others = b.iter().zip(c.iter().zip(d));
            for ((sum, a), (b, (c, d))) in sum.iter_mut().zip(a).zip(others) {
                *sum += (p * a + q * b) + (s * c + t * d);
            }
        }
    }
    for row in fours.remainder().chunks_exact(dim) {
        for (i, sum) in sum.chunks_exact_mut(dim).enumerate() {
            let Some((&x, _)) = split(row, i) else {
                continue;
            };
            for (sum, y) in sum.iter_mut().zip(row).skip(i) {
                *sum += x * y;
            }
        }
    }
    sum
}
