//! The yardstick: a full-covariance Gaussian fitted to the same rows.

use std::cmp::Ordering;

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

/// log p(x) = −½ ‖L⁻¹(x − m)‖² − Σ log L_ii − D/2 log 2π, with m and L Lᵀ the mean and the
/// covariance (divisor n) of the rows it was fitted to.
pub(crate) struct Gaussian {
    mean: Vec<f64>,
    /// The standard deviations S of the columns.
    scale: Vec<f64>,
    /// Of S⁻¹ L
    factor: faer::linalg::solvers::Llt<f64>,
    constant: f64,
}

impl Gaussian {
    /// `None` where the rows do not span the space.
    pub(crate) fn fit(rows: &[f64], dim: usize) -> Option<Self> {
        let count = rows.len() / dim;
        let mut mean = vec![0.0; dim];
        for row in rows.chunks_exact(dim) {
            for (mean, x) in mean.iter_mut().zip(row) {
                *mean += x / count as f64;
            }
        }
        let mut scale = vec![0.0; dim];
        for row in rows.chunks_exact(dim) {
            for ((scale, x), mean) in scale.iter_mut().zip(row).zip(&mean) {
                *scale += (x - mean) * (x - mean) / count as f64;
            }
        }
        // In units of their own, so that a column of large numbers does not hide one of small ones.
        scale.iter_mut().for_each(|scale| *scale = scale.sqrt());
        let centred = Mat::from_fn(count, dim, |r, c| (rows[r * dim + c] - mean[c]) / scale[c]);
        let correlations = centred.transpose() * &centred * faer::Scale(1.0 / count as f64);
        let factor = correlations.llt(Side::Lower).ok()?;
        let diagonal = factor.L().diagonal().column_vector();
        let log_det: f64 = diagonal.iter().chain(&scale).map(|l| l.ln()).sum();
        let smallest = diagonal.iter().fold(f64::INFINITY, |a, &b| a.min(b));
        let largest = diagonal.iter().fold(0.0_f64, |a, &b| a.max(b));
        // A pivot that is all rounding, or NaN: singular to working precision.
        if smallest.partial_cmp(&(1e-7 * largest)) != Some(Ordering::Greater) {
            return None;
        }
        let constant = -log_det - 0.5 * dim as f64 * (2.0 * std::f64::consts::PI).ln();
        Some(Self {
            mean,
            scale,
            factor,
            constant,
        })
    }

    /// log p of every row.
    pub(crate) fn log_density(&self, rows: &[f64]) -> Vec<f64> {
        let dim = self.mean.len();
        let count = rows.len() / dim;
        let centred = Mat::from_fn(dim, count, |c, r| {
            (rows[r * dim + c] - self.mean[c]) / self.scale[c]
        });
        let solved = self.factor.solve(&centred);
        (0..count)
            .map(|r| {
                let square: f64 = (0..dim).map(|c| centred[(c, r)] * solved[(c, r)]).sum();
                // So far out that differences overflow, there may be NaN.
                let log_density = self.constant - 0.5 * square;
                if log_density.is_nan() {
                    f64::NEG_INFINITY
                } else {
                    log_density
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: two columns, mean (1, 2), covariance [[2, 1], [1, 2]].
    #[test]
    fn figures_by_hand() {
        let a = 3.0_f64.sqrt();
        // Rows mean ± √3 (1, 1), mean ± (1, −1): covariance [[(6+2)/4, (6−2)/4], …].
        let rows = [1.0 + a, 2.0 + a, 1.0 - a, 2.0 - a, 2.0, 1.0, 0.0, 3.0];
        let gaussian = Gaussian::fit(&rows, 2).unwrap();
        let at_mean = gaussian.log_density(&[1.0, 2.0])[0];
        let expected = -0.5 * 3.0_f64.ln() - (2.0 * std::f64::consts::PI).ln();
        assert!((at_mean - expected).abs() < 1e-12);
        // Along (1, 1) the variance is 3: ‖(1, 1)‖² = 2, so minus 2/3/2.
        let off = gaussian.log_density(&[2.0, 3.0])[0];
        assert!((off - expected + 1.0 / 3.0).abs() < 1e-12);
    }

    /// Columns in other units: the same density but for the units.
    #[test]
    fn units_do_not_matter() {
        let rows = |unit: f64| -> Vec<f64> {
            let row = |r: u32| [f64::from(r * 7 % 11), unit * f64::from(r * 5 % 13)];
            (0..40).flat_map(row).collect()
        };
        let [one, other] = [1.0, 1e12].map(|unit| {
            let gaussian = Gaussian::fit(&rows(unit), 2).unwrap();
            gaussian.log_density(&rows(unit))[3]
        });
        assert!((one - 1e12_f64.ln() - other).abs() < 1e-9, "{one} {other}");
    }

    #[test]
    fn singular_covariances_are_refused() {
        assert!(Gaussian::fit(&[1.0, 2.0, 2.0, 4.0, 3.0, 6.0], 2).is_none());
        assert!(Gaussian::fit(&[1.0, 2.0], 2).is_none());
    }
}
