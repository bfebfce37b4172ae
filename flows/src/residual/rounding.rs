//! What rounding can do to log-determinants from explicit Jacobians.

use detfree_core::{Backend, FlowBackend, Scalar};

use super::{Block, ResidualFlow};

/// |computed σ' − σ'| in units of ε Lip(σ), with a margin.
const ACTIVATION: f64 = 16.0;

impl<B: FlowBackend> ResidualFlow<B> {
    /// A bound, for every row, of the error of Σ_i log det(I + J_i) from explicit Jacobians, at the
    /// inputs that the blocks have been given; those are rounded as in any net.
    ///
    /// # Errors
    /// The device's.
    pub(super) fn rounding(&self, b: &B) -> Result<f64, B::Error> {
        let mut bound = 0.0;
        for block in &self.blocks {
            bound += block.rounding(b, self.dim)?;
        }
        Ok(bound)
    }
}

impl<B: FlowBackend> Block<B> {
    /// With E the sum of two errors, |log det(A + E) − log det A| ≤ D x/(1 − x), x = ‖E‖ ‖A⁻¹‖ and
    /// ‖A⁻¹‖ ≤ 1/(1 − L) for A = I + J:
    ///
    /// - of the products, ‖J̃ − J‖ ≤ γ_k Π_l ‖W_l‖_F Π_l Lip(σ_l), k their lengths together and what
    ///   activations are off by;
    /// - of the elimination without pivots, ‖E‖_F ≤ γ_D ‖ |L| |U| ‖_F ≤ γ_D D (‖T‖ + ‖S T⁻¹ S‖) with
    ///   A's symmetric part T and its skew part S (Golub and Van Loan, "Unsymmetric positive definite
    ///   linear systems", 1979), at most γ_D D (1 + L + L²/(1 − L)) here.
    fn rounding(&self, b: &B, dim: usize) -> Result<f64, B::Error> {
        let contraction = self.bound();
        let (mut frobenius, mut length) = (1.0, 0.0);
        for layer in &self.net.layers {
            let shape = b.shape(&layer.weight);
            frobenius *= frobenius_norm(b, &layer.weight)?;
            length += shape.dim as f64;
        }
        for sigma in &self.net.activations {
            frobenius *= sigma.lipschitz();
            length += ACTIVATION;
        }
        let (dim, left) = (dim as f64, 1.0 - contraction);
        let growth = dim * (1.0 + contraction + contraction * contraction / left);
        // γ_k = k u/(1 − k u) with u = ε/2: twice that, for what is of second order.
        let products = length * B::Scalar::EPSILON * frobenius;
        let elimination = dim * f64::EPSILON * growth;
        let x = (products + elimination) / left;
        let bound = if x < 1.0 {
            dim * x / (1.0 - x)
        } else {
            f64::INFINITY
        };
        // D logarithms and their sum, each below log(1 + L) and log(1 − L) in magnitude.
        Ok(bound + dim * dim * f64::EPSILON * (1.0 - libm::log(left)))
    }
}

fn frobenius_norm<B: Backend>(b: &B, x: &B::Batch) -> Result<f64, B::Error> {
    let shape = b.shape(x);
    let mut host = alloc::vec![B::Scalar::default(); shape.rows * shape.dim];
    b.download(x, &mut host)?;
    let squares = host.iter().map(|x| x.to_f64() * x.to_f64());
    Ok(libm::sqrt(squares.sum()))
}
