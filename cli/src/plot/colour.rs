use plotters::style::RGBColor;

pub(super) const PAPER: RGBColor = RGBColor(255, 255, 255);
pub(super) const INK: RGBColor = RGBColor(31, 35, 45);
pub(super) const QUIET: RGBColor = RGBColor(96, 103, 117);
pub(super) const RULE: RGBColor = RGBColor(176, 182, 193);
pub(super) const GRID: RGBColor = RGBColor(234, 236, 240);

// Three parts, told apart by lightness as well as by hue.
pub(super) const DATA: RGBColor = RGBColor(58, 66, 86);
pub(super) const MODEL: RGBColor = RGBColor(0, 110, 190);
pub(super) const GAUSSIAN: RGBColor = RGBColor(232, 146, 20);

/// Lightness, chroma and hue in degrees (Oklab, Ottosson 2020), at even steps: lightness rises
/// evenly, so that order survives any kind of colour vision and a print in grey.
const ANCHORS: [[f64; 3]; 6] = [
    [0.17, 0.050, 280.0],
    [0.33, 0.135, 288.0],
    [0.49, 0.190, 328.0],
    [0.65, 0.190, 372.0],
    [0.81, 0.145, 425.0],
    [0.97, 0.065, 465.0],
];

/// The colour at 0 ≤ t ≤ 1 of a perceptually uniform scale from near black to pale yellow.
pub(super) fn heat(t: f64) -> RGBColor {
    srgb(anchored(t))
}

fn anchored(t: f64) -> [f64; 3] {
    let steps = ANCHORS.len() - 1;
    let place = t.clamp(0.0, 1.0) * steps as f64;
    let below = (place as usize).min(steps - 1);
    let share = place - below as f64;
    let [from, to] = [ANCHORS[below], ANCHORS[below + 1]];
    let [l, c, h] = [0, 1, 2].map(|i| from[i] + share * (to[i] - from[i]));
    let (sine, cosine) = h.to_radians().sin_cos();
    [l, c * cosine, c * sine]
}

fn srgb([l, a, b]: [f64; 3]) -> RGBColor {
    let long = (l + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
    let medium = (l - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
    let short = (l - 0.089_484_177_5 * a - 1.291_485_548_0 * b).powi(3);
    let red = 4.076_741_662_1 * long - 3.307_711_591_3 * medium + 0.230_969_929_2 * short;
    let green = -1.268_438_004_6 * long + 2.609_757_401_1 * medium - 0.341_319_396_5 * short;
    let blue = -0.004_196_086_3 * long - 0.703_418_614_7 * medium + 1.707_614_701_0 * short;
    RGBColor(encoded(red), encoded(green), encoded(blue))
}

fn encoded(linear: f64) -> u8 {
    let bent = match linear {
        low if low <= 0.003_130_8 => 12.92 * low,
        high => 1.055 * high.powf(1.0 / 2.4) - 0.055,
    };
    (255.0 * bent).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance(RGBColor(r, g, b): RGBColor) -> f64 {
        let linear = |c: u8| match f64::from(c) / 255.0 {
            low if low <= 0.040_45 => low / 12.92,
            high => ((high + 0.055) / 1.055).powf(2.4),
        };
        0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
    }

    #[test]
    fn heat_brightens_and_steps_look_even() {
        let luminances: Vec<f64> = (0..=64)
            .map(|i| luminance(heat(f64::from(i) / 64.0)))
            .collect();
        assert!(luminances.is_sorted_by(|a, b| a < b), "{luminances:?}");
        let colours: Vec<_> = (0..=50).map(|i| anchored(f64::from(i) / 50.0)).collect();
        let steps: Vec<f64> = colours
            .windows(2)
            .map(|w| {
                (0..3)
                    .map(|i| (w[1][i] - w[0][i]).powi(2))
                    .sum::<f64>()
                    .sqrt()
            })
            .collect();
        let mean = steps.iter().sum::<f64>() / 50.0;
        // An even scale by eye; a scale through the corners of the RGB cube is off by 3 and more.
        assert!(
            steps.iter().all(|s| (s / mean - 1.0).abs() < 0.5),
            "{steps:?}"
        );
    }

    #[test]
    fn anchors_are_colours_of_the_screen() {
        // Conversion saturates, so a colour outside sRGB would lose its lightness.
        for t in (0..=40).map(|i| f64::from(i) / 40.0) {
            let [l, ..] = anchored(t);
            let shown = luminance(heat(t)).cbrt();
            assert!((shown - l).abs() < 0.07, "{t}: {shown} for {l}");
        }
    }
}
