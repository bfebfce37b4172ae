use super::canvas::{Canvas, paint};
use super::colour::{DATA, heat};
use super::frame::Frame;
use super::header::header;
use super::interval::Interval;
use super::panel::Panel;
use super::scale::Scale;
use super::{Picture, PlotError};

const SIZE: [usize; 2] = [1440, 816];
const LEFT: Frame = Frame {
    left: 112.0,
    top: 158.0,
    width: 560.0,
    height: 560.0,
};
const RIGHT: Frame = Frame {
    left: 724.0,
    ..LEFT
};
const BAR: Frame = Frame {
    left: 1308.0,
    width: 22.0,
    ..LEFT
};

/// Cells along a side of the density's grid.
const CELLS: usize = 220;

/// Two columns: the data beside the density on the same axes.
pub(super) struct Plan {
    x: Interval,
    y: Interval,
}

impl Plan {
    pub(super) fn new(picture: &Picture<'_>) -> Self {
        let column = |c: usize| picture.data.iter().skip(c).step_by(2).copied();
        let [x, y] = [0, 1].map(|c| Interval::covering(column(c)).widened(0.1));
        Self { x, y }
    }

    /// The middles of the grid's cells, line by line from the bottom.
    pub(super) fn points(&self) -> Vec<f64> {
        let middle = |i: usize| (i as f64 + 0.5) / CELLS as f64;
        (0..CELLS * CELLS)
            .flat_map(|i| [self.x.at(middle(i % CELLS)), self.y.at(middle(i / CELLS))])
            .collect()
    }

    /// Where the density is drawn, and its axes.
    #[cfg(test)]
    pub(super) fn density_panel(&self) -> (Frame, [Interval; 2]) {
        (RIGHT, [self.x, self.y])
    }

    pub(super) fn draw(
        &self,
        picture: &Picture<'_>,
        log_density: &[f64],
    ) -> Result<Vec<u8>, PlotError> {
        let scale = Scale::new(log_density);
        let on = |frame| Panel {
            frame,
            x: self.x,
            y: self.y,
        };
        let points: Vec<[f64; 2]> = picture.data.as_chunks().0.to_vec();
        let [x, y] = [&*picture.names[0], &*picture.names[1]];
        paint(SIZE, |canvas| {
            header(canvas, picture, SIZE[0])?;
            let panel = on(LEFT);
            panel.grid(canvas)?;
            let detail = panel.scatter(canvas, &points, DATA)?;
            panel.axes(canvas, [Some(x), Some(y)])?;
            LEFT.heading(canvas, "Data", &detail)?;

            let detail = match &scale {
                Some(scale) => {
                    map(canvas, RIGHT, &scale.shades(log_density))?;
                    scale.bar(canvas, BAR)?;
                    ""
                }
                None => {
                    RIGHT.fill(canvas, heat(0.0))?;
                    "none that is finite"
                }
            };
            on(RIGHT).axes(canvas, [Some(x), None])?;
            RIGHT.heading(canvas, "Learned density", detail)
        })
    }
}

/// Shades between cell middles are interpolated, one for every pixel.
fn map(canvas: &Canvas<'_>, frame: Frame, shades: &[f64]) -> Result<(), PlotError> {
    let cell = |pixel: usize, length: f64| {
        let place =
            ((pixel as f64 + 0.5) / length * CELLS as f64 - 0.5).clamp(0.0, (CELLS - 1) as f64);
        let below = (place as usize).min(CELLS - 2);
        (below, place - below as f64)
    };
    for line in 0..frame.height as usize {
        let (low, up) = cell(line, frame.height);
        for pixel in 0..frame.width as usize {
            let (left, right) = cell(pixel, frame.width);
            let shade = |line: usize| {
                let [a, b] = [0, 1].map(|i| shades[line * CELLS + left + i]);
                a + right * (b - a)
            };
            let [below, above] = [shade(low), shade(low + 1)];
            let corner = [
                frame.left + pixel as f64,
                frame.bottom() - line as f64 - 1.0,
            ];
            let [x, y] = corner;
            canvas.fill([x, y, x + 1.0, y + 1.0], heat(below + up * (above - below)))?;
        }
    }
    Ok(())
}
