//! Ascent one sample at a time: what a microcontroller runs, followed by an account of it.

use alloc::vec::Vec;

use detfree_core::reference::Heap;
use detfree_core::{
    Affine, Allocate, Backend, BaseDensity, Dense, DenseBackend, DenseRelative, Error, FlowBackend,
    Key, Op, RelativeGradient, Scalar, Shape, Side, Store,
};

use super::curvature::precondition;
use super::rows::{Point, Rows, log_abs_det, square};
use super::{Progress, Stop, Tracking};
use crate::norm::largest;
use crate::tracking;
use crate::transfer::{download, upload};

/// The step is FIRST/D while sources are searched for: one of a whole 1/D may meet singular
/// matrices.
const FIRST: f64 = 0.25;

/// A search is judged by what this many times D steps gain.
const SEARCH: u64 = 200;

/// After the search the step tends to LAST/k at its k-th sample. An error of curvature λ then falls
/// like k^(−λ·LAST) down to what sampling leaves; λ is 0.41 between Laplace sources and 0.13
/// between logistic ones.
const LAST: f64 = 32.0;

/// Share of what the maximum itself owes to chance, half a nat for every parameter over all rows,
/// that may be missing at the end.
const MISSING: f64 = 0.25;

/// Maximises the log-likelihood from `start` by one guarded relative step for each row, in random
/// order, for at most `passes` passes; log|det W| and W⁻¹ follow every step exactly.
///
/// Steps are of one size while the log-likelihood of all rows grows by more than chance, and then
/// fall.
pub(super) fn ascend<B: FlowBackend + Allocate + Sync>(
    b: &B,
    rows: &mut Rows<B>,
    white: &[f64],
    start: Vec<f64>,
    passes: u32,
    key: Key,
    mut observe: impl FnMut(Progress),
) -> Result<(Point, u32, Stop, Tracking), Error<B::Error>> {
    let mut point = rows.at(b, start)?;
    let dim = point.power.len();
    let chance = point.gradient.len() as f64 / rows.count() as f64;
    let mut walk = Walk::new(b, &point.layer, dim)?;
    let mut judged = (0, point.log_likelihood);
    let mut order: Vec<usize> = (0..rows.count()).collect();
    let mut sample = alloc::vec![B::Scalar::default(); dim];
    let mut stop = Stop::Iterations;
    let mut pass = 0;
    while pass < passes {
        key.fold_in(u64::from(pass)).shuffle(&mut order);
        for &row in &order {
            let values = white.iter().skip(row * dim);
            for (to, &from) in sample.iter_mut().zip(values) {
                *to = B::Scalar::from_f64(from);
            }
            walk.step(b, &sample)?;
        }
        pass += 1;
        point = rows.at(b, walk.layer(b)?)?;
        observe(Progress {
            iteration: pass,
            log_likelihood: point.log_likelihood,
            gradient_norm: point.gradient_norm(),
        });
        if walk.searched.is_some() {
            let newton = precondition(&point, &point.gradient);
            let square: f64 = newton.iter().zip(&point.gradient).map(|(x, y)| x * y).sum();
            if square <= MISSING * chance {
                stop = Stop::Converged;
                break;
            }
        } else if walk.steps - judged.0 >= SEARCH * dim as u64 {
            if point.log_likelihood - judged.1 <= chance {
                walk.searched = Some(walk.steps);
            }
            judged = (walk.steps, point.log_likelihood);
        }
    }
    let tracking = walk.account(b, &point.layer, dim)?;
    Ok((point, pass, stop, tracking))
}

/// A layer on its way.
struct Walk<B: Backend> {
    layer: Affine<B::Batch>,
    tracked: tracking::Tracking<B>,
    tangent: DenseRelative<B>,
    x: B::Batch,
    y: B::Batch,
    score: B::Batch,
    log: B::Rows,
    steps: u64,
    shrinks: u64,
    /// The steps that the search took, once it is over.
    searched: Option<u64>,
}

