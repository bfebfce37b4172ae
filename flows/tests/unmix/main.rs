//! Unmixing against known mixtures, against its own definition, and on what cannot be unmixed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod interference;

use detfree_core::reference::Heap;
use detfree_core::{BaseDensity, Error, Key};
use detfree_flows::unmix::{Mode, Stop, UnmixError, UnmixOptions, Unmixing, unmix};

const BATCH: UnmixOptions = UnmixOptions {
    mode: Mode::Batch,
    iterations: 500,
    key: Key::new(1),
};
const ONLINE: UnmixOptions = UnmixOptions {
    mode: Mode::Online,
    iterations: 100,
    ..BATCH
};

/// Not a multiple of anything that rows are cut into.
const ROWS: usize = 4001;

/// (κ²a − 2κ + a)/(κ² − 1)² for κ = 1.4141 and a = 0.5645 by quadrature: n times the variance that
/// one of two Laplace sources keeps of the other, under the secant.
const LAPLACE: f64 = 1.014;

#[derive(Clone, Copy)]
enum Law {
    Laplace,
    Secant,
    Exponential,
    Gaussian,
    Uniform,
}

impl Law {
    /// A number of this law, with variance 1 but for a factor.
    fn draw(self, key: Key, row: u64, column: u32) -> f64 {
        let u = key.uniform(row, column);
        match self {
            Self::Laplace if u < 0.5 => (2.0 * u).ln(),
            Self::Laplace => -(2.0 - 2.0 * u).ln(),
            Self::Secant => BaseDensity::HyperbolicSecant.quantile(u),
            Self::Exponential => -u.ln(),
            Self::Gaussian => BaseDensity::Normal.quantile(u),
            Self::Uniform => u,
        }
    }
}

fn draw(laws: &[Law], rows: usize, seed: u64) -> Vec<f64> {
    let row = |r| (0..laws.len()).map(move |j| laws[j].draw(Key::new(seed), r, j as u32));
    (0..rows as u64).flat_map(row).collect()
}

/// A mixing matrix with standard normal elements.
fn normal(dim: usize, seed: u64) -> Vec<f64> {
    let elements = (0..dim as u64).flat_map(|i| (0..dim as u32).map(move |j| (i, j)));
    elements.map(|(i, j)| Key::new(seed).normal(i, j)).collect()
}

/// a bᵀ, both row-major with rows of `dim` numbers.
fn times_transposed(a: &[f64], b: &[f64], dim: usize) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum();
    let row = |a| b.chunks_exact(dim).map(move |b| dot(a, b));
    a.chunks_exact(dim).flat_map(row).collect()
}

fn transposed(a: &[f64], dim: usize) -> Vec<f64> {
    (0..dim)
        .flat_map(|j| a.iter().skip(j).step_by(dim))
        .copied()
        .collect()
}

fn found(rows: &[f64], dim: usize, options: &UnmixOptions) -> Unmixing {
    unmix(&Heap::<f64>::new(), rows, dim, options, |_| ()).unwrap()
}

/// (1/(2D(D−1))) (Σ_i (Σ_j |p_ij|/max_k |p_ik| − 1) + Σ_j (Σ_i |p_ij|/max_k |p_kj| − 1)) for
/// P = W A: 0 where W undoes A up to order and scale.
fn amari(unmixing: &[f64], mixing: &[f64], dim: usize) -> f64 {
    let product = times_transposed(unmixing, &transposed(mixing, dim), dim);
    let excess = |p: &[f64]| -> f64 {
        let row = |row: &[f64]| {
            let largest = row.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
            row.iter().map(|x| x.abs() / largest).sum::<f64>() - 1.0
        };
        p.chunks_exact(dim).map(row).sum()
    };
    (excess(&product) + excess(&transposed(&product, dim))) / (2 * dim * (dim - 1)) as f64
}

/// Elements of P off the diagonal have a deviation of s = √(LAPLACE/rows), so their mean size is
/// √(2/π) s = 0.8 s, with a spread of 0.6 s over the root of their number. Seven of those are
/// allowed for; a method that loses a tenth of efficiency at 16 sources is caught.
fn amari_bound(dim: usize, rows: usize) -> f64 {
    let elements = (dim * (dim - 1)) as f64;
    (0.8 + 7.0 * 0.6 / elements.sqrt()) * (LAPLACE / rows as f64).sqrt()
}

