//! Stochastic traces: probe laws with Σ_pass E[v vᵀ] = I.

use core::fmt;

use crate::{Backend, Draw, Error, Fill, Key, Operator, Work, Workspace};

/// The law of a probe vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Independent random signs: the least variance among laws with independent entries.
    Rademacher,
    /// Independent standard normals.
    Gaussian,
    /// One vector of random signs, times another row of the Walsh–Hadamard matrix in every pass, drawn
    /// without replacement: the passes of a row are orthogonal when the dimension is a power of two not below
    /// their number. With n the dimension or the next power of two, m ≤ n passes have
    /// (n − m)/(n − 1) of the variance of m independent sign vectors, whatever J couples; behind n they repeat.
    Orthogonal,
    /// The unit vectors, one a pass: exact.
    Basis,
}

impl Probe {
    /// The name of the law: `rademacher`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rademacher => "rademacher",
            Self::Gaussian => "gaussian",
            Self::Orthogonal => "orthogonal",
            Self::Basis => "basis",
        }
    }
}

/// tr A = Σ_pass E[vᵀ A v] for every A: Hutchinson's estimator with a probe law and a number of
/// passes, each scaled so that Σ_pass E[v vᵀ] = I.
///
/// ```
/// use detfree_core::{Probe, TraceEstimator};
/// let four = TraceEstimator::new(Probe::Rademacher, 4);
/// assert_eq!((four.passes(100), &*four.to_string()), (4, "4 rademacher probes"));
/// assert_eq!(TraceEstimator::new(Probe::Basis, 1).passes(100), 100);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceEstimator {
    probe: Probe,
    passes: u32,
}

impl TraceEstimator {
    /// `passes` probes a row (at least one; [`Probe::Basis`] always takes as many as dimensions).
    #[must_use]
    pub fn new(probe: Probe, passes: u32) -> Self {
        Self {
            probe,
            passes: passes.max(1),
        }
    }

    /// The number of passes in `dim` dimensions.
    #[must_use]
    pub fn passes(&self, dim: usize) -> u32 {
        match self.probe {
            Probe::Basis => u32::try_from(dim).unwrap_or(u32::MAX),
            _ => self.passes,
        }
    }

    /// What to fill the probe with in pass number `pass`, in `dim` dimensions.
    #[must_use]
    pub fn fill(&self, draw: &Draw, pass: u32, dim: usize) -> Fill {
        let first_row = draw.first_row;
        let scale = 1.0 / libm::sqrt(f64::from(self.passes));
        match self.probe {
            Probe::Rademacher => Fill::Rademacher {
                key: draw.probe(pass),
                first_row,
                scale,
            },
            Probe::Gaussian => Fill::Gaussian {
                key: draw.probe(pass),
                first_row,
                scale,
            },
            Probe::Orthogonal => Fill::Walsh {
                key: draw.probe(0),
                first_row,
                index: walsh_row(draw.probe(1), pass, dim),
                scale,
            },
            Probe::Basis => Fill::Basis(pass as usize),
        }
    }

    /// out_r ← Σ_pass vᵀ J_r v, unbiased for tr J_r (exact with [`Probe::Basis`]).
    ///
    /// # Errors
    /// [`Error::Shape`] where the workspace or `out` does not fit the operator; the device's.
    pub fn trace<B: Backend, O: Operator<B>>(
        &self,
        b: &B,
        op: &mut O,
        draw: &Draw,
        workspace: &mut Workspace<B>,
        out: &mut B::Rows,
    ) -> Result<Work, Error<B::Error>> {
        let shape = op.shape(b);
        workspace.check(b, shape)?;
        Error::check_rows("the output", shape.rows, b.row_count(out))?;
        b.fill_rows(0.0, out)?;
        let Workspace { probe, next, .. } = workspace;
        let all = 0..shape.rows;
        for pass in 0..self.passes(shape.dim) {
            b.fill(self.fill(draw, pass, shape.dim), probe)?;
            op.vjp(b, all.clone(), probe, next)?;
            b.dot_rows(all.clone(), 1.0, next, probe, out)?;
        }
        let products = u64::from(self.passes(shape.dim)) * shape.rows as u64;
        Ok(Work { products })
    }
}

/// How many probes a row, and of which law: `1 rademacher probe`.
impl fmt::Display for TraceEstimator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let law = self.probe.name();
        match (self.probe, self.passes) {
            (Probe::Basis, _) => write!(f, "{law} probes"),
            (_, 1) => write!(f, "1 {law} probe"),
            (_, passes) => write!(f, "{passes} {law} probes"),
        }
    }
}

/// The row of the Walsh–Hadamard matrix for pass number `pass`: the image of its bits under a random invertible
/// linear map of {0, 1}ᵇ, 2ᵇ ≥ `dim`.
///
/// What two passes share is the product of their rows, which is the row of the exclusive or of their numbers. That
/// of two passes of such a map is uniform over all rows but the first, as it is of rows drawn without replacement,
/// and variances hang on pairs alone. In natural order it would be a fixed one, and coordinates that it does not
/// tell apart stay coupled in both.
fn walsh_row(key: Key, pass: u32, dim: usize) -> u32 {
    let bits = dim.next_power_of_two().trailing_zeros().min(u32::BITS - 1);
    let pass = pass & ((1 << bits) - 1);
    let (mut row, mut span, mut draws) = (0, Span::default(), 0..);
    for bit in 0..u32::BITS - pass.leading_zeros() {
        let mut columns = draws
            .by_ref()
            .map(|draw: u64| key.below(draw, 1 << bits) as u32);
        let column = columns.find(|&column| span.takes(column));
        if pass >> bit & 1 == 1 {
            row ^= column.unwrap_or_default();
        }
    }
    row
}

/// Linearly independent vectors of bits: at each place one whose highest bit is there, or 0.
#[derive(Default)]
struct Span([u32; 32]);

impl Span {
    /// Takes what does not lie in the span of what it has.
    fn takes(&mut self, mut vector: u32) -> bool {
        while let Some(place) = vector.checked_ilog2() {
            match self.0.get_mut(place as usize) {
                Some(taken) if *taken != 0 => vector ^= *taken,
                Some(free) => {
                    *free = vector;
                    return true;
                }
                None => return false,
            }
        }
        false
    }
}
