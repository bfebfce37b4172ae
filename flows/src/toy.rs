//! Two-dimensional distributions to try a density model on.

use core::f64::consts::{FRAC_1_SQRT_2, FRAC_PI_4, LN_2, PI, TAU};

use detfree_core::Key;

/// A distribution on the plane, of which a point is a pure function of (key, row).
///
/// z is a standard normal and U uniform on (0, 1), independent at each occurrence; choices are
/// equally likely. Points are independent between rows, so a prefix of the rows is a sample too.
///
/// | name | point |
/// |---|---|
/// | `8gaussians` | (4·(cos πk/4, sin πk/4) + z/2)/√2, k in 0..8 |
/// | `moons` | 2·(m + 0.1 z) + (−1, −0.2), m = (cos t, sin t) or (1 − cos t, ½ − sin t), t = πU |
/// | `half-moons` | m + 0.05 z |
/// | `sine` | x = 4U − 2, y = sin 3x + z/4 |
/// | `trimodal` | (0, 0) + z, (5, 5) + z/2 or (5, −5) + z/2 |
/// | `2spirals` | ±(U/2 − n cos n, U/2 + n sin n)/3 + 0.1 z, n = 3π√U |
/// | `checkerboard` | 2·(x, U − 2b + (⌊x⌋ mod 2)), x = 4U − 2, b in {0, 1} |
/// | `rings` | r·(cos 2πU, sin 2πU) + 0.08 z, r in {0.75, 1.5, 2.25, 3} |
///
/// `moons` is scaled as in the experiments with residual flows (Chen et al. 2019); `half-moons`,
/// `sine` and `trimodal` are those of the relative gradient (Gresele et al. 2020).
///
/// ```
/// use detfree_core::Key;
/// use detfree_flows::toy::Toy;
/// let toy = Toy::from_name("checkerboard").unwrap();
/// let [x, y] = toy.sample(Key::new(7), 0);
/// assert!(x.abs() < 4.0 && y.abs() < 4.0);
/// assert_eq!(toy.sample(Key::new(7), 0), [x, y]);
/// assert_eq!(toy.entropy(), Some(32_f64.ln()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Toy {
    /// `8gaussians`
    EightGaussians,
    /// `moons`
    Moons,
    /// `half-moons`
    HalfMoons,
    /// `sine`
    Sine,
    /// `trimodal`
    Trimodal,
    /// `2spirals`
    TwoSpirals,
    /// `checkerboard`
    Checkerboard,
    /// `rings`
    Rings,
}

impl Toy {
    /// Every distribution.
    pub const ALL: [Self; 8] = [
        Self::EightGaussians,
        Self::Moons,
        Self::HalfMoons,
        Self::Sine,
        Self::Trimodal,
        Self::TwoSpirals,
        Self::Checkerboard,
        Self::Rings,
    ];

