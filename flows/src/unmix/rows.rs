//! The whitened rows where the backend computes, and the sums over them that an ascent needs.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use detfree_core::reference::Heap;
use detfree_core::{
    Allocate, Backend, BaseDensity, Dense, DenseBackend, Error, FlowBackend, Op, Scalar, Shape,
    Store,
};

/// Numbers of a piece: with its three intermediates it stays in a second-level cache.
const PIECE: usize = 1 << 14;

/// The fewest and the most rows of a piece: what a product reads of the weights should be small
/// beside what it reads of the rows, and threads should have pieces to share.
const FEWEST: usize = 256;
const MOST: usize = 2048;

/// Independent sums, whatever the number of threads: it must not change the result.
const SHARDS: usize = 16;

/// What a layer y = W x̂ + b makes of the rows; ψ = tanh is minus the score of the base.
#[derive(Clone)]
pub(super) struct Point {
    /// [W b], of shape [D, D+1].
    pub(super) layer: Vec<f64>,
    /// The mean over rows of log p(x̂).
    pub(super) log_likelihood: f64,
    /// [T t], of shape [D, D+1]: T = I − E[ψ uᵀ] with u = W x̂, t = −E ψ.
    pub(super) gradient: Vec<f64>,
    /// E ψ', E ψ' u and E ψ' u² of every source.
    pub(super) slopes: Vec<[f64; 3]>,
    /// E u² of every source.
    pub(super) power: Vec<f64>,
}

impl Point {
    /// max(|T_ij|, |t_i|); NaN where there is one.
    pub(super) fn gradient_norm(&self) -> f64 {
        let largest = |m: f64, x: &f64| {
            if m >= x.abs() || m.is_nan() {
                m
            } else {
                x.abs()
            }
        };
        self.gradient.iter().fold(0.0, largest)
    }
}

/// Rows of D numbers in pieces, each a batch of shape [D+1, width]: a piece's columns are rows x̂
/// of the data followed by a one, so that [W b] is one product. The last columns of the last piece
/// are zeros, the one included: such a row is at the peak of every source and pulls at nothing.
pub(super) struct Rows<B: Backend> {
    shards: Vec<Shard<B>>,
    /// [W b; 0 1]
    layer: B::Batch,
    dim: usize,
    count: usize,
    padding: usize,
}

struct Shard<B: Backend> {
    pieces: Vec<B::Batch>,
    /// y, with a row of ones below.
    y: B::Batch,
    score: B::Batch,
    /// score ∘ y
    product: B::Batch,
    /// Σ score yᵀ, its last column Σ score.
    pull: B::Batch,
    /// Per source: Σ log p, Σ ψ², Σ ψ² y, Σ ψ² y².
    sums: [B::Rows; 4],
}