#[test]
fn known_mixtures_are_undone() {
    for dim in [2, 3, 5, 8, 16] {
        let mixing = normal(dim, 10 + dim as u64);
        let sources = draw(&vec![Law::Laplace; dim], ROWS, dim as u64);
        let found = found(&times_transposed(&sources, &mixing, dim), dim, &BATCH);
        assert_eq!(found.stop, Stop::Converged);
        assert!(found.gradient_norm <= 1e-7);
        let distance = amari(&found.sources.weight, &mixing, dim);
        assert!(distance < amari_bound(dim, ROWS), "{dim}: {distance}");

        // The error it expects is the one it has: D−1 others, each with the variance LAPLACE/n.
        let expected = (dim - 1) as f64 * LAPLACE / ROWS as f64;
        for source in &found.sources.each {
            let ratio = source.interference.unwrap() / expected;
            assert!((0.7..1.4).contains(&ratio), "{dim}: {ratio}");
        }
    }
}

/// W and A are inverse, sources have mean 0 and variance 1, shares fall and sum to about 1, and
/// the largest element of each column of A is positive, in units of the data's deviations.
#[test]
fn sources_have_units_order_and_sign() {
    let dim = 4;
    let mixing = normal(dim, 3);
    let units = [1e-6, 1.0, 50.0, 1e9];
    let offsets = [1.0, -3.0, 1e6, 1e3];
    let laws = [Law::Exponential, Law::Laplace, Law::Secant, Law::Laplace];
    let mut rows = times_transposed(&draw(&laws, ROWS, 4), &mixing, dim);
    for row in rows.chunks_exact_mut(dim) {
        for ((x, unit), offset) in row.iter_mut().zip(units).zip(offsets) {
            *x = (*x + offset) * unit;
        }
    }
    let found = found(&rows, dim, &BATCH).sources;
    let columns = transposed(&found.mixing, dim);
    let identity = times_transposed(&found.weight, &columns, dim);
    for (k, x) in identity.iter().enumerate() {
        let one = f64::from(u8::from(k % (dim + 1) == 0));
        assert!((x - one).abs() < 1e-10);
    }
    let sources = found.of(&rows);
    let moment = |j: usize, f: &dyn Fn(f64) -> f64| {
        let column = sources.iter().skip(j).step_by(dim);
        column.map(|&s| f(s)).sum::<f64>() / ROWS as f64
    };
    let deviation = |i: usize| {
        let column = || rows.iter().skip(i).step_by(dim).map(|x| x - found.mean[i]);
        (column().map(|x| x * x).sum::<f64>() / ROWS as f64).sqrt()
    };
    let mut previous = f64::INFINITY;
    let mut sum = 0.0;
    for (j, column) in columns.chunks_exact(dim).enumerate() {
        // Data near 10⁶ deviations from zero keeps 10 digits.
        assert!(moment(j, &|s| s).abs() < 1e-8);
        assert!((moment(j, &|s| s * s) - 1.0).abs() < 1e-8);
        let standard: Vec<f64> = (0..dim).map(|i| column[i] / deviation(i)).collect();
        let largest = standard
            .iter()
            .fold(0.0_f64, |m, &x| if x.abs() > m.abs() { x } else { m });
        assert!(largest > 0.0);
        let share = standard.iter().map(|x| x * x).sum::<f64>() / dim as f64;
        assert!((found.each[j].explained_variance - share).abs() < 1e-9);
        assert!(share <= previous);
        (previous, sum) = (share, sum + share);
    }
    assert!((sum - 1.0).abs() < 0.1, "{sum}");
    // b = −W mean: W x + b are the sources too, to what cancels.
    for (w, b) in found.weight.chunks_exact(dim).zip(&found.bias) {
        let product: f64 = w.iter().zip(&found.mean).map(|(w, m)| w * m).sum();
        assert_eq!(*b, -product);
    }
}

