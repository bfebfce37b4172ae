use plotters::style::RGBColor;

use super::canvas::{Anchor, Canvas};
use super::choose::spread;
use super::frame::Frame;
use super::interval::Interval;
use super::lettering::DETAIL;
use super::number::{counted, grouped, signed};
use super::{Picture, PlotError};

/// Height and width of the images that rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    height: usize,
    width: usize,
}

impl Shape {
    /// Reads names such as `p00` … `p77`, `p0_0` … `p27_27`, `1x1` … `28x28`, `pixel0` …
    /// `pixel783`.
    pub(super) fn of(names: &[String]) -> Option<Self> {
        const SMALLEST: usize = 3;
        let places: Vec<Place> = names
            .iter()
            .map(|name| Place::of(name))
            .collect::<Option<_>>()?;
        let (first, last) = (places.first()?, places.last()?);
        let shape = match (*first, *last) {
            (Place::Cell(top, left), Place::Cell(bottom, right)) => Self {
                height: (bottom + 1).checked_sub(top)?,
                width: (right + 1).checked_sub(left)?,
            },
            _ => Self {
                height: names.len().isqrt(),
                width: names.len().isqrt(),
            },
        };
        let Self { height, width } = shape;
        if height.min(width) < SMALLEST || height.checked_mul(width)? != names.len() {
            return None;
        }
        let expected = |i: usize| match *first {
            Place::Cell(top, left) => Place::Cell(top + i / width, left + i % width),
            Place::Index(start) => Place::Index(start + i),
        };
        let in_order = places
            .iter()
            .enumerate()
            .all(|(i, place)| *place == expected(i));
        in_order.then_some(shape)
    }
}

/// Where in an image a column's name says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Cell(usize, usize),
    Index(usize),
}

impl Place {
    fn of(name: &str) -> Option<Self> {
        let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
        let prefix = name[..name.len() - digits.len()].to_ascii_lowercase();
        if let Some((row, column)) = digits.split_once(|c: char| !c.is_ascii_digit()) {
            return Some(Self::Cell(row.parse().ok()?, column.parse().ok()?));
        }
        if prefix.starts_with("pix") {
            return Some(Self::Index(digits.parse().ok()?));
        }
        let (row, column) = digits.split_at(digits.len() / 2);
        if prefix.is_empty() || row.len() != column.len() {
            return None;
        }
        Some(Self::Cell(row.parse().ok()?, column.parse().ok()?))
    }
}

/// Rows of the data and of the samples as images, on one scale of greys.
pub(super) fn draw(
    canvas: &Canvas<'_>,
    picture: &Picture<'_>,
    shape: Shape,
    [left, right]: [Frame; 2],
) -> Result<(), PlotError> {
    let grey = Interval::covering(picture.data.iter().copied());
    let shown = album(canvas, picture.data, shape, grey, left)?;
    let rows = picture.data.len() / picture.names.len();
    let detail = match shown == rows {
        true => counted(rows),
        false => format!("{} of {}", grouped(shown), counted(rows)),
    };
    left.heading(canvas, "Data", &detail)?;
    album(canvas, picture.samples, shape, grey, right)?;
    right.heading(canvas, "Samples", "from the model")?;
    let [black, white] = [grey.low, grey.high].map(|end| short(end, grey.width()));
    let legend = format!("black is {black}, white is {white} in both");
    let place = (left.left, left.bottom() + 36.0);
    canvas.text(&legend, place, DETAIL, Anchor::Start)
}

