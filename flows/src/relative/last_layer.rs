//! The last layer's best weights in closed form.

use alloc::vec::Vec;

use detfree_core::{
    Affine, Allocate, Backend, BaseDensity, Error, FlowBackend, Scalar, Shape, Store,
};

use super::{FlowTape, RelativeFlow};
use crate::cholesky::{factorise, solve_rows, transposed};
use crate::transfer::{download, upload};

/// Mean and covariance of a flow's outputs z_L.
///
/// With a standard normal base the likelihood of rows is greatest over the last layer's W and b, all else
/// held fixed, where the outputs have mean 0 and covariance I:
///
/// W ← L⁻¹ W, b ← L⁻¹ (b − m), for outputs of mean m and covariance L Lᵀ.
///
/// That raises the mean log-likelihood of those rows by (tr C + ‖m‖² − D − log det C)/2 ≥ 0. Steps alone
/// can leave much of it: they cannot cross a singular matrix, where log|det W| is −∞, and a direction that
/// starts on the wrong side of one ends there, with outputs next to none apart. Such a flow gives fair
/// densities, and samples that are none.
pub(super) struct LastLayer<B: Backend> {
    /// −(the mean of the first rows), so that little cancels in what is summed. [1, D]
    shift: B::Batch,
    single: B::Batch,
    square: B::Batch,
    host: Vec<B::Scalar>,
    /// Σ_r (z_r + shift)
    sum: Vec<f64>,
    /// Σ_r (z_r + shift)(z_r + shift)ᵀ, in double precision over the batches.
    products: Vec<f64>,
    count: f64,
}

impl<B: FlowBackend + Allocate> LastLayer<B> {
    /// For a flow of `dim` dimensions; `None` where there is no closed form.
    pub(super) fn of(b: &B, flow: &RelativeFlow<B>, dim: usize) -> Result<Option<Self>, B::Error> {
        if flow.base() != BaseDensity::Normal || flow.depth() == 0 {
            return Ok(None);
        }
        Ok(Some(Self {
            shift: b.batch(Shape::new(1, dim))?,
            single: b.batch(Shape::new(1, dim))?,
            square: b.batch(Shape::new(dim, dim))?,
            host: Vec::new(),
            sum: alloc::vec![0.0; dim],
            products: alloc::vec![0.0; dim * dim],
            count: 0.0,
        }))
    }

    /// Adds the outputs for row-major `rows`, as many as `tape` takes.
    pub(super) fn add(
        &mut self,
        b: &B,
        flow: &RelativeFlow<B>,
        tape: &mut FlowTape<B>,
        rows: &[B::Scalar],
    ) -> Result<(), Error<B::Error>> {
        let count = b.shape(&tape.input).rows;
        tape.forward_to_base(b, flow, rows, &mut alloc::vec![0.0; count])?;
        let outputs = tape.outputs_mut();
        let set = Store::Set;
        if self.count == 0.0 {
            b.sum_rows(0..count, -1.0 / count as f64, outputs, set, &mut self.shift)?;
        }
        b.add_bias(&self.shift, outputs)?;
        b.sum_rows(0..count, 1.0, outputs, set, &mut self.single)?;
        b.outer(0..count, 1.0, outputs, outputs, set, &mut self.square)?;
        add(b, &self.single, &mut self.host, &mut self.sum)?;
        add(b, &self.square, &mut self.host, &mut self.products)?;
        self.count += count as f64;
        Ok(())
    }

    /// The best one for `layer`, of which those added are the outputs; `None` where they lie in a plane,
    /// as they do where they are fewer than dimensions.
    pub(super) fn best(
        mut self,
        b: &B,
        layer: &Affine<B::Batch>,
    ) -> Result<Option<Affine<B::Batch>>, B::Error> {
        let dim = self.sum.len();
        let mut mean = self.sum;
        for mean in &mut mean {
            *mean /= self.count;
        }
        for (row, x) in self.products.chunks_exact_mut(dim.max(1)).zip(&mean) {
            for (c, y) in row.iter_mut().zip(&mean) {
                *c = *c / self.count - x * y;
            }
        }
        // A share that the rounding of sums leaves of nothing.
        let least_share = B::Scalar::EPSILON.to_f64();
        if factorise(&mut self.products, dim, least_share).is_some() {
            return Ok(None);
        }
        let mut bias = download(b, &layer.bias)?;
        let shift = download(b, &self.shift)?;
        for ((bias, shift), mean) in bias.iter_mut().zip(shift).zip(mean) {
            *bias += shift - mean;
        }
        let mut columns = transposed(&download(b, &layer.weight)?, dim);
        solve_rows(&self.products, dim, &mut columns);
        solve_rows(&self.products, dim, &mut bias);
        let weight = transposed(&columns, dim);
        Ok(Some(Affine {
            weight: upload(b, &weight, Shape::new(dim, dim))?,
            bias: upload(b, &bias, Shape::new(1, dim))?,
        }))
    }
}

/// sum ← sum + x
fn add<B: FlowBackend>(
    b: &B,
    x: &B::Batch,
    host: &mut Vec<B::Scalar>,
    sum: &mut [f64],
) -> Result<(), B::Error> {
    host.resize(sum.len(), Scalar::from_f64(0.0));
    b.download(x, host)?;
    for (sum, x) in sum.iter_mut().zip(host) {
        *sum += x.to_f64();
    }
    Ok(())
}
