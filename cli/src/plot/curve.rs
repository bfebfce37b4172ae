use plotters::style::Color;

use super::canvas::{Anchor, Canvas, paint};
use super::colour::{DATA, MODEL};
use super::frame::Frame;
use super::header::header;
use super::histogram::Bins;
use super::interval::Interval;
use super::lettering::DETAIL;
use super::number::{counted, grouped};
use super::panel::Panel;
use super::{Picture, PlotError};

const SIZE: [usize; 2] = [1440, 780];
const FRAME: Frame = Frame {
    left: 124.0,
    top: 158.0,
    width: 1270.0,
    height: 530.0,
};

/// Points of the curve for a pixel across.
const FINE: usize = 2;

/// One column: a histogram under the density's curve.
pub(super) struct Plan {
    bins: Bins,
    x: Interval,
}

impl Plan {
    pub(super) fn new(picture: &Picture<'_>) -> Self {
        let bins = bins(picture.data);
        let x = bins.range.widened(0.06);
        Self { bins, x }
    }

    /// Places along the axis, from left to right.
    pub(super) fn points(&self) -> Vec<f64> {
        let count = FINE * FRAME.width as usize;
        let share = |i: usize| i as f64 / (count - 1) as f64;
        (0..count).map(|i| self.x.at(share(i))).collect()
    }

    pub(super) fn draw(
        &self,
        picture: &Picture<'_>,
        log_density: &[f64],
    ) -> Result<Vec<u8>, PlotError> {
        let counts = self.bins.counts(picture.data.iter().copied());
        let inside: usize = counts.iter().sum();
        let area = picture.data.len() as f64 * self.bins.width();
        let bars: Vec<f64> = counts.iter().map(|&n| n as f64 / area).collect();
        let curve: Vec<f64> = log_density.iter().map(|l| l.exp()).collect();
        let panel = Panel {
            frame: FRAME,
            x: self.x,
            y: Interval::new(0.0, 1.08 * top(&bars, &curve)),
        };
        let mut detail = counted(picture.data.len());
        if inside < picture.data.len() {
            detail += &format!(", {} outside", grouped(picture.data.len() - inside));
        }
        paint(SIZE, |canvas| {
            header(canvas, picture, SIZE[0])?;
            panel.grid(canvas)?;
            for (bin, &height) in bars.iter().enumerate() {
                let [left, right] = self.bins.ends(bin).map(|x| panel.across(x));
                let bar = [left, panel.up(height), right - 1.0, FRAME.bottom()];
                canvas.fill(bar, DATA.mix(0.3))?;
            }
            line(canvas, &panel, self.points().into_iter().zip(curve))?;
            panel.axes(canvas, [Some(&picture.names[0]), Some("density")])?;
            legend(canvas, &detail)
        })
    }
}

/// Twice the cube root of the number of rows (Rice's rule); whole numbers are never split.
fn bins(data: &[f64]) -> Bins {
    const MOST: usize = 80;
    let range = Interval::covering(data.iter().copied());
    let count = ((2.0 * (data.len() as f64).cbrt()).ceil() as usize).clamp(8, MOST);
    let whole = data.iter().all(|x| x.fract() == 0.0);
    if !whole || range.width() > 1e9 {
        return Bins { range, count };
    }
    let (low, values) = (range.low.floor(), range.width().ceil() + 1.0);
    let width = (values / count as f64).ceil();
    let count = (values / width).ceil();
    Bins {
        range: Interval::new(low, low + count * width),
        count: count as usize,
    }
}

/// The highest bar or the curve's peak, unless that is a spike far above both.
fn top(bars: &[f64], curve: &[f64]) -> f64 {
    const SPIKE: f64 = 2.5;
    let highest = |of: &[f64]| {
        of.iter()
            .copied()
            .filter(|v| v.is_finite())
            .fold(0.0, f64::max)
    };
    let bar = highest(bars);
    match highest(curve) {
        peak if bar > 0.0 => peak.clamp(bar, SPIKE * bar),
        peak => peak,
    }
}

/// A thick line with round joints through all places that are on the panel.
fn line(
    canvas: &Canvas<'_>,
    panel: &Panel,
    points: impl Iterator<Item = (f64, f64)>,
) -> Result<(), PlotError> {
    const RADIUS: f64 = 1.9;
    const STEP: f64 = 0.7;
    let Frame { top, .. } = panel.frame;
    let place = |(x, y): (f64, f64)| (panel.across(x), panel.up(y).max(top - STEP));
    let mut last: Option<(f64, f64)> = None;
    for (x, y) in points.map(place) {
        let (from_x, from_y) = last.unwrap_or((x, y));
        let steps = ((x - from_x).hypot(y - from_y) / STEP).ceil().max(1.0);
        for step in 0..steps as usize {
            let share = step as f64 / steps;
            let (x, y) = (from_x + share * (x - from_x), from_y + share * (y - from_y));
            if y >= top {
                canvas.disc((x, y), RADIUS, MODEL)?;
            }
        }
        last = Some((x, y));
    }
    Ok(())
}

/// What bars and line are, in the heading's place.
fn legend(canvas: &Canvas<'_>, detail: &str) -> Result<(), PlotError> {
    let baseline = FRAME.top - 14.0;
    let mut left = FRAME.left;
    canvas.fill(
        [left, baseline - 15.0, left + 26.0, baseline + 1.0],
        DATA.mix(0.3),
    )?;
    left += 36.0;
    let data = format!("data, {detail}");
    canvas.text(&data, (left, baseline), DETAIL, Anchor::Start)?;
    left += canvas.width(&data, DETAIL) + 40.0;
    canvas.fill([left, baseline - 9.0, left + 26.0, baseline - 5.0], MODEL)?;
    canvas.text(
        "learned density",
        (left + 36.0, baseline),
        DETAIL,
        Anchor::Start,
    )
}
