//! An operator that any backend can run: its products are taken on the host.

use std::ops::Range;

use detfree_core::{Backend, BilinearGradient, FirstTrace, Operator, Shape};

use crate::Plain;
use crate::operands::{download, store};

/// J_r = a_r W, another one in every row.
///
/// A mix-up of rows is seen in the results, and a backend without products with weights can still
/// be asked to run a series.
#[derive(Clone, Debug)]
pub(crate) struct Jacobians {
    pub(crate) weight: Plain,
    pub(crate) factors: Vec<f64>,
}

impl Jacobians {
    /// J_r
    pub(crate) fn of_row(&self, r: usize) -> Plain {
        self.weight.scaled(self.factors[r])
    }

    /// log det(I + J_r), and its gradient with respect to W, a_r (I + J_r)⁻ᵀ.
    pub(crate) fn exact(&self, r: usize) -> (f64, Plain) {
        let dim = self.weight.shape().dim;
        let (_, log_det, inverse) = Plain::identity(dim).plus(1.0, &self.of_row(r)).invert();
        (log_det, inverse.t().scaled(self.factors[r]))
    }

    fn product<B: Backend>(
        &self,
        b: &B,
        rows: Range<usize>,
        right: &Plain,
        x: &B::Batch,
        out: &mut B::Batch,
    ) -> Result<(), B::Error> {
        let x = download(b, x)?;
        let after = download(b, out)?.with_rows(&rows, |r, c| {
            let terms = x.row(r).iter().enumerate();
            self.factors[r] * terms.map(|(k, x)| x * right.at(k, c)).sum::<f64>()
        });
        store(b, &after, out)
    }
}

impl<B: Backend> Operator<B> for Jacobians {
    fn shape(&self, _: &B) -> Shape {
        Shape::new(self.factors.len(), self.weight.shape().dim)
    }

    fn jvp(
        &mut self,
        b: &B,
        rows: Range<usize>,
        v: &B::Batch,
        out: &mut B::Batch,
    ) -> Result<(), B::Error> {
        self.product(b, rows, &self.weight.t(), v, out)
    }

    fn vjp(
        &mut self,
        b: &B,
        rows: Range<usize>,
        w: &B::Batch,
        out: &mut B::Batch,
    ) -> Result<(), B::Error> {
        self.product(b, rows, &self.weight, w, out)
    }
}

/// ∂ Σ_r s_rᵀ a_r W v_r/∂W = Σ_r a_r s_r v_rᵀ
impl<B: Backend> BilinearGradient<B> for Jacobians {
    type Gradient = Plain;

    fn accumulate(
        &mut self,
        b: &B,
        s: &B::Batch,
        v: &B::Batch,
        gradient: &mut Plain,
    ) -> Result<(), B::Error> {
        let (s, v) = (download(b, s)?, download(b, v)?);
        let scaled = Plain::new(s.shape().rows, s.shape().dim, |r, c| {
            self.factors[r] * s.at(r, c)
        });
        *gradient = gradient.plus(1.0, &scaled.t().times(&v));
        Ok(())
    }
}

impl<B: Backend> FirstTrace<B> for Jacobians {
    fn trace(&mut self, b: &B, a: f64, out: &mut B::Rows) -> Result<(), B::Error> {
        let trace = a * self.weight.trace();
        let traces: Vec<f64> = self.factors.iter().map(|factor| factor * trace).collect();
        b.upload_rows(&traces, out)
    }

    /// ∂ Σ_r c_r a_r tr W/∂W = Σ_r c_r a_r I
    fn accumulate_trace(
        &mut self,
        b: &B,
        weights: Option<&B::Rows>,
        gradient: &mut Plain,
    ) -> Result<(), B::Error> {
        let mut c = vec![1.0; self.factors.len()];
        if let Some(weights) = weights {
            b.download_rows(weights, &mut c)?;
        }
        let sum = c.iter().zip(&self.factors).map(|(c, a)| c * a).sum();
        *gradient = gradient.plus(sum, &Plain::identity(self.weight.shape().dim));
        Ok(())
    }
}
