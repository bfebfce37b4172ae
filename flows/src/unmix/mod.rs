//! Linear independent component analysis by the relative gradient.

mod batch;
mod curvature;
mod error;
mod online;
mod rows;
mod sources;
mod whitening;

use alloc::vec::Vec;

use detfree_core::{Allocate, Error, FlowBackend, Key};

pub use error::UnmixError;
use rows::Rows;
use whitening::{Whitening, orthonormal};

/// What the key is for.
const START: u64 = 0;
const ORDER: u64 = 1;

/// How to look for the maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All rows at once, by a quasi-Newton ascent to the maximum itself.
    Batch,
    /// One row at a time, in random order, by guarded steps of falling size
    /// ([`detfree_core::DenseRelative`]): what a host without an allocator does.
    Online,
}

/// How to unmix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnmixOptions {
    /// How to look for the maximum.
    pub mode: Mode,
    /// The most iterations (batch) or passes over the rows (online).
    pub iterations: u32,
    /// Of the random rotation to start from and, online, of the order of rows.
    pub key: Key,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Iterations (batch) or passes over the rows (online) so far.
    pub iteration: u32,
    /// The mean log p(x) of the rows, in nats in the data's own units.
    pub log_likelihood: f64,
    /// max(|T_ij|, |t_i|): the largest element of the relative gradient.
    pub gradient_norm: f64,
}

/// Why it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Batch: the gradient norm is at most 10⁻⁷ in `f64`, 1.2·10⁻⁵ in `f32`. Online: a Newton step
    /// over all rows would gain no more than an eighth of a nat for every parameter, a quarter of
    /// what the maximum itself owes to chance.
    Converged,
    /// As many iterations or passes as were allowed.
    Iterations,
    /// No step in the direction of ascent gains beyond rounding.
    Rounding,
}

/// The account of an online ascent: what it tracked, against LU of the final weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tracking {
    /// Steps taken.
    pub steps: u64,
    /// How often a step was halved to keep clear of singular matrices.
    pub shrinks: u64,
    /// |tracked − LU| of log|det W|, W that of the whitened rows.
    pub log_det_drift: f64,
    /// The largest element of |tracked W⁻¹ · W − I|.
    pub inverse_drift: f64,
}

/// One source: mean 0 and variance 1 over the rows, and the density of scale · s + shift is the
/// hyperbolic secant 1/(π cosh), by maximum likelihood.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Source {
    /// See above; positive.
    pub scale: f64,
    /// See above.
    pub shift: f64,
    /// The variance it adds to the standardised columns, over their number. The shares sum to
    /// about 1, and to 1 for sources without any correlation over these rows.
    pub explained_variance: f64,
    /// The variance of other sources that it is expected to hold beside its own, by the asymptotic
    /// covariance of maximum likelihood for independent rows. Beyond about 0.03 it is too close to
    /// Gaussian for this number of rows: 19 of 20 sources out of a Gaussian pair are beyond, whatever
    /// the number of rows.
    ///
    /// `None` where that comes to more than 0.5, or two sources have no covariance as the likelihood is
    /// flat or prefers mixtures of them: these rows do not tell it apart from the others. The covariance
    /// is an expansion in small errors, and such errors are not, so the figure would mean nothing.
    pub interference: Option<f64>,
}

/// s = W x + b and x = A s + mean, by falling [`Source::explained_variance`]; the element of each
/// column of A that is largest in units of its data column's deviation is positive.
#[derive(Clone, Debug, PartialEq)]
pub struct Sources {
    /// W, row-major, a row for every source.
    pub weight: Vec<f64>,
    /// b = −W mean
    pub bias: Vec<f64>,
    /// A = W⁻¹, row-major, a row for every column of the data.
    pub mixing: Vec<f64>,
    /// The mean of every column of the data.
    pub mean: Vec<f64>,
    /// The sources.
    pub each: Vec<Source>,
}

impl Sources {
    /// W (x − mean) of row-major rows.
    #[must_use]
    pub fn of(&self, rows: &[f64]) -> Vec<f64> {
        let dim = self.mean.len().max(1);
        let mut sources = alloc::vec![0.0; rows.len()];
        for (row, out) in rows.chunks_exact(dim).zip(sources.chunks_exact_mut(dim)) {
            for (w, s) in self.weight.chunks_exact(dim).zip(out) {
                let centred = row.iter().zip(&self.mean).map(|(x, m)| x - m);
                *s = w.iter().zip(centred).map(|(w, x)| w * x).sum();
            }
        }
        sources
    }
}

/// What [`unmix`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct Unmixing {
    /// The sources, and the way to them and back.
    pub sources: Sources,
    /// The mean log p(x) of the rows, in nats in the data's own units.
    pub log_likelihood: f64,
    /// That of the full-covariance Gaussian fitted to the same rows.
    pub gaussian_log_likelihood: f64,
    /// Iterations (batch) or passes over the rows (online).
    pub iterations: u32,
    /// max(|T_ij|, |t_i|) at the end: the largest element of the relative gradient.
    pub gradient_norm: f64,
    /// Why it ended; the sources are those of the last iteration in any case.
    pub stop: Stop,
    /// The account of [`Mode::Online`].
    pub tracking: Option<Tracking>,
}

