//! A sensor to develop against: four sources that nobody sees, mixed in every channel.

use detfree_core::Key;

use crate::CHANNELS;

/// What the sources meet on the way to the sensor.
const MIXING: [[f32; CHANNELS]; CHANNELS] = [
    [1.0, 0.6, -0.3, 0.2],
    [-0.4, 1.1, 0.5, -0.2],
    [0.3, -0.5, 0.9, 0.6],
    [0.2, 0.4, -0.6, 1.2],
];

/// What the channels read where all sources are silent.
const OFFSET: [f32; CHANNELS] = [0.5, -0.25, 0.125, 1.0];

/// x = A s + o for independent sources s with heavier tails than a normal density.
#[derive(Clone, Debug)]
pub struct Sensor {
    key: Key,
    samples: u64,
}

impl Sensor {
    /// A recording that is the same on every host.
    #[must_use]
    pub const fn new(key: Key) -> Self {
        Self { key, samples: 0 }
    }

    /// The next sample of every channel.
    pub fn read(&mut self) -> [f32; CHANNELS] {
        let words = self.key.sign_words(self.samples, 0);
        self.samples += 1;
        let sources = words.map(source);
        let mut channels = OFFSET;
        for (channel, gains) in channels.iter_mut().zip(&MIXING) {
            for (gain, source) in gains.iter().zip(sources) {
                *channel += gain * source;
            }
        }
        channels
    }

    /// The Amari distance of W A to a permutation with scales: 0 where every output is one source,
    /// 1 where every output is an equal mixture of all (Amari, Cichocki and Yang 1996, normalised).
    #[must_use]
    pub fn amari_distance(weight: &[f32]) -> f32 {
        let mut row_sums = [0.0; CHANNELS];
        let mut column_sums = [0.0; CHANNELS];
        let (mut row_peaks, mut column_peaks) = (row_sums, column_sums);
        let outputs = weight
            .chunks(CHANNELS)
            .zip(row_sums.iter_mut().zip(&mut row_peaks));
        for (w, (row_sum, row_peak)) in outputs {
            let sources = column_sums.iter_mut().zip(&mut column_peaks).enumerate();
            for (source, (column_sum, column_peak)) in sources {
                let gains = MIXING.iter().map(|gains| gains.get(source).unwrap_or(&0.0));
                let size = w.iter().zip(gains).map(|(w, a)| w * a).sum::<f32>().abs();
                *row_sum += size;
                *column_sum += size;
                *row_peak = size.max(*row_peak);
                *column_peak = size.max(*column_peak);
            }
        }
        let sums = row_sums.iter().chain(&column_sums);
        let peaks = row_peaks.iter().chain(&column_peaks);
        let excess: f32 = sums.zip(peaks).map(|(sum, peak)| sum / peak - 1.0).sum();
        excess / (2 * CHANNELS * (CHANNELS - 1)) as f32
    }
}

/// u⁵ for u uniform in (−1, 1) with 24 bits, scaled to unit variance: excess kurtosis 2.8.
fn source(word: u32) -> f32 {
    const SCALE: f32 = 3.316_624_8; // √11
    // Odd multiples of 2⁻²⁴: exact, and never zero.
    let u = ((word >> 8) * 2 + 1) as f32 / 16_777_216.0 - 1.0;
    let square = u * u;
    SCALE * square * square * u
}
