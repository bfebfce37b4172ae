//! Ascent on all rows at once.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use detfree_core::{Allocate, Error, FlowBackend, Scalar};

use super::curvature::precondition;
use super::rows::{Point, Rows};
use super::{Progress, Stop};

/// Steps that are remembered.
const MEMORY: usize = 7;

/// The gradient norm from which on steps are remembered: farther from the maximum the curvature
/// that they met is no guide.
const NEAR: f64 = 0.03;

/// The least share of the gain that the slope promises, for a step to be taken.
const LEAST_GAIN: f64 = 1e-4;

/// How often a step is halved before the direction is given up.
const HALVINGS: u32 = 24;

/// A step that was taken, and how much the gradient fell along it.
struct Taken {
    step: Vec<f64>,
    fall: Vec<f64>,
    product: f64,
}

/// Rows for every column that are enough to come near the maximum of all rows, and how many times
/// as many there must be for that to pay.
const FEW: usize = 64;
const MANY: usize = 4;

/// The gradient norm that ends the approach: nearer is not near all rows' maximum either.
const APPROACHED: f64 = 3e-3;

/// A layer near the maximum: that of a few rows, evenly spaced, where there are many. The sources
/// are found there, and all rows only correct them.
pub(super) fn approach<B: FlowBackend + Allocate + Sync>(
    b: &B,
    rows: &[f64],
    dim: usize,
    start: Vec<f64>,
    iterations: u32,
) -> Result<Vec<f64>, Error<B::Error>> {
    let spacing = rows.len() / dim / (FEW * dim);
    if spacing < MANY {
        return Ok(start);
    }
    let few: Vec<f64> = (rows.chunks_exact(dim).step_by(spacing).flatten().copied()).collect();
    let mut few = Rows::new(b, &few, dim)?;
    let (point, _, _) = climb(b, &mut few, start, iterations, APPROACHED, |_| ())?;
    Ok(point.layer)
}

/// Maximises the log-likelihood from `start`, until the gradient norm counts as none: well above
/// the rounding of sums over rows, and far below what sampling leaves, 1/√rows.
pub(super) fn ascend<B: FlowBackend + Allocate + Sync>(
    b: &B,
    rows: &mut Rows<B>,
    start: Vec<f64>,
    iterations: u32,
    observe: impl FnMut(Progress),
) -> Result<(Point, u32, Stop), Error<B::Error>> {
    let tolerance = (100.0 * B::Scalar::EPSILON).max(1e-7);
    climb(b, rows, start, iterations, tolerance, observe)
}

/// Relative steps W → (I + μE) W, b → b + μe from `start` up to a gradient norm of `tolerance`: E
/// and e are the gradient preconditioned by the 2×2 blocks and, near the maximum, by what the last
/// steps met (limited-memory BFGS, as in Ablin, Cardoso and Gramfort 2018, algorithm 3), and μ the
/// first of 1, ½, ¼, … that gains.
fn climb<B: FlowBackend + Allocate + Sync>(
    b: &B,
    rows: &mut Rows<B>,
    start: Vec<f64>,
    iterations: u32,
    tolerance: f64,
    mut observe: impl FnMut(Progress),
) -> Result<(Point, u32, Stop), Error<B::Error>> {
    let mut point = rows.at(b, start)?;
    let mut memory = VecDeque::new();
    for iteration in 0.. {
        let norm = point.gradient_norm();
        observe(Progress {
            iteration,
            log_likelihood: point.log_likelihood,
            gradient_norm: norm,
        });
        if norm <= tolerance {
            return Ok((point, iteration, Stop::Converged));
        }
        if iteration == iterations {
            break;
        }
        if norm > NEAR {
            memory.clear();
        }
        let mut next = search(b, rows, &point, &direction(&point, &memory))?;
        if next.is_none() && !memory.is_empty() {
            memory.clear();
            next = search(b, rows, &point, &direction(&point, &memory))?;
        }
        let Some(Reached { point: next, step }) = next else {
            return Ok((point, iteration, Stop::Rounding));
        };
        let fall = difference(&point.gradient, &next.gradient);
        let product = dot(&step, &fall);
        if product > 0.0 {
            if memory.len() == MEMORY {
                memory.pop_front();
            }
            memory.push_back(Taken {
                step,
                fall,
                product,
            });
        }
        point = next;
    }
    Ok((point, iterations, Stop::Iterations))
}

/// The two-loop recursion over the memory, around the block preconditioner (Nocedal 1980).
fn direction(point: &Point, memory: &VecDeque<Taken>) -> Vec<f64> {
    let mut g = point.gradient.clone();
    let mut shares = Vec::with_capacity(memory.len());
    for taken in memory.iter().rev() {
        let share = dot(&taken.step, &g) / taken.product;
        add(-share, &taken.fall, &mut g);
        shares.push(share);
    }
    let mut g = precondition(point, &g);
    for (taken, share) in memory.iter().zip(shares.into_iter().rev()) {
        let back = dot(&taken.fall, &g) / taken.product;
        add(share - back, &taken.step, &mut g);
    }
    g
}

/// Where a step led.
struct Reached {
    point: Point,
    step: Vec<f64>,
}

/// The first of the halved steps that gains enough; `None` where none does.
fn search<B: FlowBackend + Allocate + Sync>(
    b: &B,
    rows: &mut Rows<B>,
    point: &Point,
    direction: &[f64],
) -> Result<Option<Reached>, Error<B::Error>> {
    let dim = point.power.len();
    let slope = dot(direction, &point.gradient);
    if slope.is_nan() || slope <= 0.0 {
        return Ok(None);
    }
    // Likelihoods closer than this are told apart by their gradients.
    let rounding = 8.0 * B::Scalar::EPSILON * (point.log_likelihood.abs() + dim as f64);
    let mut mu = 1.0;
    for _ in 0..HALVINGS {
        let next = rows.at(b, moved(&point.layer, mu, direction, dim))?;
        let gain = next.log_likelihood - point.log_likelihood;
        let level = gain.abs() <= rounding && next.gradient_norm() < point.gradient_norm();
        if gain >= LEAST_GAIN * mu * slope || level {
            let step = direction.iter().map(|x| mu * x).collect();
            return Ok(Some(Reached { point: next, step }));
        }
        mu *= 0.5;
    }
    Ok(None)
}

/// [(I + μE) W, b + μe] for the layer [W b] and the direction [E e].
fn moved(layer: &[f64], mu: f64, direction: &[f64], dim: usize) -> Vec<f64> {
    let mut moved = layer.to_vec();
    let rows = moved.chunks_exact_mut(dim + 1);
    for (out, direction) in rows.zip(direction.chunks_exact(dim + 1)) {
        for (from, &e) in layer.chunks_exact(dim + 1).zip(direction) {
            let weights = from.split_last().map(|(_, weights)| weights);
            add(mu * e, weights.unwrap_or_default(), out);
        }
        if let (Some(bias), Some(e)) = (out.last_mut(), direction.last()) {
            *bias += mu * e;
        }
    }
    moved
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

fn add(a: f64, x: &[f64], y: &mut [f64]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}

fn difference(x: &[f64], y: &[f64]) -> Vec<f64> {
    x.iter().zip(y).map(|(x, y)| x - y).collect()
}
