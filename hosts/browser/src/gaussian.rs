//! The yardstick: a Gaussian with full covariance.

use core::f64::consts::TAU;

/// The mean over `points` of log N(m, C), with the mean m and the covariance C (divisor n) of `train`;
/// NaN where C is singular to rounding.
pub(crate) fn log_likelihood(train: &[f64], points: &[f64]) -> f64 {
    let (train, _) = train.as_chunks::<2>();
    let (points, _) = points.as_chunks::<2>();
    let average = |rows: &[[f64; 2]], f: &dyn Fn(&[f64; 2]) -> f64| {
        rows.iter().map(f).sum::<f64>() / rows.len() as f64
    };
    let [mx, my] = [0, 1].map(|axis: usize| average(train, &|p| p[axis]));
    let xx = average(train, &|[x, _]| (x - mx) * (x - mx));
    let xy = average(train, &|[x, y]| (x - mx) * (y - my));
    let yy = average(train, &|[_, y]| (y - my) * (y - my));
    let determinant = xx * yy - xy * xy;
    if determinant.is_nan() || determinant <= 1e-14 * xx * yy {
        return f64::NAN;
    }
    let square = |[x, y]: &[f64; 2]| {
        let (x, y) = (x - mx, y - my);
        (yy * x * x - 2.0 * xy * x * y + xx * y * y) / determinant
    };
    -0.5 * average(points, &square) - 0.5 * libm::log(determinant) - libm::log(TAU)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: mean (1, 2), covariance [[2, 1], [1, 2]].
    #[test]
    fn figures_by_hand() {
        let a = 3.0_f64.sqrt();
        let train = [1.0 + a, 2.0 + a, 1.0 - a, 2.0 - a, 2.0, 1.0, 0.0, 3.0];
        let at_mean = -0.5 * 3.0_f64.ln() - TAU.ln();
        assert!((log_likelihood(&train, &[1.0, 2.0]) - at_mean).abs() < 1e-14);
        // Along (1, 1) the variance is 3: ‖(1, 1)‖² = 2, so minus 2/3/2.
        let off = log_likelihood(&train, &[2.0, 3.0]);
        assert!((off - at_mean + 1.0 / 3.0).abs() < 1e-14);
    }

    #[test]
    fn points_on_a_line_have_none() {
        let line: Vec<f64> = (0..40).map(f64::from).collect();
        assert!(log_likelihood(&line, &line).is_nan());
    }
}