/// Independent sources s = W x + b of row-major `rows` of `dim` numbers, by maximum likelihood:
///
/// log p(x) = log|det W| + Σ_i (log scale_i − log(π cosh y_i)),   y_i = scale_i s_i + shift_i
///
/// The relative gradient is T = I − E[tanh(y) uᵀ] for u → (I + ε) u, where y = u + shift, and
/// t = −E tanh(y) for the shift (Amari, Cichocki and Yang 1996; Cardoso and Laheld 1996; Gresele
/// et al. 2020, section 4, one layer). Rows are whitened first, which the method does not notice
/// but for its start, a random rotation: mixing the columns in another way gives the same sources.
///
/// The secant has tails like e^−|y| and suits sources with tails heavier than a Gaussian's, such
/// as speech, images or spikes, whatever their exact law. *Two sources with lighter tails*
/// (uniform, sinusoid, two levels) are not separated from each other: the likelihood prefers
/// mixtures of them, and [`Source::interference`] is `None`. One of them is, beside heavier ones.
/// Independent sources have one maximum for all practical starts; data without them may have many,
/// and then another key ends at another log-likelihood.
///
/// ```
/// use detfree_core::{Key, reference::Heap};
/// use detfree_flows::unmix::{Mode, Stop, UnmixOptions, unmix};
/// let laplace = |u: f64| if u < 0.5 { (2.0 * u).ln() } else { -(2.0 - 2.0 * u).ln() };
/// let s = |r, j| laplace(Key::new(1).uniform(r, j));
/// let rows: Vec<f64> = (0..2000).flat_map(|r| [3.0 * s(r, 0) + s(r, 1), s(r, 0) - s(r, 1)]).collect();
/// let options = UnmixOptions { mode: Mode::Batch, iterations: 100, key: Key::new(0) };
/// let found = unmix(&Heap::<f64>::new(), &rows, 2, &options, |_| ()).unwrap();
/// assert_eq!(found.stop, Stop::Converged);
/// let a = &found.sources.mixing; // up to order, sign and scale the columns (3, 1) and (1, −1)
/// assert!((a[0] / a[2] - 3.0).abs() < 0.3 && (a[1] / a[3] + 1.0).abs() < 0.1);
/// ```
///
/// # Errors
/// [`UnmixError`]: rows that do not determine a mixing, each case with its column;
/// [`Error::Shape`] where `rows` is no whole number of rows; [`Error::Invalid`] without columns; the
/// device's.
pub fn unmix<B: FlowBackend + Allocate + Sync>(
    b: &B,
    rows: &[f64],
    dim: usize,
    options: &UnmixOptions,
    mut observe: impl FnMut(Progress),
) -> Result<Unmixing, UnmixError<B::Error>> {
    if dim == 0 {
        return Err(UnmixError::Core(Error::Invalid(
            "rows without columns have nothing to unmix: give at least one column",
        )));
    }
    Error::check_whole_rows(rows.len(), dim)?;
    let (count, needed) = (rows.len() / dim, dim + 2);
    if count < needed {
        return Err(UnmixError::TooFewRows {
            rows: count,
            needed,
        });
    }
    let (whitening, white) = Whitening::of(rows, dim)?;
    let log_jacobian = whitening.log_jacobian();
    let start = start(dim, options.key.fold_in(START));
    let mut pieces = Rows::new(b, &white, dim)?;
    let observe = |progress: Progress| {
        observe(Progress {
            log_likelihood: progress.log_likelihood + log_jacobian,
            ..progress
        });
    };
    let limit = options.iterations;
    let (point, iterations, stop, tracking) = match options.mode {
        Mode::Batch => {
            let start = batch::approach(b, &white, dim, start, limit)?;
            let (point, iterations, stop) = batch::ascend(b, &mut pieces, start, limit, observe)?;
            (point, iterations, stop, None)
        }
        Mode::Online => {
            let order = options.key.fold_in(ORDER);
            let (point, passes, stop, tracking) =
                online::ascend(b, &mut pieces, &white, start, limit, order, observe)?;
            (point, passes, stop, Some(tracking))
        }
    };
    let sources =
        sources::arrange(&whitening, &point, count).ok_or(UnmixError::Core(Error::Singular))?;
    let entropy = 0.5 * dim as f64 * (1.0 + libm::log(2.0 * core::f64::consts::PI));
    Ok(Unmixing {
        sources,
        log_likelihood: point.log_likelihood + log_jacobian,
        gaussian_log_likelihood: log_jacobian - entropy,
        iterations,
        gradient_norm: point.gradient_norm(),
        stop,
        tracking,
    })
}

/// [W 0] for a random rotation W, stretched so that whitened rows get the secant's variance.
fn start(dim: usize, key: Key) -> Vec<f64> {
    let normals: Vec<f64> = (0..dim as u64)
        .flat_map(|r| (0..dim as u32).map(move |c| key.normal(r, c)))
        .collect();
    let rotation = orthonormal(&normals, dim);
    let stretch = core::f64::consts::FRAC_PI_2;
    let rows = rotation.chunks_exact(dim);
    rows.flat_map(|row| row.iter().map(|w| stretch * w).chain([0.0]))
        .collect()
}
