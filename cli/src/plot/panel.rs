use plotters::style::{Color, RGBColor};

use super::PlotError;
use super::canvas::{Anchor, Canvas};
use super::choose::spread;
use super::colour::{GRID, RULE};
use super::frame::Frame;
use super::interval::Interval;
use super::lettering::{LABEL, TICK};
use super::number::{counted, grouped};
use super::ticks::Ticks;

/// A frame with an axis along its bottom and its left edge.
#[derive(Clone, Copy)]
pub(super) struct Panel {
    pub(super) frame: Frame,
    pub(super) x: Interval,
    pub(super) y: Interval,
}

impl Panel {
    /// A border, and outside it the ticks, their labels and the axis labels.
    ///
    /// An axis without a label shows its ticks only: it shares the one beside it.
    pub(super) fn axes(
        &self,
        canvas: &Canvas<'_>,
        [x_label, y_label]: [Option<&str>; 2],
    ) -> Result<(), PlotError> {
        const TICK_LENGTH: f64 = 6.0;
        let Frame { left, top, .. } = self.frame;
        let [right, bottom] = [self.frame.right(), self.frame.bottom()];
        let [x_ticks, y_ticks] = self.ticks(canvas);
        for (value, text) in &x_ticks.marks {
            let x = self.across(*value);
            canvas.fill(
                [x - 0.5, bottom + 1.0, x + 0.5, bottom + 1.0 + TICK_LENGTH],
                RULE,
            )?;
            if x_label.is_some() {
                canvas.text(text, (x, bottom + 29.0), TICK, Anchor::Middle)?;
            }
        }
        for (value, text) in &y_ticks.marks {
            let y = self.up(*value);
            canvas.fill(
                [left - 1.0 - TICK_LENGTH, y - 0.5, left - 1.0, y + 0.5],
                RULE,
            )?;
            if y_label.is_some() {
                canvas.text(text, (left - 13.0, y + 7.0), TICK, Anchor::End)?;
            }
        }
        if let Some(label) = x_label {
            let label = self.label(canvas, label, &x_ticks, self.frame.width);
            let place = ((left + right) / 2.0, bottom + 63.0);
            canvas.text(&label, place, LABEL, Anchor::Middle)?;
        }
        if let Some(label) = y_label {
            let label = self.label(canvas, label, &y_ticks, self.frame.height);
            let place = (left - 28.0 - widest(canvas, &y_ticks), (top + bottom) / 2.0);
            canvas.text(&label, place, LABEL, Anchor::Upward)?;
        }
        self.frame.border(canvas)
    }

    pub(super) fn grid(&self, canvas: &Canvas<'_>) -> Result<(), PlotError> {
        let Frame { left, top, .. } = self.frame;
        let [right, bottom] = [self.frame.right(), self.frame.bottom()];
        let [x_ticks, y_ticks] = self.ticks(canvas);
        for (value, _) in &x_ticks.marks {
            let x = self.across(*value);
            canvas.fill([x - 0.5, top, x + 0.5, bottom], GRID)?;
        }
        for (value, _) in &y_ticks.marks {
            let y = self.up(*value);
            canvas.fill([left, y - 0.5, right, y + 0.5], GRID)?;
        }
        Ok(())
    }

    /// As many as there is room for.
    fn ticks(&self, canvas: &Canvas<'_>) -> [Ticks; 2] {
        const MOST: usize = 8;
        const ACROSS: f64 = 24.0;
        const UP: f64 = 64.0;
        let fits = |ticks: &Ticks| {
            let gaps = ticks.marks.len() as f64 * (widest(canvas, ticks) + ACROSS);
            gaps <= self.frame.width
        };
        let mut x = Ticks::new(self.x, MOST);
        for count in (1..MOST).rev() {
            if fits(&x) {
                break;
            }
            x = Ticks::new(self.x, count);
        }
        [x, Ticks::new(self.y, (self.frame.height / UP) as usize)]
    }

    fn label(&self, canvas: &Canvas<'_>, label: &str, ticks: &Ticks, room: f64) -> String {
        let room = room - canvas.width(&ticks.unit, LABEL);
        canvas.fitted(label, LABEL, room) + &ticks.unit
    }

    /// The place of a value along the horizontal axis.
    pub(super) fn across(&self, x: f64) -> f64 {
        self.frame.left + self.frame.width * self.x.share(x)
    }

    /// The place of a value along the vertical axis.
    pub(super) fn up(&self, y: f64) -> f64 {
        self.frame.bottom() - self.frame.height * self.y.share(y)
    }

    /// Points as dots, the fainter and smaller the more there are.
    ///
    /// Draws at most a few thousand, and answers what a reader should know about it.
    pub(super) fn scatter(
        &self,
        canvas: &Canvas<'_>,
        points: &[[f64; 2]],
        colour: RGBColor,
    ) -> Result<String, PlotError> {
        const SHOWN: usize = 4000;
        let rows = spread(points.len(), SHOWN);
        let count = rows.len() as f64;
        let radius = (24.0 * count.powf(-0.25)).clamp(3.0, 6.0);
        let ink = colour.mix((11.0 / count.sqrt()).clamp(0.2, 0.7));
        let mut outside = 0;
        for &row in &rows {
            let [x, y] = points[row];
            if self.x.contains(x) && self.y.contains(y) {
                canvas.disc((self.across(x), self.up(y)), radius, ink)?;
            } else {
                outside += 1;
            }
        }
        let mut detail = match rows.len() == points.len() {
            true => counted(points.len()),
            false => format!("{} of {}", grouped(rows.len()), counted(points.len())),
        };
        if outside > 0 {
            detail += &format!(", {} outside", grouped(outside));
        }
        Ok(detail)
    }
}

fn widest(canvas: &Canvas<'_>, ticks: &Ticks) -> f64 {
    let widths = ticks.marks.iter().map(|(_, text)| canvas.width(text, TICK));
    widths.fold(0.0, f64::max)
}