impl<B: FlowBackend + Allocate + Sync> Rows<B> {
    /// Row-major rows of `dim` numbers.
    pub(super) fn new(b: &B, rows: &[f64], dim: usize) -> Result<Self, B::Error> {
        let (height, count) = (dim + 1, rows.len() / dim.max(1));
        let pieces = count.div_ceil((PIECE / height).clamp(FEWEST, MOST)).max(1);
        let width = count.div_ceil(pieces).max(1);
        let shape = Shape::new(height, width);
        let mut host = alloc::vec![B::Scalar::default(); height * width];
        let mut pieces = VecDeque::new();
        for piece in rows.chunks(width * dim.max(1)) {
            host.fill(B::Scalar::default());
            for (c, row) in piece.chunks_exact(dim).enumerate() {
                let column = host.iter_mut().skip(c).step_by(width);
                for (to, &from) in column.zip(row.iter().chain([&1.0])) {
                    *to = B::Scalar::from_f64(from);
                }
            }
            let mut batch = b.batch(shape)?;
            b.upload(&host, &mut batch)?;
            pieces.push_back(batch);
        }
        let padding = pieces.len() * width - count;
        let mut shards = Vec::new();
        for left in (1..=SHARDS.min(pieces.len())).rev() {
            let share = pieces.len().div_ceil(left);
            shards.push(Shard::new(b, pieces.drain(..share).collect(), shape)?);
        }
        Ok(Self {
            shards,
            layer: b.batch(Shape::new(height, height))?,
            dim,
            count,
            padding,
        })
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Two products of D×D with the rows, and one pass of the base's density. The layer is rounded
    /// to the backend's numbers first, so that likelihood and gradient are those of one layer.
    pub(super) fn at(&mut self, b: &B, mut layer: Vec<f64>) -> Result<Point, Error<B::Error>> {
        let height = self.dim + 1;
        let mut host = alloc::vec![B::Scalar::default(); height * height];
        for (x, host) in layer.iter_mut().zip(&mut host) {
            *host = B::Scalar::from_f64(*x);
            *x = host.to_f64();
        }
        if let Some(one) = host.last_mut() {
            *one = B::Scalar::from_f64(1.0);
        }
        b.upload(&host, &mut self.layer)?;
        let weights = &self.layer;
        b.each_shard(&mut self.shards, |b, shard| shard.run(b, weights))?;

        let mut pull = alloc::vec![0.0; height * height];
        let mut sums = [(); 4].map(|()| alloc::vec![0.0; height]);
        let mut figures = alloc::vec![0.0; height];
        for shard in &self.shards {
            b.download(&shard.pull, &mut host)?;
            for (sum, x) in pull.iter_mut().zip(&host) {
                *sum += x.to_f64();
            }
            for (sums, from) in sums.iter_mut().zip(&shard.sums) {
                b.download_rows(from, &mut figures)?;
                for (sum, x) in sums.iter_mut().zip(&figures) {
                    *sum += x;
                }
            }
        }
        Ok(self.point(layer, &pull, &sums))
    }

    fn point(&self, layer: Vec<f64>, pull: &[f64], sums: &[Vec<f64>; 4]) -> Point {
        let (dim, height) = (self.dim, self.dim + 1);
        let count = self.count as f64;
        let [log, squares, first, second] = sums;
        let peak = BaseDensity::HyperbolicSecant.log_density_and_score(&[0.0], &mut [0.0]);
        let density: f64 = log.iter().take(dim).sum();
        let padding = (self.padding * dim) as f64 * peak;

        let mut gradient = Vec::with_capacity(dim * height);
        let mut slopes = Vec::with_capacity(dim);
        let mut power = Vec::with_capacity(dim);
        let sums = squares.iter().zip(first.iter().zip(second));
        let rows = layer.chunks_exact(height).zip(pull.chunks_exact(height));
        let biases = || layer.iter().skip(dim).step_by(height);
        for (i, ((weights, pull), (squares, (first, second)))) in rows.zip(sums).enumerate() {
            // From moments of y = u + b to those of u, whose mean is 0 since that of x̂ is.
            let bias = weights.last().copied().unwrap_or_default();
            let push = pull.last().copied().unwrap_or_default() / count;
            for (j, (&pull, &bias)) in pull.iter().zip(biases()).enumerate() {
                let one = if i == j { 1.0 } else { 0.0 };
                gradient.push(one + pull / count - push * bias);
            }
            gradient.push(push);
            let squared: f64 = weights.iter().take(dim).map(|w| w * w).sum();
            let slope = 1.0 - squares / count;
            // ψ' = 1 − ψ²
            let (y, yy) = (bias - first / count, squared + bias * bias - second / count);
            slopes.push([
                slope,
                y - bias * slope,
                yy - 2.0 * bias * y + bias * bias * slope,
            ]);
            power.push(squared);
        }
        Point {
            log_likelihood: (density - padding) / count + log_abs_det(&layer, dim),
            layer,
            gradient,
            slopes,
            power,
        }
    }
}

impl<B: FlowBackend + Allocate> Shard<B> {
    fn new(b: &B, pieces: Vec<B::Batch>, shape: Shape) -> Result<Self, B::Error> {
        let height = shape.rows;
        Ok(Self {
            pieces,
            y: b.batch(shape)?,
            score: b.batch(shape)?,
            product: b.batch(shape)?,
            pull: b.batch(Shape::new(height, height))?,
            sums: [
                b.rows(height)?,
                b.rows(height)?,
                b.rows(height)?,
                b.rows(height)?,
            ],
        })
    }

