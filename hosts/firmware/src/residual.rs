//! log det(I + J) of a small residual map with its weights in flash.

use core::convert::Infallible;
use core::ops::Range;

use detfree_core::{
    Estimate, Key, LogDet, Operator, Probe, Quantity, RouletteSchedule, Shape, TraceEstimator,
    Workspace,
};

use crate::{Batch, CHANNELS, Error, Host, batch, tanh};

/// Hidden units of the map.
pub const HIDDEN: usize = 8;

/// Probes in a batch.
pub const PROBES: usize = 4;

/// Batches of an estimate.
pub const SAMPLES: u64 = 64;

/// A bound on ‖J‖ everywhere: |tanh'| ≤ 1, and the weights' Frobenius norms are checked when this is
/// compiled.
pub const CONTRACTION: f64 = 0.67;
const _: () = assert!(squares(&FIRST) * squares(&SECOND) <= CONTRACTION * CONTRACTION);

/// The roulette's continuation, `CONTRACTION`^1.3 rounded up: what `RouletteSchedule::certified`
/// chooses, without the flash that a power takes.
const CONTINUATION: f64 = 0.6;

const FIRST: [[f32; CHANNELS]; HIDDEN] = [
    [0.3, -0.2, 0.1, 0.2],
    [-0.1, 0.3, 0.2, -0.2],
    [0.2, 0.1, -0.3, 0.1],
    [0.1, 0.2, 0.2, 0.3],
    [-0.2, 0.1, 0.1, 0.2],
    [0.2, 0.2, -0.1, -0.1],
    [0.1, -0.3, 0.2, 0.1],
    [0.2, 0.1, 0.1, -0.2],
];

const BIAS: [f32; HIDDEN] = [0.1, -0.2, 0.3, 0.0, -0.1, 0.2, 0.0, -0.3];

const SECOND: [[f32; HIDDEN]; CHANNELS] = [
    [0.2, -0.1, 0.1, 0.1, -0.1, 0.1, 0.0, 0.1],
    [-0.1, 0.2, 0.0, 0.1, 0.1, 0.1, -0.1, 0.0],
    [0.1, 0.1, -0.2, 0.1, 0.0, -0.1, 0.1, 0.1],
    [0.1, -0.1, 0.1, 0.2, 0.1, 0.0, 0.1, -0.1],
];

/// x + A₂ tanh(A₁ x + a), linearised at a point: J = A₂ diag(tanh'(A₁ x + a)) A₁ for every probe.
#[derive(Clone, Debug)]
pub struct ResidualMap {
    slopes: [f32; HIDDEN],
}

impl ResidualMap {
    /// The map at `x`.
    #[must_use]
    pub fn at(x: &[f32; CHANNELS]) -> Self {
        let mut hidden = BIAS;
        for (hidden, weights) in hidden.iter_mut().zip(&FIRST) {
            *hidden += weights.iter().zip(x).map(|(w, x)| w * x).sum::<f32>();
        }
        let [mut slopes, mut value] = [[0.0; HIDDEN]; 2];
        tanh(&hidden, &mut value, &mut slopes);
        Self { slopes }
    }

    /// log det(I + J) from [`SAMPLES`] batches of [`PROBES`] Rademacher probes.
    ///
    /// # Errors
    /// None: every array here fits, and the schedule is certified for [`CONTRACTION`].
    pub fn log_det(&mut self, key: Key) -> Result<Estimate, Error> {
        let b = Host::new();
        let (continuation, value) = (CONTINUATION, Quantity::Value);
        let schedule = RouletteSchedule::geometric(2, continuation, CONTRACTION, value)
            .map_err(Error::Schedule)?;
        let trace = TraceEstimator::new(Probe::Rademacher, 1);
        let [mut probe, mut power, mut next, mut sum] = [[0.0; PROBES * CHANNELS]; 4];
        let buffers = [&mut probe, &mut power, &mut next, &mut sum];
        let [probe, power, next, sum] = buffers.map(|buffer| batch(CHANNELS, buffer));
        let mut workspace = Workspace::new(&b, [probe?, power?, next?, sum?])?;
        let [mut out, mut host] = [[0.0; PROBES]; 2];
        let mut out = batch(1, &mut out)?;
        let estimator = LogDet { schedule, trace };
        estimator.estimate(&b, self, SAMPLES, key, &mut workspace, &mut out, &mut host)
    }
}

impl<'a> Operator<Host<'a>> for ResidualMap {
    fn shape(&self, _: &Host<'a>) -> Shape {
        Shape::new(PROBES, CHANNELS)
    }

    fn jvp(
        &mut self,
        _: &Host<'a>,
        rows: Range<usize>,
        v: &Batch<'a>,
        out: &mut Batch<'a>,
    ) -> Result<(), Infallible> {
        for r in rows {
            let mut hidden = self.slopes;
            for (hidden, weights) in hidden.iter_mut().zip(&FIRST) {
                *hidden *= dot(weights, v.row(r));
            }
            for (out, weights) in out.row_mut(r).iter_mut().zip(&SECOND) {
                *out = dot(weights, &hidden);
            }
        }
        Ok(())
    }

    fn vjp(
        &mut self,
        _: &Host<'a>,
        rows: Range<usize>,
        w: &Batch<'a>,
        out: &mut Batch<'a>,
    ) -> Result<(), Infallible> {
        for r in rows {
            let mut hidden = [0.0; HIDDEN];
            for (&w, weights) in w.row(r).iter().zip(&SECOND) {
                add(w, weights, &mut hidden);
            }
            let out = out.row_mut(r);
            out.fill(0.0);
            for ((hidden, slope), weights) in hidden.iter().zip(&self.slopes).zip(&FIRST) {
                add(hidden * slope, weights, out);
            }
        }
        Ok(())
    }
}

/// ‖A‖², in Frobenius norm.
const fn squares<const N: usize, const M: usize>(a: &[[f32; N]; M]) -> f64 {
    let (mut sum, mut i) = (0.0, 0);
    while i < M * N {
        let x = a[i / N][i % N] as f64;
        sum += x * x;
        i += 1;
    }
    sum
}

fn dot(x: &[f32], y: &[f32]) -> f32 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

fn add(a: f32, x: &[f32], y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}
