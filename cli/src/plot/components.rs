use faer::Mat;

use super::canvas::Canvas;
use super::choose::spread;
use super::colour::{DATA, MODEL};
use super::frame::Frame;
use super::interval::Interval;
use super::panel::Panel;
use super::{Picture, PlotError};

/// Rows projected to the plane in which the data, every column scaled to unit variance, varies
/// most.
struct Plane {
    /// Of every column: mean, one over its standard deviation, and the two directions.
    columns: Vec<[f64; 4]>,
    /// The shares of the variance along the two directions.
    shares: [f64; 2],
}

/// The first two principal components of the data beside those of the samples.
pub(super) fn draw(
    canvas: &Canvas<'_>,
    picture: &Picture<'_>,
    [left, right]: [Frame; 2],
) -> Result<(), PlotError> {
    let plane = Plane::new(picture.data, picture.names.len())?;
    let data = plane.project(picture.data);
    let samples = plane.project(picture.samples);
    let interval = |axis: usize| {
        let covering = |points: &[[f64; 2]]| Interval::covering(points.iter().map(|p| p[axis]));
        let mut range = covering(&data);
        if !samples.is_empty() {
            let other = covering(&samples);
            range = Interval::new(range.low.min(other.low), range.high.max(other.high));
        }
        range.widened(0.05)
    };
    let [x, y] = [interval(0), interval(1)];
    let label = |i: usize| {
        let percent = (100.0 * plane.shares[i]).round();
        format!("component {} ({percent}% of variance)", i + 1)
    };
    let [x_label, y_label] = [label(0), label(1)];
    let parts = [
        ("Data", left, &data, DATA, Some(&*y_label)),
        ("Samples", right, &samples, MODEL, None),
    ];
    for (heading, frame, points, colour, y_label) in parts {
        let panel = Panel { frame, x, y };
        panel.grid(canvas)?;
        let detail = panel.scatter(canvas, points, colour)?;
        panel.axes(canvas, [Some(&x_label), y_label])?;
        frame.heading(canvas, heading, &detail)?;
    }
    Ok(())
}

impl Plane {
    fn new(data: &[f64], dim: usize) -> Result<Self, PlotError> {
        /// A singular value decomposition of so many numbers takes well below a second.
        const NUMBERS: usize = 500_000;
        let rows = spread(data.len() / dim, (NUMBERS / dim).clamp(2, 4000));
        let columns: Vec<[f64; 2]> = (0..dim)
            .map(|c| standard(rows.iter().map(|&row| data[row * dim + c])))
            .collect();
        let table = Mat::from_fn(rows.len(), dim, |i, c| {
            let [mean, scale] = columns[c];
            finite((data[rows[i] * dim + c] - mean) * scale)
        });
        let svd = table.thin_svd().map_err(|_| {
            PlotError::Drawing("the principal components do not converge".to_owned())
        })?;
        let (directions, values) = (svd.V(), svd.S().column_vector());
        let squares: Vec<f64> = values.iter().map(|s| s * s).collect();
        let total: f64 = squares.iter().sum();
        let share = |i: usize| finite(squares.get(i).unwrap_or(&0.0) / total);
        let direction = |i: usize, c: usize| match i < directions.ncols() {
            true => directions[(c, i)] * sign((0..dim).map(|c| directions[(c, i)])),
            false => 0.0,
        };
        Ok(Self {
            columns: columns
                .iter()
                .enumerate()
                .map(|(c, &[mean, scale])| [mean, scale, direction(0, c), direction(1, c)])
                .collect(),
            shares: [share(0), share(1)],
        })
    }

    fn project(&self, rows: &[f64]) -> Vec<[f64; 2]> {
        let project = |row: &[f64]| {
            let cells = row.iter().zip(&self.columns);
            cells.fold([0.0; 2], |[x, y], (value, [mean, scale, u, v])| {
                let value = (value - mean) * scale;
                [x + u * value, y + v * value]
            })
        };
        rows.chunks_exact(self.columns.len()).map(project).collect()
    }
}

/// Mean and one over the standard deviation; 0 in place of the latter without spread.
fn standard(column: impl Iterator<Item = f64> + Clone) -> [f64; 2] {
    let count = column.clone().count() as f64;
    // Squares of the values themselves could overflow.
    let largest = column.clone().fold(0.0, |m: f64, v| m.max(v.abs()));
    let mean = column.clone().map(|v| v / count).sum::<f64>();
    let variance = column.map(|v| ((v - mean) / largest).powi(2)).sum::<f64>() / count;
    let scale = 1.0 / variance.sqrt() / largest;
    [mean, if variance > 1e-24 { finite(scale) } else { 0.0 }]
}

/// Singular vectors have no sign of their own: their largest entry shall be positive.
fn sign(direction: impl Iterator<Item = f64>) -> f64 {
    let larger = |a: f64, b: f64| if b.abs() > a.abs() { b } else { a };
    direction.fold(0.0, larger).signum()
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_of_columns_that_go_together() {
        // Two columns alike but for units, one apart from them, one constant.
        let rows = 60;
        let data: Vec<f64> = (0..rows)
            .flat_map(|i| {
                let [a, b] = [f64::from(i % 6) - 2.5, f64::from(i / 6) - 4.5];
                [1e9 * a, -1e-9 * a + 5.0e-9, b, 7.0]
            })
            .collect();
        let plane = Plane::new(&data, 4).unwrap();
        // Of three columns with spread two lie along the first direction, one along the second;
        // the bound is machine epsilon times the rows, and room for the mean of 5e-9.
        let slack = 60.0 * 16.0 * f64::EPSILON;
        assert!(
            (plane.shares[0] - 2.0 / 3.0).abs() < slack,
            "{:?}",
            plane.shares
        );
        assert!(
            (plane.shares[1] - 1.0 / 3.0).abs() < slack,
            "{:?}",
            plane.shares
        );
        let half = 0.5_f64.sqrt();
        let directions = plane.columns.iter().map(|&[.., u, v]| [u.abs(), v.abs()]);
        for (found, expected) in directions.zip([[half, 0.0], [half, 0.0], [0.0, 1.0], [0.0; 2]]) {
            let apart = |i: usize| (found[i] - expected[i]).abs();
            assert!(apart(0).max(apart(1)) < slack, "{found:?} {expected:?}");
        }
        // Projections have the variance of their direction: 2 and 1.
        let variance = |axis: usize| {
            let points = plane.project(&data);
            points.iter().map(|p| p[axis] * p[axis]).sum::<f64>() / f64::from(rows)
        };
        assert!((variance(0) - 2.0).abs() < slack && (variance(1) - 1.0).abs() < slack);
    }
}
