use super::interval::Interval;
use super::number::{signed, superscript};

/// Round numbers on an axis.
#[derive(Debug)]
pub(super) struct Ticks {
    pub(super) marks: Vec<(f64, String)>,
    /// What turns the labels into values, to stand behind the axis label; often empty.
    pub(super) unit: String,
}

impl Ticks {
    /// About `count` ticks, fewer rather than more, with short labels.
    pub(super) fn new(range: Interval, count: usize) -> Self {
        let (digit, exponent) = round_step(range.width() / count.max(1) as f64);
        let step = f64::from(digit) * 10_f64.powi(exponent);
        let first = (range.low / step - 1e-9).ceil() as i64;
        let last = (range.high / step + 1e-9).floor() as i64;
        let style = Labels::for_ticks(first, last, digit, exponent);
        Self {
            marks: (first..=last)
                .map(|i| (i as f64 * step, style.label(i)))
                .collect(),
            unit: style.unit(),
        }
    }
}

/// The smallest of 1, 2, 2.5, 5 times a power of ten that is not below `least`, as whole number and
/// exponent.
fn round_step(least: f64) -> (i32, i32) {
    let exponent = least.log10().floor() as i32;
    let lead = least / 10_f64.powi(exponent);
    match lead - 1e-9 {
        lead if lead <= 1.0 => (1, exponent),
        lead if lead <= 2.0 => (2, exponent),
        lead if lead <= 2.5 => (25, exponent - 1),
        lead if lead <= 5.0 => (5, exponent),
        _ => (1, exponent + 1),
    }
}

/// A label is (i·digit − offset)·10^(exponent − power) for tick number i.
struct Labels {
    digit: i64,
    exponent: i32,
    offset: i64,
    power: i32,
}

impl Labels {
    /// Plain numbers where they are short; else less a common offset or in units of a power of ten.
    fn for_ticks(first: i64, last: i64, digit: i32, exponent: i32) -> Self {
        const LONGEST: i32 = 6;
        const LONGEST_FRACTION: i32 = 5;
        let digit = i64::from(digit);
        let digits = |i: i64| (i * digit).unsigned_abs().max(1).ilog10() as i32 + 1;
        let mut offset = 0;
        let mut significant = digits(first).max(digits(last));
        if significant > LONGEST {
            let unit = 10_i64.pow(digits(last - first) as u32);
            offset = (first * digit).div_euclid(unit) * unit;
            let rest = |i: i64| (i * digit - offset).unsigned_abs().max(1).ilog10() as i32 + 1;
            significant = rest(first).max(rest(last));
        }
        let whole = (significant + exponent).max(1);
        let short = match exponent {
            0.. => whole <= LONGEST,
            _ => whole - exponent <= LONGEST_FRACTION,
        };
        let power = if short { 0 } else { significant + exponent - 1 };
        Self {
            digit,
            exponent,
            offset,
            power,
        }
    }

    fn label(&self, i: i64) -> String {
        let value = (i * self.digit - self.offset) as f64;
        let exponent = self.exponent - self.power;
        let decimals = (-exponent).max(0) as usize;
        let text = match exponent {
            0.. => format!("{:.0}", value * 10_f64.powi(exponent)),
            _ => format!("{:.decimals$}", value / 10_f64.powi(-exponent)),
        };
        signed(&text)
    }

    fn unit(&self) -> String {
        let mut unit = String::new();
        if self.offset != 0 {
            let sign = if self.offset < 0 { '+' } else { '−' };
            let size = self.offset.unsigned_abs();
            let offset = match self.exponent {
                0..=6 => format!("{:.0}", size as f64 * 10_f64.powi(self.exponent)),
                -6..0 => {
                    let decimals = -self.exponent as usize;
                    let value = size as f64 / 10_f64.powi(-self.exponent);
                    let text = format!("{value:.decimals$}");
                    text.trim_end_matches('0').trim_end_matches('.').to_owned()
                }
                _ => format!("{size}·10{}", superscript(self.exponent)),
            };
            unit += &format!(" {sign} {offset}");
        }
        if self.power != 0 {
            unit += &format!(" (10{})", superscript(self.power));
        }
        unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64) -> (Vec<String>, String) {
        let ticks = Ticks::new(Interval::new(low, high), 5);
        (
            ticks.marks.into_iter().map(|(_, l)| l).collect(),
            ticks.unit,
        )
    }

