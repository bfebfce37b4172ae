use plotters::style::{Color, RGBColor};

use super::canvas::{Anchor, Canvas};
use super::colour::{GAUSSIAN, INK, MODEL};
use super::frame::Frame;
use super::histogram::Bins;
use super::interval::Interval;
use super::lettering::{DETAIL, Type};
use super::number::{counted, grouped, nats};
use super::panel::Panel;
use super::{Picture, PlotError};

/// The share of the height that the highest bar takes; the legend is above.
const BARS: f64 = 0.8;

/// Short: its frame is the narrowest, and the detail beside it says that these are rows.
pub(super) const TITLE: &str = "Held out";

/// Log-likelihoods of the held-out rows: two histograms, their medians marked.
pub(super) fn draw(
    canvas: &Canvas<'_>,
    picture: &Picture<'_>,
    frame: Frame,
) -> Result<(), PlotError> {
    let parts = [
        ("Gaussian", picture.gaussian, GAUSSIAN),
        ("model", picture.log_likelihood, MODEL),
    ];
    let bins = bins(parts.map(|(_, values, _)| values));
    let counts = parts.map(|(_, values, _)| bins.counts(values.iter().copied()));
    // At least so high that the ticks are whole rows.
    let highest = counts.iter().flatten().copied().max().unwrap_or(0).max(4);
    let panel = Panel {
        frame,
        x: bins.range,
        y: Interval::new(0.0, highest as f64 / BARS),
    };
    panel.grid(canvas)?;
    for ((_, _, colour), counts) in parts.iter().zip(&counts) {
        bars(canvas, &panel, &bins, counts, *colour)?;
    }
    for (line, (name, values, colour)) in parts.iter().rev().enumerate() {
        let Some(median) = median(values) else {
            continue;
        };
        mark(canvas, &panel, median, *colour)?;
        let text = format!("{name}, median {}", nats(median));
        key(canvas, frame, line, &text, *colour)?;
    }
    panel.axes(
        canvas,
        [Some("log-likelihood of a row (nats)"), Some("rows")],
    )?;
    let rows = picture.log_likelihood.len();
    let outside = parts.iter().zip(&counts);
    let outside =
        outside.map(|((_, values, _), counts)| values.len() - counts.iter().sum::<usize>());
    let detail = match outside.sum::<usize>() {
        0 => counted(rows),
        outside => format!("{}, {} outside", counted(rows), grouped(outside)),
    };
    frame.heading(canvas, TITLE, &detail)
}

/// Over both, each without its few most extreme values where they would squash the rest.
fn bins(parts: [&[f64]; 2]) -> Bins {
    let count = parts[0].len().max(parts[1].len()) as f64;
    let full = parts.iter().filter(|values| !values.is_empty());
    let ranges = full.map(|values| Interval::covering(values.iter().copied()));
    let range = ranges.reduce(|a, b| Interval::new(a.low.min(b.low), a.high.max(b.high)));
    Bins {
        range: range.unwrap_or(Interval::new(0.0, 1.0)).widened(0.02),
        count: (2.5 * count.cbrt()).ceil().clamp(8.0, 48.0) as usize,
    }
}

/// Translucent bars under an outline like stairs.
fn bars(
    canvas: &Canvas<'_>,
    panel: &Panel,
    bins: &Bins,
    counts: &[usize],
    colour: RGBColor,
) -> Result<(), PlotError> {
    const THICK: f64 = 1.0;
    let floor = panel.frame.bottom();
    let mut last = floor;
    for (bin, &count) in counts.iter().enumerate() {
        let [left, right] = bins.ends(bin).map(|x| panel.across(x));
        let top = panel.up(count as f64);
        canvas.fill([left, top, right, floor], colour.mix(0.35))?;
        let [high, low] = [top.min(last), top.max(last)];
        if high < low {
            canvas.fill([left - THICK, high - THICK, left + THICK, low], colour)?;
        }
        if count > 0 {
            canvas.fill([left, top - THICK, right, top + THICK], colour)?;
        }
        last = top;
    }
    let right = panel.frame.right();
    match last < floor {
        true => canvas.fill([right - THICK, last, right, floor], colour),
        false => Ok(()),
    }
}

/// A dashed line from top to bottom of the bars.
fn mark(canvas: &Canvas<'_>, panel: &Panel, value: f64, colour: RGBColor) -> Result<(), PlotError> {
    const DASH: f64 = 8.0;
    if !panel.x.contains(value) {
        return Ok(());
    }
    let x = panel.across(value);
    let top = panel.frame.bottom() - (BARS + 0.02) * panel.frame.height;
    let mut y = top;
    while y < panel.frame.bottom() {
        let end = (y + DASH).min(panel.frame.bottom());
        canvas.fill([x - 1.5, y, x + 1.5, end], colour)?;
        y += 1.6 * DASH;
    }
    Ok(())
}

fn key(
    canvas: &Canvas<'_>,
    frame: Frame,
    line: usize,
    text: &str,
    colour: RGBColor,
) -> Result<(), PlotError> {
    const SET: Type = Type {
        colour: INK,
        ..DETAIL
    };
    let baseline = frame.top + 34.0 + 30.0 * line as f64;
    let left = frame.left + 16.0;
    canvas.fill([left, baseline - 15.0, left + 22.0, baseline + 1.0], colour)?;
    let text = canvas.fitted(text, SET, frame.width - 64.0);
    canvas.text(&text, (left + 32.0, baseline), SET, Anchor::Start)
}

/// What is not a number is no likelihood, and counts as the least.
fn median(values: &[f64]) -> Option<f64> {
    let mend = |&v: &f64| if v.is_nan() { f64::NEG_INFINITY } else { v };
    let mut values: Vec<f64> = values.iter().map(mend).collect();
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let [low, high] = [values[last / 2], values[last.div_ceil(2)]];
    Some(if low == high {
        low
    } else {
        low / 2.0 + high / 2.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 100.0]), Some(3.0));
        let broken = [f64::NAN, f64::NEG_INFINITY, 1.0, 2.0, 5.0];
        assert_eq!(median(&broken), Some(1.0));
        assert_eq!(median(&[f64::NAN; 2]), Some(f64::NEG_INFINITY));
    }

    #[test]
    fn one_wild_row_leaves_the_histograms_their_width() {
        let model: Vec<f64> = (0..180).map(|i| -0.5 * f64::from(i)).collect();
        let mut gaussian = model.clone();
        gaussian[7] = -1e6;
        let bins = bins([&gaussian, &model]);
        assert!(bins.range.contains(-89.5) && bins.range.width() < 200.0);
        assert_eq!(bins.counts(model).iter().sum::<usize>(), 180);
        assert_eq!(bins.counts(gaussian).iter().sum::<usize>(), 179);
    }
}
