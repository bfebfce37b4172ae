//! log det(I + J) and its gradient from explicit Jacobians: exact, at D products a row.

use alloc::vec::Vec;

use detfree_core::{
    Allocate, Backend, BilinearGradient, DenseBackend, Error, Fill, Operator, Scalar, Shape, Work,
};

/// The memory in which the Jacobians of a batch are made explicit.
///
/// Row i of J_r is J_rᵀ e_i: one vjp for each dimension, whatever the number of rows. The
/// determinants are taken on the host, in double precision.
pub(super) struct Explicit<B: Backend> {
    /// e_i in every row, then s.
    basis: B::Batch,
    product: B::Batch,
    staging: Vec<B::Scalar>,
    /// I + J_r, row-major, one after the other; then their factors L U; then (I + J_r)⁻¹.
    matrices: Vec<f64>,
    /// One of the last, where a gradient asks for them.
    inverse: Vec<f64>,
    log_det: Vec<f64>,
    weights: Vec<f64>,
}

impl<B: Allocate> Explicit<B> {
    pub(super) fn new(b: &B, shape: Shape) -> Result<Self, B::Error> {
        let Shape { rows, dim } = shape;
        Ok(Self {
            basis: b.batch(shape)?,
            product: b.batch(shape)?,
            staging: alloc::vec![B::Scalar::default(); rows * dim],
            matrices: alloc::vec![0.0; rows * dim * dim],
            inverse: Vec::new(),
            log_det: alloc::vec![0.0; rows],
            weights: alloc::vec![1.0; rows],
        })
    }
}

impl<B: DenseBackend> Explicit<B> {
    /// out_r ← log det(I + J_r)
    pub(super) fn value<O: Operator<B>>(
        &mut self,
        b: &B,
        op: &mut O,
        out: &mut B::Rows,
    ) -> Result<Work, Error<B::Error>> {
        let work = self.form(b, op)?;
        self.log_dets(b, out)?;
        Ok(work)
    }

    /// The same, and gradient ← gradient + Σ_r c_r ∂ log det(I + J_r): with s_i = (I + J)⁻ᵀ e_i,
    /// tr((I + J)⁻¹ ∂J) = Σ_i s_iᵀ ∂J e_i.
    pub(super) fn value_and_gradient<O: BilinearGradient<B>>(
        &mut self,
        b: &B,
        op: &mut O,
        weights: Option<&B::Rows>,
        out: &mut B::Rows,
        gradient: &mut O::Gradient,
    ) -> Result<Work, Error<B::Error>> {
        let work = self.value(b, op, out)?;
        if let Some(weights) = weights {
            b.download_rows(weights, &mut self.weights)?;
        } else {
            self.weights.fill(1.0);
        }
        let Shape { dim, .. } = b.shape(&self.product);
        self.inverse.resize(dim * dim, 0.0);
        for matrix in self.matrices.chunks_exact_mut((dim * dim).max(1)) {
            invert(matrix, dim, &mut self.inverse);
            matrix.copy_from_slice(&self.inverse);
        }
        for i in 0..dim {
            let rows = self.matrices.chunks_exact((dim * dim).max(1));
            let staged = self.staging.chunks_exact_mut(dim.max(1));
            for ((to, inverse), &c) in staged.zip(rows).zip(&self.weights) {
                for (to, &from) in to.iter_mut().zip(inverse.iter().skip(i * dim)) {
                    *to = Scalar::from_f64(c * from);
                }
            }
            b.upload(&self.staging, &mut self.product)?;
            b.fill(Fill::Basis(i), &mut self.basis)?;
            op.accumulate(b, &self.product, &self.basis, gradient)?;
        }
        op.finish(b, gradient)?;
        Ok(work)
    }

    /// I + J_r of every row.
    fn form<O: Operator<B>>(&mut self, b: &B, op: &mut O) -> Result<Work, B::Error> {
        let Shape { rows, dim } = b.shape(&self.product);
        for i in 0..dim {
            b.fill(Fill::Basis(i), &mut self.basis)?;
            op.vjp(b, 0..rows, &self.basis, &mut self.product)?;
            b.download(&self.product, &mut self.staging)?;
            let matrices = self.matrices.chunks_exact_mut((dim * dim).max(1));
            for (matrix, from) in matrices.zip(self.staging.chunks_exact(dim.max(1))) {
                let to = matrix.iter_mut().skip(i * dim);
                for (j, (to, from)) in to.zip(from).enumerate() {
                    *to = from.to_f64() + if i == j { 1.0 } else { 0.0 };
                }
            }
        }
        Ok(Work {
            products: rows as u64 * dim as u64,
        })
    }

    fn log_dets(&mut self, b: &B, out: &mut B::Rows) -> Result<(), B::Error> {
        let dim = b.shape(&self.product).dim;
        let matrices = self.matrices.chunks_exact_mut((dim * dim).max(1));
        for (log_det, matrix) in self.log_det.iter_mut().zip(matrices) {
            *log_det = factorise(matrix, dim);
        }
        b.upload_rows(&self.log_det, out)
    }
}

/// A ← L and U of A = L U, the unit diagonal of L left out; log det A.
///
/// Elimination without pivots, which a contraction's I + J does not need: its symmetric part is positive
/// definite, and so is that of every matrix on the way. NaN where numbers are not finite.
fn factorise(a: &mut [f64], n: usize) -> f64 {
    let mut log = 0.0;
    for k in 0..n {
        let Some((above, below)) = a.split_at_mut_checked((k + 1) * n) else {
            return f64::NAN;
        };
        let Some([pivot, u @ ..]) = above.get(k * n + k..) else {
            return f64::NAN;
        };
        log += libm::log(*pivot);
        for row in below.chunks_exact_mut(n) {
            let Some([first, rest @ ..]) = row.get_mut(k..) else {
                continue;
            };
            *first /= *pivot;
            for (x, u) in rest.iter_mut().zip(u) {
                *x -= *first * u;
            }
        }
    }
    log
}

/// inverse ← A⁻¹ from [`factorise`]'s L and U: L Y = I from the first row down, U X = Y from the last up.
fn invert(factors: &[f64], n: usize, inverse: &mut [f64]) {
    inverse.fill(0.0);
    let row = |i: usize| factors.get(i * n..(i + 1) * n).unwrap_or_default();
    for i in 0..n {
        let Some((done, rest)) = inverse.split_at_mut_checked(i * n) else {
            return;
        };
        let Some(x) = rest.get_mut(..n) else { return };
        if let Some(diagonal) = x.get_mut(i) {
            *diagonal = 1.0;
        }
        for (&l, done) in row(i).iter().zip(done.chunks_exact(n)) {
            x.iter_mut().zip(done).for_each(|(x, y)| *x -= l * y);
        }
    }
    for i in (0..n).rev() {
        let Some((rest, done)) = inverse.split_at_mut_checked((i + 1) * n) else {
            return;
        };
        let Some(x) = rest.get_mut(i * n..) else {
            return;
        };
        let Some([pivot, u @ ..]) = row(i).get(i..) else {
            return;
        };
        for (&u, done) in u.iter().zip(done.chunks_exact(n)) {
            x.iter_mut().zip(done).for_each(|(x, y)| *x -= u * y);
        }
        x.iter_mut().for_each(|x| *x /= pivot);
    }
}
