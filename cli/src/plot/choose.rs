/// At most `wanted` of `count` rows, in order and spread over all of them.
///
/// One row from every stretch, at a place that moves by the golden ratio, so that data which
/// repeats with some period is not met in step.
pub(super) fn spread(count: usize, wanted: usize) -> Vec<usize> {
    if count <= wanted {
        return (0..count).collect();
    }
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let stretch = count as f64 / wanted as f64;
    let place = |i: usize| (i as f64 + (i as f64 * GOLDEN).fract()) * stretch;
    let mut rows: Vec<usize> = (0..wanted)
        .map(|i| (place(i) as usize).min(count - 1))
        .collect();
    rows.dedup();
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_rows_stay_and_many_are_spread() {
        assert_eq!(spread(3, 5), [0, 1, 2]);
        let rows = spread(100_000, 4000);
        assert!(rows.len() > 3900 && rows.is_sorted_by(|a, b| a < b));
        assert!(rows.windows(2).all(|w| w[1] - w[0] <= 50) && rows[rows.len() - 1] < 100_000);
        // Rows of one class out of 25 in turn: in step with the stretches, all or none are met.
        let met = rows.iter().filter(|&&row| row % 25 == 0).count();
        assert!((80..320).contains(&met), "{met} of about 160");
    }
}