impl<B: FlowBackend + Allocate> Walk<B> {
    fn new(b: &B, start: &[f64], dim: usize) -> Result<Self, Error<B::Error>> {
        let (square, row) = (Shape::new(dim, dim), Shape::new(1, dim));
        let (weight, bias) = split(start, dim);
        let weight = upload(b, &weight, square)?;
        Ok(Self {
            tracked: tracking::Tracking::start(b, &weight)?,
            layer: Affine {
                weight,
                bias: upload(b, &bias, row)?,
            },
            tangent: DenseRelative::allocate(b, 1, dim)?,
            x: b.batch(row)?,
            y: b.batch(row)?,
            score: b.batch(row)?,
            log: b.rows(1)?,
            steps: 0,
            shrinks: 0,
            searched: None,
        })
    }

    fn step(&mut self, b: &B, sample: &[B::Scalar]) -> Result<(), Error<B::Error>> {
        let dim = sample.len() as f64;
        let falling = self.searched.map_or(0, |searched| self.steps - searched);
        let mu = FIRST / (dim + falling as f64 * FIRST / LAST);
        b.upload(sample, &mut self.x)?;
        b.copy(&self.layer.bias, &mut self.y)?;
        b.apply(
            0..1,
            &self.layer.weight,
            Op::Plain,
            &self.x,
            Store::Add,
            &mut self.y,
        )?;
        b.fill_rows(0.0, &mut self.log)?;
        b.base_density(
            BaseDensity::HyperbolicSecant,
            &self.y,
            &mut self.score,
            &mut self.log,
        )?;
        self.tangent
            .linearise(b, Side::Plain, &self.layer, &self.score, &self.y)?;
        let (_, shrinks) = self
            .tracked
            .step(b, &mut self.tangent, mu, &mut self.layer)?;
        self.steps += 1;
        self.shrinks += u64::from(shrinks);
        Ok(())
    }

    /// [W b]
    fn layer(&self, b: &B) -> Result<Vec<f64>, B::Error> {
        let weight = download(b, &self.layer.weight)?;
        let bias = download(b, &self.layer.bias)?;
        let rows = weight.chunks_exact(bias.len().max(1)).zip(&bias);
        Ok(rows
            .flat_map(|(row, bias)| row.iter().chain([bias]))
            .copied()
            .collect())
    }

    /// What the tracked numbers are worth beside those of the final layer.
    fn account(&self, b: &B, layer: &[f64], dim: usize) -> Result<Tracking, B::Error> {
        let host = Heap::<f64>::new();
        let shape = Shape::new(dim, dim);
        let (mut inverse, mut product) = (Dense::on_heap(shape), Dense::on_heap(shape));
        let tracked = download(b, self.tracked.inverse())?;
        for (to, from) in inverse.as_mut_slice().iter_mut().zip(tracked) {
            *to = from;
        }
        // Row r is row r of the inverse times W.
        let weight = square(layer, dim);
        let Ok(()) = host.apply(
            0..dim,
            &weight,
            Op::Transposed,
            &inverse,
            Store::Set,
            &mut product,
        );
        let rows = product.as_slice().chunks_exact(dim).enumerate();
        let residual = rows.flat_map(|(i, row)| {
            let off = move |(j, x): (usize, &f64)| x - if i == j { 1.0 } else { 0.0 };
            row.iter().enumerate().map(off)
        });
        Ok(Tracking {
            steps: self.steps,
            shrinks: self.shrinks,
            log_det_drift: (self.tracked.log_abs_det() - log_abs_det(layer, dim)).abs(),
            inverse_drift: largest(residual),
        })
    }
}

/// W and b of [W b].
fn split(layer: &[f64], dim: usize) -> (Vec<f64>, Vec<f64>) {
    let mut parts = (Vec::new(), Vec::new());
    for row in layer.chunks_exact(dim + 1) {
        let (weights, bias) = row.split_at(dim);
        parts.0.extend(weights);
        parts.1.extend(bias);
    }
    parts
}
