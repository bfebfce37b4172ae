use std::f64::consts::LN_10;

use super::PlotError;
use super::canvas::{Anchor, Canvas};
use super::colour::{RULE, heat};
use super::frame::Frame;
use super::interval::Interval;
use super::lettering::TICK;
use super::number::superscript;
use super::ticks::Ticks;

/// The shade √(p / top) of a density p: a mode a tenth as high as another has a third of its shade.
///
/// Kept as a logarithm, since a density in tiny or huge units is beyond the numbers there are.
pub(super) struct Scale {
    log_top: f64,
    clipped: bool,
}

impl Scale {
    /// Ends at the highest density, or below it where a few spikes would darken the rest.
    ///
    /// Answers none where nowhere is any density.
    pub(super) fn new(log_density: &[f64]) -> Option<Self> {
        const SPIKES: f64 = 0.001;
        /// The logarithm of about 3.
        const SPIKE: f64 = 1.1;
        let finite = log_density.iter().copied().filter(|l| l.is_finite());
        let mut sorted: Vec<f64> = finite.collect();
        sorted.sort_by(f64::total_cmp);
        let &peak = sorted.last()?;
        let spikes = (SPIKES * log_density.len() as f64) as usize;
        let rest = sorted[sorted.len().saturating_sub(1 + spikes)];
        let clipped = peak - rest > SPIKE;
        Some(Self {
            log_top: if clipped { rest } else { peak },
            clipped,
        })
    }

    pub(super) fn shades(&self, log_density: &[f64]) -> Vec<f64> {
        let shade = |&l: &f64| (0.5 * (l - self.log_top)).exp().min(1.0);
        log_density.iter().map(shade).collect()
    }

    /// The colours with their densities; a tip says that there is more beyond the top.
    pub(super) fn bar(&self, canvas: &Canvas<'_>, frame: Frame) -> Result<(), PlotError> {
        const TIP: f64 = 18.0;
        let bar = match self.clipped {
            true => Frame {
                top: frame.top + TIP,
                height: frame.height - TIP,
                ..frame
            },
            false => frame,
        };
        for line in 0..bar.height as usize {
            let y = bar.bottom() - line as f64 - 1.0;
            let shade = (line as f64 + 0.5) / bar.height;
            canvas.fill([bar.left, y, bar.right(), y + 1.0], heat(shade))?;
        }
        bar.border(canvas)?;
        if self.clipped {
            const LINES: usize = 3 * TIP as usize;
            for line in 0..LINES {
                let [low, high] = [line, line + 1].map(|l| l as f64 * TIP / LINES as f64);
                let inset = 0.5 * bar.width * high / TIP;
                let [y, x] = [bar.top - 1.0, bar.left + inset];
                canvas.fill([x, y - high, bar.right() - inset, y - low], heat(1.0))?;
            }
        }
        let (top, unit) = self.top();
        let right = bar.right() + 1.0;
        for (value, text) in &Ticks::new(Interval::new(0.0, top), 5).marks {
            let y = bar.bottom() - bar.height * (value / top).sqrt();
            canvas.fill([right, y - 0.5, right + 6.0, y + 0.5], RULE)?;
            canvas.text(text, (right + 12.0, y + 7.0), TICK, Anchor::Start)?;
        }
        canvas.text(&unit, (frame.left, frame.top - 14.0), TICK, Anchor::Start)
    }

    /// The top density in units of a power of ten, which is 1 where plain numbers are short.
    fn top(&self) -> (f64, String) {
        let exponent = (self.log_top / LN_10).floor();
        if (-3.0..5.0).contains(&exponent) {
            return (self.log_top.exp(), String::new());
        }
        let rest = (self.log_top - exponent * LN_10).exp();
        (rest, format!("×10{}", superscript(exponent as i32)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_spikes_do_not_darken_the_rest() {
        let mut log_density = vec![-2.0; 10_000];
        let even = Scale::new(&log_density).unwrap();
        assert_eq!((even.log_top, even.clipped), (-2.0, false));
        log_density[..9].fill(50.0);
        let spiked = Scale::new(&log_density).unwrap();
        assert_eq!((spiked.log_top, spiked.clipped), (-2.0, true));
        assert_eq!(
            spiked.shades(&[50.0, -2.0, f64::NEG_INFINITY]),
            [1.0, 1.0, 0.0]
        );
        let quarter = spiked.shades(&[-2.0 - 4_f64.ln()]);
        assert!((quarter[0] - 0.5).abs() < 4.0 * f64::EPSILON, "{quarter:?}");
        log_density[..100].fill(50.0);
        assert_eq!(Scale::new(&log_density).unwrap().log_top, 50.0);
    }

    #[test]
    fn densities_beyond_numbers_have_labels() {
        let top = |log_top| {
            let clipped = false;
            Scale { log_top, clipped }.top()
        };
        assert_eq!(top(0.0), (1.0, String::new()));
        let (mantissa, unit) = top(1000.0 * LN_10 + 2.5_f64.ln());
        assert!(
            (mantissa - 2.5).abs() < 1e-9 && unit == "×10¹⁰⁰⁰",
            "{mantissa} {unit}"
        );
        assert_eq!(top(-7.5 * LN_10).1, "×10⁻⁸");
        assert!(Scale::new(&[f64::NEG_INFINITY; 3]).is_none());
    }
}
