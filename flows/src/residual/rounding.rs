//! What rounding can do to log-determinants from explicit Jacobians.

use alloc::vec::Vec;

use detfree_core::{Activation, Affine, Backend, FlowBackend, Scalar};

use super::{Block, ResidualFlow, Tape};
use crate::transfer::download;

/// |computed σ − σ| in units of ε times what σ is bounded by, and |computed σ' − σ'| in units of
/// ε Lip(σ), with a margin.
const ACTIVATION: f64 = 16.0;

/// Up to which arguments sines are computed to full accuracy.
const SINE: f64 = 1e5;

/// What bounds of the rounding of every block's log-determinant need to know of its weights.
pub(super) struct Rounding {
    blocks: Vec<BlockNorms>,
}

struct BlockNorms {
    /// L ≥ ‖J‖
    contraction: f64,
    /// A bound of ‖|W_L| … |W₁|‖_F Π_l Lip(σ_l).
    absolute: f64,
    layers: Vec<LayerNorms>,
    activations: Vec<Activation>,
}

struct LayerNorms {
    inputs: f64,
    outputs: f64,
    /// A bound of ‖W‖.
    spectral: f64,
    /// ‖W‖_F
    frobenius: f64,
    /// A bound of the norm of |W|, the matrix of absolute values.
    absolute: f64,
    /// ‖b‖
    bias: f64,
}

impl Rounding {
    pub(super) fn new<B: FlowBackend>(b: &B, flow: &ResidualFlow<B>) -> Result<Self, B::Error> {
        let blocks = flow.blocks.iter().map(|block| BlockNorms::new(b, block));
        Ok(Self {
            blocks: blocks.collect::<Result<_, _>>()?,
        })
    }

    /// out_r ← a bound of the error of Σ_i log det(I + J_i) in row r of the tape's last run, with explicit
    /// Jacobians, at the inputs that the blocks have been given there.
    pub(super) fn of_rows<B: FlowBackend>(
        &self,
        b: &B,
        tape: &mut Tape<B>,
        out: &mut [f64],
    ) -> Result<(), B::Error> {
        let mut squares = alloc::vec![0.0; out.len()];
        out.fill(0.0);
        for (block, z) in self.blocks.iter().zip(&tape.z) {
            let shape = b.shape(z);
            b.fill_rows(0.0, &mut tape.log_det)?;
            b.dot_rows(0..shape.rows, 1.0, z, z, &mut tape.log_det)?;
            b.download_rows(&tape.log_det, &mut squares)?;
            let margin = 1.0 + (shape.dim + 2) as f64 * f64::EPSILON;
            for (out, square) in out.iter_mut().zip(&squares) {
                let input = libm::sqrt(*square) * margin;
                *out += block.bound(shape.dim as f64, input, B::Scalar::EPSILON);
            }
        }
        Ok(())
    }
}

impl BlockNorms {
    fn new<B: FlowBackend>(b: &B, block: &Block<B>) -> Result<Self, B::Error> {
        let mut layers = Vec::new();
        for (layer, bound) in block.net.layers.iter().zip(&block.bounds) {
            layers.push(LayerNorms::new(b, layer, bound.get())?);
        }
        // ‖X Y Z‖_F ≤ ‖X‖ ‖Y‖_F ‖Z‖, with the Frobenius norm where it costs least.
        let with_frobenius_of = |one: usize| -> f64 {
            let norms = layers.iter().enumerate();
            let norms = norms.map(|(l, layer)| {
                if l == one {
                    layer.frobenius
                } else {
                    layer.absolute
                }
            });
            norms.product()
        };
        let least = (0..layers.len()).map(with_frobenius_of);
        let least = least.fold(f64::INFINITY, f64::min);
        let slopes = block.net.activations.iter().map(|sigma| sigma.lipschitz());
        Ok(Self {
            contraction: block.contraction(),
            absolute: least * slopes.product::<f64>(),
            layers,
            activations: block.net.activations.clone(),
        })
    }

    /// A bound of the error of log det A, A = I + J, in a row whose ‖z‖ is `input`. With E what is wrong
    /// with the matrix whose factors are found, ‖A⁻¹‖ ≤ 1/(1 − L) and x = ‖E‖_F/(1 − L) < 1,
    ///
    /// |log det(A + E) − log det A| = |∫₀¹ tr((A + tE)⁻¹ E) dt| ≤ √D x/(1 − x),
    ///
    /// and E is the sum of what is wrong with J ([`Self::jacobian`]) and of an elimination without pivots,
    /// ‖E‖_F ≤ γ_D ‖|L| |U|‖_F ≤ γ_D D (‖T‖ + ‖S T⁻¹ S‖) with A's symmetric part T and its skew part S
    /// (Golub and Van Loan, "Unsymmetric positive definite linear systems", 1979), at most
    /// γ_D D (1 + L + L²/(1 − L)) here.
    fn bound(&self, dim: f64, input: f64, epsilon: f64) -> f64 {
        let jacobian = self.jacobian(input, epsilon);
        // Of the matrix that is eliminated.
        let contraction = self.contraction + jacobian;
        let left = 1.0 - contraction;
        if contraction.is_nan() || left <= 0.0 {
            return f64::INFINITY;
        }
        let growth = dim * (1.0 + contraction + contraction * contraction / left);
        // Twice γ_D = D u/(1 − D u), u = ε/2, for what is of second order.
        let elimination = dim * f64::EPSILON * growth;
        let x = (jacobian + elimination) / (1.0 - self.contraction);
        if x >= 1.0 {
            return f64::INFINITY;
        }
        // Pivots lie in [1 − L, 1/(1 − L)]: so do their logarithms, of which D are summed.
        let logarithms = dim * dim * f64::EPSILON * (1.0 - libm::log(left));
        libm::sqrt(dim) * x / (1.0 - x) + logarithms
    }