/// Two mixtures of the same sources give the same sources, up to order and sign: the starts
/// differ, the maximum does not. A gradient of 10⁻⁷ leaves about 10⁻⁶.
#[test]
fn the_mixing_does_not_matter() {
    let dim = 5;
    let laws = [
        Law::Laplace,
        Law::Secant,
        Law::Exponential,
        Law::Laplace,
        Law::Gaussian,
    ];
    let sources = draw(&laws, ROWS, 6);
    let [one, two] = [7, 8].map(|seed| {
        let rows = times_transposed(&sources, &normal(dim, seed), dim);
        found(&rows, dim, &BATCH).sources.of(&rows)
    });
    for a in 0..dim {
        let column = |of: &[f64], j: usize| -> Vec<f64> {
            of.iter().skip(j).step_by(dim).copied().collect()
        };
        let a = column(&one, a);
        let closest = (0..dim)
            .map(|b| {
                let b = column(&two, b);
                let sign = a.iter().zip(&b).map(|(a, b)| a * b).sum::<f64>().signum();
                let errors = a.iter().zip(&b).map(|(a, b)| (a - sign * b).abs());
                errors.fold(0.0, f64::max)
            })
            .fold(f64::INFINITY, f64::min);
        assert!(closest < 2e-5, "{closest}");
    }
}

/// log p(x) = log|det W_ml| − Σ log(π cosh y), y = scale · s + shift, and its relative gradient, the
/// long way; moving away from the maximum in any of 20 directions loses.
#[test]
fn the_maximum_is_one() {
    let dim = 3;
    let laws = [Law::Exponential, Law::Laplace, Law::Secant];
    let rows = times_transposed(&draw(&laws, ROWS, 9), &normal(dim, 9), dim);
    let found = found(&rows, dim, &BATCH);
    let each = &found.sources.each;
    let sources = found.sources.of(&rows);
    // log|det W| by the 3 × 3 rule, with the scale of each row.
    let w = &found.sources.weight;
    let minor = |a: usize, b: usize| w[3 + a] * w[6 + b] - w[3 + b] * w[6 + a];
    let det: f64 = w[0] * minor(1, 2) - w[1] * minor(0, 2) + w[2] * minor(0, 1);
    let scales: f64 = each.iter().map(|s| s.scale.ln()).sum();

    // The mean log-likelihood after y → y + ε u + e, u = scale · s, the determinant to order ε².
    let likelihood = |epsilon: &[f64], e: &[f64]| {
        let mut sum = 0.0;
        for s in sources.chunks_exact(dim) {
            let u: Vec<f64> = s.iter().zip(each).map(|(s, each)| s * each.scale).collect();
            for i in 0..dim {
                let moved: f64 = (0..dim).map(|j| epsilon[i * dim + j] * u[j]).sum();
                let y = u[i] + each[i].shift + moved + e[i];
                sum -= (std::f64::consts::PI * y.cosh()).ln();
            }
        }
        let trace: f64 = (0..dim).map(|i| epsilon[i * (dim + 1)]).sum();
        let square: f64 = (0..dim * dim)
            .map(|k| epsilon[k] * epsilon[k % dim * dim + k / dim])
            .sum();
        sum / ROWS as f64 + det.abs().ln() + scales + trace - 0.5 * square
    };
    let at = likelihood(&[0.0; 9], &[0.0; 3]);
    assert!((at - found.log_likelihood).abs() < 1e-11 * at.abs());
    assert!(found.log_likelihood > found.gaussian_log_likelihood);
    for direction in 0..20 {
        let key = Key::new(direction);
        let epsilon: Vec<f64> = (0..9).map(|k| 1e-3 * key.normal(0, k)).collect();
        let e: Vec<f64> = (0..3).map(|k| 1e-3 * key.normal(1, k)).collect();
        let size = epsilon.iter().chain(&e).map(|x| x * x).sum::<f64>();
        let back = |x: &[f64]| x.iter().map(|x| -x).collect::<Vec<_>>();
        let ahead = likelihood(&epsilon, &e) - at;
        let behind = likelihood(&back(&epsilon), &back(&e)) - at;
        // The slope is no more than the gradient's bound, and there is curvature.
        assert!((ahead - behind).abs() < 2.0 * 1e-7 * 12.0 * size.sqrt() + 1e-3 * size);
        assert!(ahead < -0.01 * size && behind < -0.01 * size);
    }
}

/// The same in single precision: its gradient norm of 1.2e-5 moves sources by about 1e-4.
#[test]
fn single_precision_agrees() {
    let dim = 6;
    let rows = times_transposed(&draw(&[Law::Laplace; 6], ROWS, 12), &normal(dim, 12), dim);
    let double = found(&rows, dim, &BATCH);
    let single = unmix(&Heap::<f32>::new(), &rows, dim, &BATCH, |_| ()).unwrap();
    assert_eq!(single.stop, Stop::Converged);
    assert!((single.log_likelihood - double.log_likelihood).abs() < 1e-6);
    for (a, b) in single
        .sources
        .of(&rows)
        .iter()
        .zip(double.sources.of(&rows))
    {
        assert!((a - b).abs() < 2e-3, "{a} {b}");
    }
}

