use plotters::style::RGBAColor;

use super::PlotError;
use super::canvas::{Anchor, Canvas};
use super::colour::RULE;
use super::lettering::{DETAIL, HEADING, Type};

/// A part of the canvas.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Frame {
    pub(super) fn right(self) -> f64 {
        self.left + self.width
    }

    pub(super) fn bottom(self) -> f64 {
        self.top + self.height
    }

    pub(super) fn fill(
        self,
        canvas: &Canvas<'_>,
        colour: impl Into<RGBAColor>,
    ) -> Result<(), PlotError> {
        canvas.fill([self.left, self.top, self.right(), self.bottom()], colour)
    }

    /// A thin border around the outside.
    pub(super) fn border(self, canvas: &Canvas<'_>) -> Result<(), PlotError> {
        const THIN: f64 = 1.0;
        let [left, top] = [self.left - THIN, self.top - THIN];
        let [right, bottom] = [self.right() + THIN, self.bottom() + THIN];
        canvas.fill([left, top, right, self.top], RULE)?;
        canvas.fill([left, self.bottom(), right, bottom], RULE)?;
        canvas.fill([left, top, self.left, bottom], RULE)?;
        canvas.fill([self.right(), top, right, bottom], RULE)
    }

    /// A heading above the frame, and quietly at its right a detail.
    pub(super) fn heading(
        self,
        canvas: &Canvas<'_>,
        heading: &str,
        detail: &str,
    ) -> Result<(), PlotError> {
        let baseline = self.top - 14.0;
        canvas.text(heading, (self.left, baseline), HEADING, Anchor::Start)?;
        let (detail, set) = self.beside(canvas, heading, detail);
        canvas.text(&detail, (self.right(), baseline), set, Anchor::End)
    }

    /// A detail as there is room for it beside a heading.
    pub(super) fn beside(self, canvas: &Canvas<'_>, heading: &str, detail: &str) -> (String, Type) {
        const GAP: f64 = 20.0;
        let room = self.width - canvas.width(heading, HEADING) - GAP;
        let set = canvas.shrunk(detail, DETAIL, room);
        (canvas.fitted(detail, set, room), set)
    }
}