    fn run(&mut self, b: &B, layer: &B::Batch) -> Result<(), B::Error> {
        let height = b.shape(layer).rows;
        let sources = 0..height.saturating_sub(1);
        for sum in &mut self.sums {
            b.fill_rows(0.0, sum)?;
        }
        let [log, squares, first, second] = &mut self.sums;
        let (y, score, product) = (&mut self.y, &mut self.score, &mut self.product);
        let mut store = Store::Set;
        for piece in &self.pieces {
            b.apply(0..height, piece, Op::Transposed, layer, Store::Set, y)?;
            b.base_density(BaseDensity::HyperbolicSecant, y, score, log)?;
            b.apply(sources.clone(), y, Op::Plain, score, store, &mut self.pull)?;
            b.hadamard(sources.clone(), score, y, Store::Set, product)?;
            b.dot_rows(sources.clone(), 1.0, score, score, squares)?;
            b.dot_rows(sources.clone(), 1.0, product, score, first)?;
            b.dot_rows(sources.clone(), 1.0, product, product, second)?;
            store = Store::Add;
        }
        Ok(())
    }
}

/// log|det W| of [W b]; −∞ where W is singular.
pub(super) fn log_abs_det(layer: &[f64], dim: usize) -> f64 {
    let Ok((_, log)) = Heap::<f64>::new().log_abs_det(&mut square(layer, dim));
    log
}

/// W of [W b].
pub(super) fn square(layer: &[f64], dim: usize) -> Dense<Vec<f64>> {
    let mut weight = Dense::on_heap(Shape::new(dim, dim));
    let rows = weight.as_mut_slice().chunks_exact_mut(dim.max(1));
    for (to, from) in rows.zip(layer.chunks_exact(dim + 1)) {
        for (to, &from) in to.iter_mut().zip(from) {
            *to = from;
        }
    }
    weight
}

#[cfg(test)]
mod tests {
    use detfree_core::Key;

    use super::*;

    const DIM: usize = 3;

    /// Rows of mean 0 and unit covariance, far from Gaussian and skewed: what the moments assume.
    fn white(count: usize) -> Vec<f64> {
        let uniform = |r, c| Key::new(2).uniform(r, c);
        let rows: Vec<f64> = (0..count as u64)
            .flat_map(|r| (0..DIM as u32).map(move |c| -libm::log(uniform(r, c))))
            .collect();
        let whitened = super::super::whitening::Whitening::of::<()>(&rows, DIM);
        whitened.unwrap().1
    }

    /// [W b] after W → (I+ε) W and b → b + e, ε and e the rows and the last column of `change`.
    fn moved(layer: &[f64], change: &[f64]) -> Vec<f64> {
        let mut moved = layer.to_vec();
        for i in 0..DIM {
            for j in 0..DIM {
                for k in 0..DIM {
                    moved[i * (DIM + 1) + k] +=
                        change[i * (DIM + 1) + j] * layer[j * (DIM + 1) + k];
                }
            }
            moved[i * (DIM + 1) + DIM] += change[i * (DIM + 1) + DIM];
        }
        moved
    }

    /// Gradient and slopes are the first and second differences of the likelihood, at no maximum,
    /// with pieces that need padding (3 × 1668 for 5003 rows) and with one piece that does not.
    #[test]
    fn moments_are_differences_of_the_likelihood() {
        let b = Heap::<f64>::new();
        let size = DIM * (DIM + 1);
        let layer: Vec<f64> = (0..size as u32)
            .map(|k| 0.4 * Key::new(3).normal(0, k) + if k % 5 == 0 { 1.5 } else { 0.0 })
            .collect();
        for (count, pieces) in [(5003, 3), (64, 1)] {
            let mut rows = Rows::new(&b, &white(count), DIM).unwrap();
            let held: usize = rows.shards.iter().map(|s| s.pieces.len()).sum();
            assert_eq!((held, rows.padding > 0), (pieces, pieces > 1));
            let point = rows.at(&b, layer.clone()).unwrap();
            let mut at = |changes: &[(usize, f64)]| {
                let mut change = alloc::vec![0.0; size];
                for &(place, by) in changes {
                    change[place] += by;
                }
                rows.at(&b, moved(&layer, &change)).unwrap().log_likelihood
            };
            let h = 1e-4;
            for (k, gradient) in point.gradient.iter().enumerate() {
                let slope = (at(&[(k, h)]) - at(&[(k, -h)])) / (2.0 * h);
                // Central differences: h² of third derivatives of order 1, and eps/h.
                assert!((slope - gradient).abs() < 1e-6, "{k}: {slope} {gradient}");
            }
            for (i, [slope, slope_u, slope_uu]) in point.slopes.iter().enumerate() {
                let (scale, shift) = (i * (DIM + 1) + i, i * (DIM + 1) + DIM);
                let mut second = |p: usize, q: usize| {
                    let mut corner = |s: f64, t: f64| at(&[(p, s * h), (q, t * h)]);
                    let same = corner(1.0, 1.0) + corner(-1.0, -1.0);
                    let other = corner(1.0, -1.0) + corner(-1.0, 1.0);
                    (same - other) / (4.0 * h * h)
                };
                // Second differences: eps/h² is 1e-8, times a few units.
                assert!((second(shift, shift) + slope).abs() < 1e-5);
                assert!((second(scale, shift) + slope_u).abs() < 1e-5);
                assert!((second(scale, scale) + 1.0 + slope_uu).abs() < 1e-5);
            }
        }
    }
}
