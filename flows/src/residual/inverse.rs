//! The inverse of a residual flow by fixed points, with a bound of its error.

use alloc::vec::Vec;
use core::fmt;

use detfree_core::{Allocate, Backend, Error, FlowBackend, Key, Scalar, Shape};

use super::actnorm::ActNorm;
use super::{Block, EMPTY, ResidualFlow};
use crate::base::draw;
use crate::mlp::MlpTape;

/// Rounding of y − g(x) in units of ε times the largest norm of the three in a row: what steps cannot be
/// expected below.
const ROUNDING: f64 = 8.0;

/// What an inversion did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Inversion {
    /// Evaluations of a net, of all blocks together.
    pub iterations: u64,
    /// The largest bound, over rows and blocks, of ‖x̂ − x‖₂ with x + g(x) = y solved for a block's own y:
    /// L/(1 − L) · ‖last step‖, L the block's certified Lipschitz bound, or an estimate of what rounding
    /// leaves, where that is more.
    pub block_error: f64,
    /// What that amounts to at the flow's input, if every block passed the errors of those behind it on
    /// as badly as it may: by 1/(1 − L) and the inverse of its scale. Real flows do so far less.
    pub error: f64,
}

/// Why rows were not inverted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InversionError<E> {
    /// A block's fixed point was not reached to the tolerance.
    NotReached {
        /// The block, from 0.
        block: usize,
        /// The bound that was reached.
        reached: f64,
        /// The bound that was asked for.
        tolerance: f64,
    },
    /// A block gave numbers that are not finite.
    NotFinite {
        /// The block, from 0.
        block: usize,
    },
    /// The tolerance is not a positive number.
    Tolerance {
        /// What was given.
        tolerance: f64,
    },
    /// A block is not certified to be a contraction.
    NotContracting {
        /// The block, from 0.
        block: usize,
    },
    /// A buffer does not fit, or the backend failed.
    Compute(Error<E>),
}

impl<E> From<E> for InversionError<E> {
    fn from(error: E) -> Self {
        Self::Compute(Error::Device(error))
    }
}

