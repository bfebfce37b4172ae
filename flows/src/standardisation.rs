//! Centring and scaling of columns, as part of a model.

use alloc::vec::Vec;

/// x̂_j = (x_j − mean_j)/scale_j, with log|det ∂x̂/∂x| = −Σ_j log scale_j.
///
/// ```
/// use detfree_flows::Standardisation;
/// let rows = [[1.0, 10.0], [3.0, 30.0]];
/// let standard = Standardisation::of(2, rows.iter().map(|row| &row[..])).unwrap();
/// let mut row = [3.0, 10.0];
/// standard.apply(&mut row);
/// assert_eq!(row, [1.0, -1.0]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Standardisation {
    /// Per column.
    pub mean: Vec<f64>,
    /// Per column, positive.
    pub scale: Vec<f64>,
}

impl Standardisation {
    /// Mean and standard deviation (with the divisor n) of the columns of `rows`, each `dim` long.
    ///
    /// `None` where a column is constant to rounding, or not finite, or there is no row.
    pub fn of<'a>(dim: usize, rows: impl Iterator<Item = &'a [f64]>) -> Option<Self> {
        let mut count = 0.0;
        let mut mean = alloc::vec![0.0; dim];
        let mut squares = alloc::vec![0.0; dim];
        for row in rows {
            count += 1.0;
            // Welford's update: no cancellation for columns far from zero.
            for ((&x, mean), squares) in row.iter().zip(&mut mean).zip(&mut squares) {
                let delta = x - *mean;
                *mean += delta / count;
                *squares += delta * (x - *mean);
            }
        }
        let scale: Vec<f64> = squares.iter().map(|s| libm::sqrt(s / count)).collect();
        let spread = |(&scale, &mean): (&f64, &f64)| {
            scale.is_finite() && scale > f64::EPSILON * libm::fabs(mean) && scale > 0.0
        };
        (dim > 0 && count > 0.0 && scale.iter().zip(&mean).all(spread))
            .then_some(Self { mean, scale })
    }

    /// log|det ∂x̂/∂x|, to be added to a log-density of x̂ to give the one of x.
    #[must_use]
    pub fn log_jacobian(&self) -> f64 {
        -self.scale.iter().map(|&s| libm::log(s)).sum::<f64>()
    }

    /// x ← x̂
    pub fn apply(&self, row: &mut [f64]) {
        for ((x, mean), scale) in row.iter_mut().zip(&self.mean).zip(&self.scale) {
            *x = (*x - mean) / scale;
        }
    }

    /// x̂ ← x
    pub fn invert(&self, row: &mut [f64]) {
        for ((x, mean), scale) in row.iter_mut().zip(&self.mean).zip(&self.scale) {
            *x = *x * scale + mean;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_moments() {
        let rows = [[1e6, 1.0], [1e6 + 1.0, 3.0], [1e6 + 2.0, 8.0]];
        let standard = Standardisation::of(2, rows.iter().map(|r| &r[..])).unwrap();
        assert!((standard.mean[0] - 1e6 - 1.0).abs() < 1e-9);
        assert!((standard.scale[0] - (2.0_f64 / 3.0).sqrt()).abs() < 1e-9);
        let mut row = rows[2];
        standard.apply(&mut row);
        assert!((row[1] - 4.0 / (26.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        standard.invert(&mut row);
        assert!((row[0] - rows[2][0]).abs() < 1e-9 && (row[1] - 8.0).abs() < 1e-12);
        let log: f64 = standard.scale.iter().map(|s| -s.ln()).sum();
        assert_eq!(standard.log_jacobian(), log);
    }

    #[test]
    fn columns_without_spread_are_refused() {
        let of = |rows: &[[f64; 1]]| Standardisation::of(1, rows.iter().map(|r| &r[..]));
        assert!(of(&[]).is_none());
        assert!(of(&[[2.0], [2.0]]).is_none());
        assert!(of(&[[2.0], [f64::NAN]]).is_none());
        // The spread of 0.1 summed is rounding.
        assert!(of(&[[0.1], [0.1 + f64::EPSILON / 16.0]]).is_none());
        assert!(of(&[[2.0], [3.0]]).is_some());
    }
}