    fn check(low: f64, high: f64, expected: &[&str], unit: &str) {
        assert_eq!(
            labels(low, high),
            (
                expected.iter().map(|&l| l.to_owned()).collect(),
                unit.to_owned()
            )
        );
    }

    /// The power of ten in brackets behind an axis label, 0 without.
    fn power(unit: &str) -> i32 {
        let Some((_, raised)) = unit.split_once("(10") else {
            return 0;
        };
        let digit = |c: char| "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().position(|raised| raised == c);
        let size = raised
            .chars()
            .filter_map(digit)
            .fold(0, |n, d| 10 * n + d as i32);
        if raised.starts_with('⁻') {
            -size
        } else {
            size
        }
    }

    #[test]
    fn labels_are_round_and_short() {
        check(0.0, 1.0, &["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"], "");
        check(-30.0, 71.0, &["−25", "0", "25", "50"], "");
        check(-30.0, 69.0, &["−20", "0", "20", "40", "60"], "");
        check(0.0, 300_000.0, &["0", "100000", "200000", "300000"], "");
        check(
            0.0,
            0.012,
            &["0.0000", "0.0025", "0.0050", "0.0075", "0.0100"],
            "",
        );
    }

    #[test]
    fn huge_tiny_and_distant_scales() {
        check(0.0, 4e-5, &["0", "1", "2", "3", "4"], " (10⁻⁵)");
        check(
            0.0,
            1.2e8,
            &["0.00", "0.25", "0.50", "0.75", "1.00"],
            " (10⁸)",
        );
        check(
            1.7e9,
            1.7e9 + 90.0,
            &["0", "20", "40", "60", "80"],
            " − 1700000000",
        );
        check(
            1.7e9 + 0.5,
            1.7e9 + 1.5,
            &["0.6", "0.8", "1.0", "1.2", "1.4"],
            " − 1700000000",
        );
        check(
            -1e300,
            1e300,
            &["−1.0", "−0.5", "0.0", "0.5", "1.0"],
            " (10³⁰⁰)",
        );
        check(-2e-9, 1e-9, &["−2", "−1", "0", "1"], " (10⁻⁹)");
    }

    #[test]
    fn ticks_are_inside_and_their_labels_true() {
        for exponent in -280..=280 {
            for (low, high) in [(0.0, 1.0), (-3.7, 5.1), (1.0, 1.0 + 1e-8), (-9.0, -8.999)] {
                let scale = 10_f64.powi(exponent);
                let range = Interval::new(low * scale, high * scale);
                let ticks = Ticks::new(range, 5);
                assert!((2..=6).contains(&ticks.marks.len()), "{range:?}: {ticks:?}");
                let unit = 10_f64.powi(power(&ticks.unit));
                let number = |label: &str| label.replace('−', "-").parse::<f64>().unwrap();
                // Numbers of 16 digits that agree in 8 leave 8 for the width.
                let slack = 1e-6 * range.width();
                let (start, first) = &ticks.marks[0];
                for (value, label) in &ticks.marks {
                    assert!(range.low - slack <= *value && *value <= range.high + slack);
                    assert!(label.chars().count() <= 7, "{range:?}: {ticks:?}");
                    let apart = (number(label) - number(first)) * unit;
                    assert!(
                        (apart - (value - start)).abs() <= slack,
                        "{range:?}: {ticks:?}"
                    );
                }
            }
        }
    }
}
