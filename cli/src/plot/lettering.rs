use plotters::style::RGBColor;

use super::colour::{INK, QUIET};

/// How a text is set.
#[derive(Clone, Copy)]
pub(super) struct Type {
    pub(super) size: f64,
    pub(super) bold: bool,
    pub(super) colour: RGBColor,
}

pub(super) const TITLE: Type = Type {
    size: 34.0,
    bold: true,
    colour: INK,
};
pub(super) const SUBTITLE: Type = Type {
    size: 23.0,
    bold: false,
    colour: QUIET,
};
pub(super) const HEADING: Type = Type {
    size: 25.0,
    bold: true,
    colour: INK,
};
/// Beside a heading, in legends and below images.
pub(super) const DETAIL: Type = Type {
    size: 21.0,
    bold: false,
    colour: QUIET,
};
pub(super) const LABEL: Type = Type {
    size: 23.0,
    bold: false,
    colour: INK,
};
pub(super) const TICK: Type = Type {
    size: 21.0,
    bold: false,
    colour: QUIET,
};