    /// A bound of ‖J̃ − J‖_F, with e_l = ‖computed h_l − h_l‖ for h_l = W_l z_{l−1} + b_l:
    ///
    /// - e_l ≤ ‖W_l‖ ‖z̃_{l−1} − z_{l−1}‖ + γ_{n+1} (‖|W_l|‖ ‖z̃_{l−1}‖ + ‖b_l‖), n the number of columns,
    ///   and behind σ it is Lip(σ) times that and what σ is computed with;
    /// - slopes σ'(h_l) are then off by a diagonal of ‖·‖_F ≤ Lip(σ') e_l, and J by at most
    ///   L (Π_l (1 + r_l) − 1) ≤ L Σ_l r_l Π_l (1 + r_l), r_l = Lip(σ') e_l/Lip(σ);
    /// - of the products, γ_k ‖|W_L| … |W₁|‖_F Π_l Lip(σ_l) (1 + r_l), k their lengths together and what slopes
    ///   are computed with.
    fn jacobian(&self, input: f64, epsilon: f64) -> f64 {
        if !input.is_finite() {
            return f64::INFINITY;
        }
        // ‖z‖ and ‖z̃ − z‖
        let (mut size, mut off) = (input, 0.0);
        let (mut sum, mut product) = (0.0, 1.0);
        let mut length: f64 = self.layers.iter().map(|layer| layer.outputs).sum();
        for (layer, &sigma) in self.layers.iter().zip(&self.activations) {
            let rounded = layer.absolute * (size + off) + layer.bias;
            let e = layer.spectral * off + gamma(layer.inputs + 1.0, epsilon) * rounded;
            let h = layer.spectral * size + layer.bias + e;
            if sigma == Activation::Sine && h > SINE {
                return f64::INFINITY;
            }
            let lipschitz = sigma.lipschitz();
            let r = slope_lipschitz(sigma) * e / lipschitz;
            sum += r;
            product *= 1.0 + r;
            let (at_zero, largest) = range(sigma);
            let root = libm::sqrt(layer.outputs);
            size = (lipschitz * h + root * at_zero).min(root * largest);
            off = lipschitz * e + ACTIVATION * epsilon * size;
            // A product with a slope is one rounding, and an ε is two.
            length += 2.0 * ACTIVATION + 1.0;
        }
        let products = gamma(length, epsilon) * self.absolute * product;
        self.contraction * sum * product + products
    }
}

impl LayerNorms {
    fn new<B: Backend>(b: &B, layer: &Affine<B::Batch>, spectral: f64) -> Result<Self, B::Error> {
        let shape = b.shape(&layer.weight);
        let weight = download(b, &layer.weight)?;
        let mut columns = alloc::vec![0.0; shape.dim];
        let mut widest_row = 0.0_f64;
        for row in weight.chunks_exact(shape.dim.max(1)) {
            let absolute = row.iter().map(|x| x.abs());
            widest_row = widest_row.max(absolute.clone().sum());
            columns
                .iter_mut()
                .zip(absolute)
                .for_each(|(sum, x)| *sum += x);
        }
        let widest_column = columns.into_iter().fold(0.0, f64::max);
        let frobenius = norm(&weight);
        Ok(Self {
            inputs: shape.dim as f64,
            outputs: shape.rows as f64,
            spectral,
            frobenius,
            // ‖X‖² ≤ ‖X‖₁ ‖X‖_∞
            absolute: libm::sqrt(widest_row * widest_column).min(frobenius),
            bias: norm(&download(b, &layer.bias)?),
        })
    }
}

/// γ_n = n u/(1 − n u), u = ε/2: what n roundings are off by, relatively; infinite where that says nothing.
fn gamma(n: f64, epsilon: f64) -> f64 {
    let x = 0.5 * n * epsilon;
    if x < 1.0 {
        x / (1.0 - x)
    } else {
        f64::INFINITY
    }
}

/// A bound of |σ''|.
const fn slope_lipschitz(sigma: Activation) -> f64 {
    /// The largest |tanh''| is 4/√27.
    const TANH: f64 = 0.769_801;
    match sigma {
        Activation::Identity => 0.0,
        Activation::LeakySoftplus { alpha } => 0.25 * (1.0 - alpha),
        Activation::TanhLinear { alpha, .. } => alpha * alpha * TANH,
        Activation::Tanh => TANH,
        Activation::Elu | Activation::Sine => 1.0,
        // β p q (2 − t tanh(t/2))/1.1, t = βx, has its maximum at 0.
        Activation::LipSwish { beta } => beta * 0.454_546,
    }
}

/// |σ(0)|, and a bound of |σ|.
const fn range(sigma: Activation) -> (f64, f64) {
    match sigma {
        Activation::Sine | Activation::Tanh => (0.0, 1.0),
        Activation::LeakySoftplus { alpha } => {
            ((1.0 - alpha) * core::f64::consts::LN_2, f64::INFINITY)
        }
        Activation::Identity
        | Activation::TanhLinear { .. }
        | Activation::Elu
        | Activation::LipSwish { .. } => (0.0, f64::INFINITY),
    }
}

fn norm(x: &[f64]) -> f64 {
    libm::sqrt(x.iter().map(|x| x * x).sum())
}
