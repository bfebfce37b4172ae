/// A stretch of an axis: finite ends, and long enough for its ticks to differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interval {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Interval {
    /// Widens ends that are too close and mends those that are no numbers.
    pub(super) fn new(low: f64, high: f64) -> Self {
        const HUGE: f64 = 1e300;
        const TINY: f64 = 1e-290;
        let mend = |end: f64| {
            if end.is_nan() {
                0.0
            } else {
                end.clamp(-HUGE, HUGE)
            }
        };
        let (low, high) = (mend(low), mend(high));
        let size = low.abs().max(high.abs());
        if size < TINY {
            return Self {
                low: -1.0,
                high: 1.0,
            };
        }
        if high - low > 1e-11 * size {
            return Self { low, high };
        }
        let middle = low / 2.0 + high / 2.0;
        Self {
            low: middle - size / 2.0,
            high: middle + size / 2.0,
        }
    }

    /// Holds all finite values, or almost all where a few would squash the rest.
    pub(super) fn covering(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let Some(last) = values.len().checked_sub(1) else {
            return Self::new(0.0, 0.0);
        };
        let all = Self::new(values[0], values[last]);
        let cut = values.len().div_ceil(100).min(last / 10);
        let (low, high) = (values[cut], values[last - cut]);
        let core = Self::new(low, high);
        if low == high || all.width() <= 3.0 * core.width() {
            return all;
        }
        let wide = core.widened(0.25);
        Self::new(wide.low.max(all.low), wide.high.min(all.high))
    }

    /// Adds this share of its width at both ends.
    pub(super) fn widened(self, share: f64) -> Self {
        let more = share * self.width();
        Self::new(self.low - more, self.high + more)
    }

    pub(super) fn width(self) -> f64 {
        self.high - self.low
    }

    /// From 0 at the low end to 1 at the high end.
    pub(super) fn share(self, value: f64) -> f64 {
        (value - self.low) / self.width()
    }

    /// The value at a share of the way.
    pub(super) fn at(self, share: f64) -> f64 {
        self.low + share * self.width()
    }

    pub(super) fn contains(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_never_empty() {
        let nan = f64::NAN;
        for (low, high) in [
            (0.0, 0.0),
            (5.0, 5.0),
            (-5.0, -5.0),
            (nan, nan),
            (nan, 3.0),
            (f64::NEG_INFINITY, f64::INFINITY),
            (1e-310, 2e-310),
            (1e300, 1e300),
            (3.0, 2.0),
            (1.0, 1.0 + f64::EPSILON),
        ] {
            let range = Interval::new(low, high);
            assert!(
                range.low < range.high && range.width().is_finite(),
                "{range:?}"
            );
            assert!(range.low.is_finite() && range.high.is_finite(), "{range:?}");
        }
        assert!(Interval::new(5.0, 5.0).contains(5.0));
    }

    #[test]
    fn a_few_outliers_do_not_squash_the_rest() {
        let plain = || (0..200).map(f64::from);
        assert_eq!(Interval::covering(plain()), Interval::new(0.0, 199.0));
        let range = Interval::covering(plain().chain([1e9, f64::INFINITY, f64::NAN]));
        assert!(
            range.contains(0.0) && range.contains(199.0) && range.high < 300.0,
            "{range:?}"
        );
        // Too few to tell an outlier, or all alike but one.
        assert!(Interval::covering([1.0, 2.0, 3.0, 1e9]).contains(1e9));
        assert!(Interval::covering([0.0; 500].into_iter().chain([9.0])).contains(9.0));
        assert!(Interval::covering([]).contains(0.0));
    }
}
