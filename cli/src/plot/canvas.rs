use ab_glyph::{Font, FontRef, PxScaleFont, ScaleFont};
use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::prelude::{BitMapBackend, Circle, IntoDrawingArea, Rectangle};
use plotters::style::{Color, RGBAColor};

use super::PlotError;
use super::colour::PAPER;
use super::lettering::Type;

/// Every shape is drawn at this many times the size and averaged down: smooth edges throughout.
const FINE: usize = 3;

/// Paper to draw on, in pixels of the finished picture from the top left corner.
pub(super) struct Canvas<'a> {
    area: DrawingArea<BitMapBackend<'a>, Shift>,
    regular: FontRef<'static>,
    bold: FontRef<'static>,
}

/// Where a text lies about its point on the baseline.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
    /// In the middle, from bottom to top.
    Upward,
}

/// Runs `drawing` on an empty canvas and encodes the result as PNG.
pub(super) fn paint(
    [width, height]: [usize; 2],
    drawing: impl FnOnce(&Canvas<'_>) -> Result<(), PlotError>,
) -> Result<Vec<u8>, PlotError> {
    let font = |bytes| FontRef::try_from_slice(bytes).map_err(failed);
    let regular = font(dejavu::sans::regular())?;
    let bold = font(dejavu::sans::bold())?;
    let mut fine = vec![0; 3 * FINE * width * FINE * height];
    {
        let size = ((FINE * width) as u32, (FINE * height) as u32);
        let area = BitMapBackend::with_buffer(&mut fine, size).into_drawing_area();
        area.fill(&PAPER).map_err(failed)?;
        let canvas = Canvas {
            area,
            regular,
            bold,
        };
        drawing(&canvas)?;
    }
    encode([width, height], &averaged(&fine, width))
}

impl Canvas<'_> {
    /// Fills a rectangle from its left top to its right bottom corner.
    pub(super) fn fill(
        &self,
        [left, top, right, bottom]: [f64; 4],
        colour: impl Into<RGBAColor>,
    ) -> Result<(), PlotError> {
        let corners = [(fine(left), fine(top)), (fine(right), fine(bottom))];
        let rectangle = Rectangle::new(corners, colour.into().filled());
        self.area.draw(&rectangle).map_err(failed)
    }

    pub(super) fn disc(
        &self,
        (x, y): (f64, f64),
        radius: f64,
        colour: impl Into<RGBAColor>,
    ) -> Result<(), PlotError> {
        let disc = Circle::new((fine(x), fine(y)), fine(radius), colour.into().filled());
        self.area.draw(&disc).map_err(failed)
    }

    /// Writes on the baseline through a point.
    pub(super) fn text(
        &self,
        text: &str,
        (x, y): (f64, f64),
        set: Type,
        anchor: Anchor,
    ) -> Result<(), PlotError> {
        let font = self.font(set);
        let (starts, width) = pen(&font, text);
        let before = match anchor {
            Anchor::Start => 0.0,
            Anchor::Middle | Anchor::Upward => width / 2.0,
            Anchor::End => width,
        };
        let upward = matches!(anchor, Anchor::Upward);
        for (letter, along) in text.chars().zip(starts) {
            let Some(glyph) = font.outline_glyph(font.scaled_glyph(letter)) else {
                continue;
            };
            let bounds = glyph.px_bounds();
            let left = (along - before).round() as i32 + bounds.min.x as i32;
            let top = bounds.min.y as i32;
            let mut outcome = Ok(());
            glyph.draw(|right, down, coverage| {
                let [along, down] = [left + right as i32, top + down as i32];
                let place = match upward {
                    true => (fine(x) + down, fine(y) - along),
                    false => (fine(x) + along, fine(y) + down),
                };
                let ink = set.colour.mix(f64::from(coverage.min(1.0)));
                if let Err(error) = self.area.draw_pixel(place, &ink) {
                    outcome = Err(failed(error));
                }
            });
            outcome?;
        }
        Ok(())
    }

    pub(super) fn width(&self, text: &str, set: Type) -> f64 {
        f64::from(pen(&self.font(set), text).1) / FINE as f64
    }

    /// A smaller type where the text is wider than `width`, but none that is hard to read.
    pub(super) fn shrunk(&self, text: &str, set: Type, width: f64) -> Type {
        const LEAST: f64 = 16.0;
        let size = set.size * (width / self.width(text, set)).min(1.0);
        Type {
            size: size.floor().max(LEAST).min(set.size),
            ..set
        }
    }

    fn font(&self, set: Type) -> PxScaleFont<&FontRef<'static>> {
        let font = match set.bold {
            true => &self.bold,
            false => &self.regular,
        };
        font.as_scaled((set.size * FINE as f64) as f32)
    }

    /// The text on one line, cut off with an ellipsis where it is wider than `width`.
    pub(super) fn fitted(&self, text: &str, set: Type, width: f64) -> String {
        /// Beyond any line, so that a text of megabytes costs nothing.
        const LONGEST: usize = 300;
        let mut letters: Vec<char> = text.chars().take(LONGEST).collect();
        let cut = text.chars().nth(LONGEST).is_some();
        for letter in &mut letters {
            if letter.is_control() {
                *letter = ' ';
            }
        }
        let whole: String = letters.iter().collect();
        if !cut && self.width(&whole, set) <= width {
            return whole;
        }
        while let Some(last) = letters.pop() {
            let short = letters.iter().collect::<String>() + "…";
            if !last.is_whitespace() && self.width(&short, set) <= width {
                return short;
            }
        }
        String::new()
    }
}

/// Where along the line every letter starts, and where the last one ends.
fn pen(font: &PxScaleFont<&FontRef<'static>>, text: &str) -> (Vec<f32>, f32) {
    let mut end = 0.0;
    let mut last = None;
    let start = |letter| {
        let id = font.glyph_id(letter);
        let start = end + last.map_or(0.0, |last| font.kern(last, id));
        end = start + font.h_advance(id);
        last = Some(id);
        start
    };
    let starts = text.chars().map(start).collect();
    (starts, end)
}

fn fine(pixels: f64) -> i32 {
    (pixels * FINE as f64).round() as i32
}

fn failed(error: impl std::fmt::Display) -> PlotError {
    PlotError::Drawing(error.to_string())
}

/// The mean of every square of fine pixels.
fn averaged(fine: &[u8], width: usize) -> Vec<u8> {
    let line = 3 * FINE * width;
    let mut pixels = Vec::with_capacity(fine.len() / (FINE * FINE));
    for band in fine.chunks_exact(FINE * line) {
        for x in 0..width {
            for channel in 0..3 {
                let place = |i: usize| i / FINE * line + 3 * (FINE * x + i % FINE) + channel;
                let sum: u32 = (0..FINE * FINE).map(|i| u32::from(band[place(i)])).sum();
                pixels.push((sum / (FINE * FINE) as u32) as u8);
            }
        }
    }
    pixels
}

fn encode([width, height]: [usize; 2], pixels: &[u8]) -> Result<Vec<u8>, PlotError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}