impl<E: fmt::Display> fmt::Display for InversionError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReached {
                block,
                reached,
                tolerance,
            } => write!(
                f,
                "block {block} (from 0) was inverted to an error of {reached:.1e} where {tolerance:.1e} was \
                 asked for: allow a larger error, or use double precision if this is single"
            ),
            Self::NotFinite { block } => write!(
                f,
                "block {block} (from 0) has no inverse of these rows in finite numbers: look for NaN and \
                 infinities in the rows and in the block's parameters, or for numbers too large for \
                 this precision"
            ),
            Self::Tolerance { tolerance } => write!(
                f,
                "the tolerance of an inverse is {tolerance}, expected a positive number"
            ),
            Self::NotContracting { block } => write!(
                f,
                "block {block} (from 0) is not certified to be a contraction, so it may have no inverse"
            ),
            Self::Compute(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for InversionError<E> {}

impl<B: FlowBackend + Allocate> ResidualFlow<B> {
    /// z_r ← x_r with f(x_r) = z_r, every block's equation solved to within `tolerance` in every row:
    /// x ← y − g(x) from x = y, until L/(1 − L) ‖last step‖₂ is below it (Behrmann et al. 2019,
    /// algorithm 1; the bound is Banach's a-posteriori one).
    ///
    /// # Errors
    /// [`InversionError::NotReached`] where rounding keeps a row from it, and
    /// [`InversionError::NotFinite`] where NaN or infinities do: z then holds unspecified numbers;
    /// [`InversionError::NotContracting`] and [`InversionError::Tolerance`]; the device's.
    pub fn invert(
        &self,
        b: &B,
        tolerance: f64,
        z: &mut B::Batch,
    ) -> Result<Inversion, InversionError<B::Error>> {
        if tolerance.is_nan() || tolerance <= 0.0 {
            return Err(InversionError::Tolerance { tolerance });
        }
        let mut iteration = Iteration::new(b, self, b.shape(z))?;
        let mut done = Inversion::default();
        for (i, block) in self.blocks.iter().enumerate().rev() {
            let contraction = block.contraction();
            if contraction.is_nan() || contraction >= 1.0 {
                return Err(InversionError::NotContracting { block: i });
            }
            let all = 0..b.shape(z).rows;
            iteration.actnorm.set_inverse(b, block)?;
            let shift = Some(&iteration.actnorm.shift);
            b.scale_shift(all, &iteration.actnorm.scale, shift, z)?;
            let (iterations, error) = iteration.solve(b, block, contraction, tolerance, z)?;
            if !error.is_finite() {
                return Err(InversionError::NotFinite { block: i });
            }
            if error > tolerance {
                return Err(InversionError::NotReached {
                    block: i,
                    reached: error,
                    tolerance,
                });
            }
            let stretch = block.log_scale.iter().map(|&s| libm::exp(-s));
            let stretch = stretch.fold(0.0, f64::max) / (1.0 - contraction);
            done = Inversion {
                iterations: done.iterations + iterations,
                block_error: done.block_error.max(error),
                error: done.error * stretch + error,
            };
        }
        Ok(done)
    }

    /// z ← draws from the base density, then their inverse: z_r becomes a sample of the model.
    ///
    /// Row r uses row `first_row` + r of the key's stream, so that a stream may be drawn in pieces.
    ///
    /// # Errors
    /// As [`Self::invert`].
    pub fn sample(
        &self,
        b: &B,
        key: Key,
        first_row: u64,
        tolerance: f64,
        z: &mut B::Batch,
    ) -> Result<Inversion, InversionError<B::Error>> {
        draw(b, self.base, key, first_row, z)?;
        self.invert(b, tolerance, z)
    }
}

/// The memory of fixed-point iterations.
struct Iteration<B: Backend> {
    net: MlpTape<B>,
    actnorm: ActNorm<B>,
    g: B::Batch,
    next: B::Batch,
    x: B::Batch,
    squares: B::Rows,
    norms: [Vec<f64>; 4],
}

impl<B: FlowBackend + Allocate> Iteration<B> {
    fn new(b: &B, flow: &ResidualFlow<B>, shape: Shape) -> Result<Self, InversionError<B::Error>> {
        let Some(first) = flow.blocks.first() else {
            return Err(InversionError::Compute(Error::Invalid(EMPTY)));
        };
        Ok(Self {
            net: MlpTape::new(b, &first.net, shape.rows)?,
            actnorm: ActNorm::new(b, shape)?,
            g: b.batch(shape)?,
            next: b.batch(shape)?,
            x: b.batch(shape)?,
            squares: b.rows(shape.rows)?,
            norms: core::array::from_fn(|_| alloc::vec![0.0; shape.rows]),
        })
    }

    /// y ← x with x + g(x) = y; the iterations it took, and the largest error bound of a row.
    fn solve(
        &mut self,
        b: &B,
        block: &Block<B>,
        contraction: f64,
        tolerance: f64,
        y: &mut B::Batch,
    ) -> Result<(u64, f64), InversionError<B::Error>> {
        let all = 0..b.shape(y).rows;
        b.copy(y, &mut self.x)?;
        let [of_y, of_g, of_x, of_step] = &mut self.norms;
        norms(b, y, &mut self.squares, of_y)?;
        let factor = contraction / (1.0 - contraction);
        let floor = ROUNDING * B::Scalar::EPSILON / (1.0 - contraction);
        // Steps shrink by L each: so many bring any first step that is a number below rounding.
        let most = 2 + libm::ceil(-200.0 / libm::log(contraction.max(0.01))) as u64;
        let mut previous = f64::INFINITY;
        for iteration in 1..=most {
            self.net
                .linearise(b, &block.net, &self.x, &mut self.g)
                .map_err(InversionError::Compute)?;
            b.copy(y, &mut self.next)?;
            b.axpy(all.clone(), -1.0, &self.g, &mut self.next)?;
            norms(b, &self.g, &mut self.squares, of_g)?;
            norms(b, &self.next, &mut self.squares, of_x)?;
            // x ← next − x, the step, and then the two change places.
            let step = &mut self.x;
            b.axpy(all.clone(), -1.0, &self.next, step)?;
            norms(b, step, &mut self.squares, of_step)?;
            core::mem::swap(&mut self.x, &mut self.next);
            let sizes = of_y.iter().zip(&*of_g).zip(&*of_x);
            let sizes = sizes.map(|((&y, &g), &x)| larger(larger(y, g), x));
            let rows = of_step.iter().zip(sizes);
            let bounds = rows.map(|(step, size)| larger(factor * step, floor * size));
            let error = bounds.fold(0.0, larger);
            let stalled = !error.is_finite() || error >= previous;
            if error <= tolerance || stalled {
                b.copy(&self.x, y)?;
                return Ok((iteration, error));
            }
            previous = error;
        }
        b.copy(&self.x, y)?;
        Ok((most, previous))
    }
}

/// The larger of two numbers; NaN where one of them is.
fn larger(x: f64, y: f64) -> f64 {
    if x.is_nan() || x >= y { x } else { y }
}

/// out_r ← ‖x_r‖
fn norms<B: Backend>(
    b: &B,
    x: &B::Batch,
    squares: &mut B::Rows,
    out: &mut [f64],
) -> Result<(), B::Error> {
    b.fill_rows(0.0, squares)?;
    b.dot_rows(0..b.shape(x).rows, 1.0, x, x, squares)?;
    b.download_rows(squares, out)?;
    out.iter_mut().for_each(|x| *x = libm::sqrt(*x));
    Ok(())
}