/// One sample at a time: a quarter of the maximum's own error is added in variance, so a Amari
/// distance of √(5/4) times the bound's mean, and a tenth for what the quadratic leaves out. What
/// was tracked is exact.
#[test]
fn online_comes_as_near() {
    let dim = 4;
    let mixing = normal(dim, 13);
    let rows = times_transposed(&draw(&[Law::Laplace; 4], ROWS, 13), &mixing, dim);
    let b = Heap::<f64>::new();
    let mut passes = 0;
    let found = unmix(&b, &rows, dim, &ONLINE, |progress| {
        passes += 1;
        assert_eq!(progress.iteration, passes);
    })
    .unwrap();
    assert_eq!(found.stop, Stop::Converged);
    assert_eq!(found.iterations, passes);
    let tracking = found.tracking.unwrap();
    assert_eq!(tracking.steps, u64::from(passes) * ROWS as u64);
    assert!(tracking.log_det_drift < 1e-11, "{tracking:?}");
    assert!(tracking.inverse_drift < 1e-11, "{tracking:?}");
    let distance = amari(&found.sources.weight, &mixing, dim);
    assert!(distance < 1.25 * amari_bound(dim, ROWS), "{distance}");
    let best = self::found(&rows, dim, &BATCH).log_likelihood;
    let chance = 0.5 * (dim * (dim + 1)) as f64 / ROWS as f64;
    assert!(best - found.log_likelihood < 0.5 * chance);

    // Samples far out need guarded steps, and get them.
    let mut wild = rows;
    for x in wild.iter_mut().step_by(997) {
        *x += 3e4;
    }
    let found = unmix(&b, &wild, dim, &ONLINE, |_| ()).unwrap();
    let tracking = found.tracking.unwrap();
    assert!(tracking.shrinks > 0);
    assert!(tracking.inverse_drift < 1e-6, "{tracking:?}");
}

#[test]
fn an_end_before_the_maximum_is_said() {
    let rows = times_transposed(&draw(&[Law::Laplace; 3], 100, 15), &normal(3, 15), 3);
    let options = UnmixOptions {
        iterations: 2,
        ..BATCH
    };
    let found = found(&rows, 3, &options);
    assert_eq!((found.stop, found.iterations), (Stop::Iterations, 2));
    assert!(found.gradient_norm > 1e-7);
}

#[test]
fn rows_that_determine_no_mixing_are_refused() {
    let refused = |rows: &[f64], dim: usize| {
        unmix(&Heap::<f64>::new(), rows, dim, &BATCH, |_| ()).unwrap_err()
    };
    let good = draw(&[Law::Laplace; 3], 50, 16);
    let with = |f: &dyn Fn(&mut [f64])| {
        let mut rows = good.clone();
        rows.chunks_exact_mut(3).for_each(f);
        rows
    };
    let (incomplete, empty) = (refused(&good[..149], 3), refused(&good, 0));
    assert!(matches!(incomplete, UnmixError::Core(Error::Shape { .. })));
    assert!(matches!(empty, UnmixError::Core(Error::Invalid(_))));
    assert_eq!(
        refused(&good[..12], 3),
        UnmixError::TooFewRows { rows: 4, needed: 5 }
    );
    let mut rows = good.clone();
    rows[7] = f64::NAN;
    assert_eq!(
        refused(&rows, 3),
        UnmixError::NotFinite { row: 2, column: 1 }
    );
    let constant = with(&|row| row[1] = 0.1);
    assert_eq!(refused(&constant, 3), UnmixError::NoSpread { column: 1 });
    let huge = with(&|row| row[2] *= 1e200);
    assert_eq!(refused(&huge, 3), UnmixError::NoSpread { column: 2 });
    let dependent = with(&|row| row[2] = 1e5 - 3.0 * row[0] + 0.1 * row[1]);
    assert_eq!(refused(&dependent, 3), UnmixError::Dependent { column: 2 });
    // Far from dependent: a thousandth of its own.
    let close = with(&|row| row[2] = row[0] + 1e-3 * row[2]);
    let found = found(&close, 3, &BATCH);
    assert_eq!(found.stop, Stop::Converged);
}