    /// The distribution that [`name`](Self::name) calls so.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|toy| toy.name() == name)
    }

    /// Its name, as in the table above.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EightGaussians => "8gaussians",
            Self::Moons => "moons",
            Self::HalfMoons => "half-moons",
            Self::Sine => "sine",
            Self::Trimodal => "trimodal",
            Self::TwoSpirals => "2spirals",
            Self::Checkerboard => "checkerboard",
            Self::Rings => "rings",
        }
    }

    /// −E log p in nats where it is known: no model has a higher expected log-likelihood than
    /// its negative.
    ///
    /// `sine` and `checkerboard` in closed form, log 4 + ½ log(2πe/16) and log 32; `8gaussians`
    /// and `trimodal` by quadrature.
    #[must_use]
    pub const fn entropy(self) -> Option<f64> {
        match self {
            Self::EightGaussians => Some(2.831_578_360_526_45),
            Self::Sine => Some(1.418_938_533_204_672_7),
            Self::Trimodal => Some(3.012_288_489_195_03),
            Self::Checkerboard => Some(5.0 * LN_2),
            Self::Moons | Self::HalfMoons | Self::TwoSpirals | Self::Rings => None,
        }
    }

    /// The point of a row.
    #[must_use]
    pub fn sample(self, key: Key, row: u64) -> [f64; 2] {
        let uniform = |column| key.uniform(row, column);
        let choice = |bound| key.below(row, bound);
        let noisy = |[x, y]: [f64; 2], deviation| {
            let [a, b] = key.normal_pair(row, 0);
            [x + deviation * a, y + deviation * b]
        };
        let moon = || {
            let (sin, cos) = libm::sincos(PI * uniform(0));
            if choice(2) == 0 {
                [cos, sin]
            } else {
                [1.0 - cos, 0.5 - sin]
            }
        };
        match self {
            Self::EightGaussians => {
                let (sin, cos) = libm::sincos(FRAC_PI_4 * choice(8) as f64);
                noisy([4.0 * cos, 4.0 * sin], 0.5).map(|x| x * FRAC_1_SQRT_2)
            }
            Self::Moons => {
                let [x, y] = noisy(moon(), 0.1);
                [2.0 * x - 1.0, 2.0 * y - 0.2]
            }
            Self::HalfMoons => noisy(moon(), 0.05),
            Self::Sine => {
                let x = 4.0 * uniform(0) - 2.0;
                [x, libm::sin(3.0 * x) + 0.25 * key.normal(row, 0)]
            }
            Self::Trimodal => match choice(3) {
                0 => noisy([0.0, 0.0], 1.0),
                1 => noisy([5.0, 5.0], 0.5),
                _ => noisy([5.0, -5.0], 0.5),
            },
            Self::TwoSpirals => {
                let n = 3.0 * PI * libm::sqrt(uniform(0));
                let (sin, cos) = libm::sincos(n);
                let arm = if choice(2) == 0 { 1.0 } else { -1.0 } / 3.0;
                let [x, y] = [0.5 * uniform(1) - n * cos, 0.5 * uniform(2) + n * sin];
                noisy([arm * x, arm * y], 0.1)
            }
            Self::Checkerboard => {
                let x = 4.0 * uniform(0) - 2.0;
                let odd = (libm::floor(x) as i64).rem_euclid(2) as f64;
                let y = uniform(1) - 2.0 * choice(2) as f64 + odd;
                [2.0 * x, 2.0 * y]
            }
            Self::Rings => {
                let (sin, cos) = libm::sincos(TAU * uniform(0));
                let radius = 0.75 * (choice(4) + 1) as f64;
                noisy([radius * cos, radius * sin], 0.08)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::f64::consts::{E, FRAC_1_PI};
    use std::vec::Vec;

    const N: u64 = 40_000;

    fn points(toy: Toy) -> impl Iterator<Item = [f64; 2]> {
        (0..N).map(move |row| toy.sample(Key::new(3), row))
    }

    /// Mean and its standard error.
    fn mean(values: impl Iterator<Item = f64>) -> (f64, f64) {
        let values: Vec<f64> = values.collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        (mean, (squares / (n * (n - 1.0))).sqrt())
    }

    fn assert_mean(what: &str, values: impl Iterator<Item = f64>, expected: f64) {
        let (mean, error) = mean(values);
        assert!(
            (mean - expected).abs() < 4.0 * error,
            "{what}: {mean} ± {error}, expected {expected}"
        );
    }

    fn normal(x: f64, deviation: f64) -> f64 {
        (-0.5 * (x / deviation).powi(2)).exp() / (deviation * TAU.sqrt())
    }

    fn density(toy: Toy, [x, y]: [f64; 2]) -> f64 {
        let blob = |centre: [f64; 2], d| normal(x - centre[0], d) * normal(y - centre[1], d);
        match toy {
            Toy::EightGaussians => {
                let centre = |k| {
                    let (sin, cos) = (FRAC_PI_4 * f64::from(k)).sin_cos();
                    [cos, sin].map(|v| v * 8_f64.sqrt())
                };
                let blobs = (0..8).map(|k| blob(centre(k), 0.125_f64.sqrt()));
                blobs.sum::<f64>() / 8.0
            }
            Toy::Trimodal => {
                (blob([0.0; 2], 1.0) + blob([5.0, 5.0], 0.5) + blob([5.0, -5.0], 0.5)) / 3.0
            }
            Toy::Sine => normal(y - (3.0 * x).sin(), 0.25) / 4.0,
            Toy::Checkerboard => {
                // Squares of side 2, those whose indices have an even sum.
                let [i, j] = [x, y].map(|v| (v / 2.0).floor() as i32);
                let board = (-2..2).contains(&i) && (-2..2).contains(&j);
                f64::from(board && (i + j) % 2 == 0) / 32.0
            }
            _ => unreachable!(),
        }
    }

    /// The sampled −E log p against the stated entropy, within 4 standard errors: 0.015 to 0.02
    /// nats, which a standard deviation wrong by 2% exceeds, or a weight of `trimodal` by 0.02. A
    /// point outside the support gives infinity.
    #[test]
    fn entropies() {
        for toy in Toy::ALL {
            let Some(entropy) = toy.entropy() else {
                continue;
            };
            let surprise = || points(toy).map(|p| -density(toy, p).ln());
            if toy == Toy::Checkerboard {
                assert!(surprise().all(|s| (s - entropy).abs() < 4.0 * f64::EPSILON * entropy));
            } else {
                assert_mean(toy.name(), surprise(), entropy);
            }
        }
        let sine = 4_f64.ln() + 0.5 * (TAU * E / 16.0).ln();
        assert!((Toy::Sine.entropy().unwrap() - sine).abs() < 1e-15);
    }

    /// Moments by hand. 4 standard errors are about 2% of a standard deviation for a mean and 3%
    /// of a variance.
    #[test]
    fn moments() {
        // Moons: E x = ½, E y = ¼, E x² = 1, E y² = 5/8 − 1/π before noise and scaling.
        let height = 0.625 - FRAC_1_PI;
        let trimodal = (1.0 + 2.0 * 25.25) / 3.0;
        let ring = 0.75 * 0.75 * 7.5 / 2.0 + 0.08 * 0.08;
        for (toy, mean, squares) in [
            (Toy::EightGaussians, [0.0, 0.0], [4.125, 4.125]),
            (Toy::HalfMoons, [0.5, 0.25], [1.0025, height + 0.0025]),
            (Toy::Moons, [0.0, 0.3], [3.04, 4.0 * height - 0.12]),
            (
                Toy::Sine,
                [0.0, 0.0],
                [4.0 / 3.0, 0.5625 - 12_f64.sin() / 24.0],
            ),
            (Toy::Trimodal, [10.0 / 3.0, 0.0], [trimodal; 2]),
            (Toy::Checkerboard, [0.0, 0.0], [16.0 / 3.0; 2]),
            (Toy::Rings, [0.0, 0.0], [ring; 2]),
        ] {
            for axis in 0..2 {
                assert_mean(toy.name(), points(toy).map(|p| p[axis]), mean[axis]);
                assert_mean(
                    toy.name(),
                    points(toy).map(|p| p[axis].powi(2)),
                    squares[axis],
                );
            }
        }
        // 9·|p|² = n² + n(U₂ sin n − U₁ cos n) + (U₁² + U₂²)/4, and the density of n is 2n/a².
        let a = 3.0 * PI;
        let (sine, cosine) = (2.0 - 8.0 / (a * a), -4.0 / a);
        let squares = (a * a / 2.0 + (sine - cosine) / 2.0 + 1.0 / 6.0) / 9.0 + 0.02;
        let spirals = || points(Toy::TwoSpirals);
        assert_mean("2spirals x", spirals().map(|[x, _]| x), 0.0);
        assert_mean("2spirals y", spirals().map(|[_, y]| y), 0.0);
        assert_mean("2spirals", spirals().map(|[x, y]| x * x + y * y), squares);
    }

    /// Each ring has a quarter of the points to within 0.009, and the noise its variance to within
    /// 3%.
    #[test]
    fn rings() {
        let radii = || points(Toy::Rings).map(|[x, y]| x.hypot(y) / 0.75);
        for ring in 1..5 {
            let hits = radii().map(|r| f64::from(r.round() as i32 == ring));
            assert_mean("ring", hits, 0.25);
        }
        let off = radii().map(|r| (0.75 * (r - r.round())).powi(2));
        assert_mean("noise of rings", off, 0.08 * 0.08);
    }

    /// Where only one moon reaches: its share to within 5%, the variance of its noise to within
    /// 7%. The other moon is the same under (x, y) ↦ (1 − x, ½ − y).
    #[test]
    fn moons() {
        for (toy, noise) in [(Toy::HalfMoons, 0.05), (Toy::Moons, 0.1)] {
            let unscaled = || {
                points(toy).map(|[x, y]| match toy {
                    Toy::Moons => [(x + 1.0) / 2.0, (y + 0.2) / 2.0],
                    _ => [x, y],
                })
            };
            let mirrored = || unscaled().map(|[x, y]| [1.0 - x, 0.5 - y]);
            let alone: [Vec<f64>; 2] =
                [unscaled().collect(), mirrored().collect()].map(|points: Vec<[f64; 2]>| {
                    let left = points.iter().filter(|[x, y]| *x < -0.4 && *y > 0.2);
                    left.map(|[x, y]| (x.hypot(*y) - 1.0).powi(2)).collect()
                });
            // Angles from arcsin 0.2 to arccos 0.4 of π, of half the points.
            let share = (0.4_f64.acos() - 0.2_f64.asin()) / TAU;
            for squares in alone {
                assert!((squares.len() as f64 / (share * N as f64) - 1.0).abs() < 0.05);
                assert_mean(toy.name(), squares.into_iter(), noise * noise);
            }
        }
    }

    /// With n known from its draw, what is left of 3·p is U/2 + 0.3 z in both coordinates: means to
    /// within 0.007, variances to within 3%. Each arm has half the points to within 1%. Mirrored or
    /// turned spirals leave much more.
    #[test]
    fn spirals() {
        let key = Key::new(3);
        let (mut arm, mut x, mut y) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..N {
            let n = 3.0 * PI * key.uniform(row, 0).sqrt();
            // Further in, the nearer arm need not be the right one.
            if n < 2.5 {
                continue;
            }
            let p = Toy::TwoSpirals.sample(key, row).map(|v| 3.0 * v);
            let rest = |sign: f64| [sign * p[0] + n * n.cos(), sign * p[1] - n * n.sin()];
            let [plus, minus] = [rest(1.0), rest(-1.0)];
            let first = plus[0].hypot(plus[1]) < minus[0].hypot(minus[1]);
            let left = if first { plus } else { minus };
            arm.push(f64::from(first));
            x.push(left[0] - 0.25);
            y.push(left[1] - 0.25);
        }
        assert_mean("arms", arm.into_iter(), 0.5);
        for left in [x, y] {
            assert_mean("offset", left.iter().copied(), 0.0);
            assert_mean("noise", left.iter().map(|v| v * v), 1.0 / 48.0 + 0.09);
        }
    }

    #[test]
    fn names() {
        for toy in Toy::ALL {
            assert_eq!(Toy::from_name(toy.name()), Some(toy));
            assert_ne!(toy.sample(Key::new(1), 0), toy.sample(Key::new(1), 1));
            assert_ne!(toy.sample(Key::new(1), 0), toy.sample(Key::new(2), 0));
        }
        assert_eq!(Toy::from_name("Moons"), None);
    }
}