/// Rows as images side by side and one below the other; answers how many.
fn album(
    canvas: &Canvas<'_>,
    rows: &[f64],
    shape: Shape,
    grey: Interval,
    frame: Frame,
) -> Result<usize, PlotError> {
    const SIDE: f64 = 54.0;
    const WIDEST: usize = 112;
    const GAP: f64 = 6.0;
    let Shape { height, width } = shape;
    let longest = height.max(width);
    // Whole pixels of the picture for a pixel of the image, or the reverse.
    let scale = (SIDE / longest as f64).round().max(1.0);
    let stride = longest.div_ceil(WIDEST);
    let [high, wide] = [height, width].map(|n| n.div_ceil(stride) as f64 * scale);
    let fit = |room: f64, length: f64| ((room + GAP) / (length + GAP)).floor().max(1.0) as usize;
    let (down, across) = (fit(frame.height, high), fit(frame.width, wide));
    let pitch = |room: f64, length: f64, count: usize| match count {
        1 => 0.0,
        _ => ((room - length) / (count - 1) as f64).floor(),
    };
    let (dy, dx) = (
        pitch(frame.height, high, down),
        pitch(frame.width, wide, across),
    );
    let chosen = spread(rows.len() / (height * width), down * across);
    for (place, &row) in chosen.iter().enumerate() {
        let image = &rows[row * height * width..][..height * width];
        let top = frame.top + (place / across) as f64 * dy;
        let left = frame.left + (place % across) as f64 * dx;
        for y in (0..height).step_by(stride) {
            for x in (0..width).step_by(stride) {
                let level = block(image, shape, [y, x], stride);
                let [y, x] = [y, x].map(|i| (i / stride) as f64 * scale);
                let corners = [left + x, top + y, left + x + scale, top + y + scale];
                canvas.fill(corners, shade(grey.share(level)))?;
            }
        }
    }
    Ok(chosen.len())
}

/// The mean of a square of pixels, of what of it is inside the image.
fn block(image: &[f64], shape: Shape, [top, left]: [usize; 2], side: usize) -> f64 {
    let lines = top..(top + side).min(shape.height);
    let columns = left..(left + side).min(shape.width);
    let count = (lines.len() * columns.len()) as f64;
    let pixels = lines.flat_map(|y| columns.clone().map(move |x| image[y * shape.width + x]));
    pixels.sum::<f64>() / count
}

/// What is not a number is black.
fn shade(share: f64) -> RGBColor {
    let level = (255.0 * share.clamp(0.0, 1.0)).round() as u8;
    RGBColor(level, level, level)
}

/// To about a hundredth of the range.
fn short(value: f64, range: f64) -> String {
    let decimals = 2.0 - range.log10().floor();
    if !(-4.0..=5.0).contains(&decimals) {
        return signed(&format!("{value:.2e}"));
    }
    let decimals = decimals.max(0.0) as usize;
    let text = format!("{value:.decimals$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    signed(if text == "-0" { "0" } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(names: impl IntoIterator<Item = String>) -> Option<[usize; 2]> {
        let names: Vec<String> = names.into_iter().collect();
        Shape::of(&names).map(|Shape { height, width }| [height, width])
    }

    fn cells(height: usize, width: usize, name: impl Fn(usize, usize) -> String) -> Vec<String> {
        (0..height * width)
            .map(|i| name(i / width, i % width))
            .collect()
    }

    #[test]
    fn names_of_pixels() {
        assert_eq!(shape(cells(8, 8, |y, x| format!("p{y}{x}"))), Some([8, 8]));
        assert_eq!(
            shape(cells(28, 20, |y, x| format!("p{y}_{x}"))),
            Some([28, 20])
        );
        assert_eq!(
            shape(cells(12, 11, |y, x| format!("{}x{}", y + 1, x + 1))),
            Some([12, 11])
        );
        assert_eq!(
            shape(cells(12, 11, |y, x| format!("p{y:02}{x:02}"))),
            Some([12, 11])
        );
        assert_eq!(shape((0..784).map(|i| format!("pixel{i}"))), Some([28, 28]));
    }

    #[test]
    fn other_names() {
        assert_eq!(shape((0..16).map(|i| format!("x{i}"))), None);
        assert_eq!(shape((10..26).map(|i| format!("x{i}"))), None);
        assert_eq!(shape((0..15).map(|i| format!("pixel{i}"))), None);
        assert_eq!(shape(cells(2, 2, |y, x| format!("a{y}{x}"))), None);
        assert_eq!(shape(cells(4, 4, |y, x| format!("p{x}_{y}"))), None);
        assert_eq!(shape(["width", "height", "depth"].map(str::to_owned)), None);
        assert_eq!(shape(["p9_9", "p5_5", "p1_1"].map(str::to_owned)), None);
        assert_eq!(shape([]), None);
    }
}
