use super::interval::Interval;

/// Bins of equal width, each with its lower end and not its upper, but for the last.
pub(super) struct Bins {
    pub(super) range: Interval,
    pub(super) count: usize,
}

impl Bins {
    pub(super) fn counts(&self, values: impl IntoIterator<Item = f64>) -> Vec<usize> {
        let mut counts = vec![0; self.count];
        for value in values {
            if self.range.contains(value) {
                let bin = (self.range.share(value) * self.count as f64) as usize;
                counts[bin.min(self.count - 1)] += 1;
            }
        }
        counts
    }

    pub(super) fn width(&self) -> f64 {
        self.range.width() / self.count as f64
    }

    /// The two ends of a bin.
    pub(super) fn ends(&self, bin: usize) -> [f64; 2] {
        [bin, bin + 1].map(|i| self.range.at(i as f64 / self.count as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_inside_is_counted_once() {
        let bins = Bins {
            range: Interval::new(0.0, 4.0),
            count: 4,
        };
        let values = [
            0.0,
            0.5,
            1.0,
            3.999,
            4.0,
            4.001,
            -0.1,
            f64::NAN,
            f64::INFINITY,
        ];
        assert_eq!(bins.counts(values), [2, 1, 0, 2]);
        assert_eq!((bins.width(), bins.ends(2)), (1.0, [2.0, 3.0]));
    }
}
