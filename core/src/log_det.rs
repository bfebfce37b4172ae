//! Unbiased log det(I + J) and its gradient: a draw, then the deterministic series.

use crate::{
    Backend, BilinearGradient, Draw, Error, FirstTerm, FirstTrace, Operator, RouletteSchedule,
    Series, Terms, TraceEstimator, Work, Workspace,
};

/// The estimator of log det(I + J_r) for every row r of an operator with ‖J_r‖ < 1.
///
/// Unbiased with every schedule but a truncated one: E\[X_r\] = log det(I + J_r), and the gradient's
/// expectation is Σ_r c_r ∂ log det(I + J_r) (Residual Flows, theorems 1 and 2). The roulette is
/// stratified over the rows ([`Terms::Stratified`]). The exponential of an estimate is *not* an
/// unbiased estimate of the determinant.
///
/// ```
/// use detfree_core::*;
/// type Host = reference::Arrays<f64, 4, 2>;
/// let b = Host::new();
/// let batch = |x| Dense::new(Shape::new(2, 2), x).unwrap();
/// let weight = batch([0.3, 0.2, -0.1, 0.4]);
/// let mut op = Matrix::new(&b, weight, 2).unwrap();
/// let mut workspace = Workspace::new(&b, [(); 4].map(|()| batch([0.0; 4]))).unwrap();
/// let mut out = Dense::new(Shape::new(2, 1), [0.0; 2]).unwrap();
/// let log_det = LogDet {
///     schedule: RouletteSchedule::truncated(60).unwrap(),
///     trace: TraceEstimator::new(Probe::Basis, 1), // exact probes
/// };
/// log_det.value(&b, &mut op, &Draw::new(Key::new(1)), &mut workspace, &mut out).unwrap();
/// assert!((out.as_slice()[0] - (1.3_f64 * 1.4 + 0.1 * 0.2).ln()).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogDet {
    /// How many terms.
    pub schedule: RouletteSchedule,
    /// Which probes, and how many.
    pub trace: TraceEstimator,
}

impl LogDet {
    /// The same estimator with the first term of the series, tr J, taken in closed form.
    #[must_use]
    pub const fn with_exact_first(self) -> ExactFirst {
        ExactFirst {
            log_det: self,
            control: 0.0,
        }
    }

    /// out_r ← an unbiased estimate of log det(I + J_r).
    ///
    /// # Errors
    /// [`Error::Shape`] where workspace or output do not fit the operator; the device's.
    pub fn value<B: Backend, O: Operator<B>>(
        &self,
        b: &B,
        op: &mut O,
        draw: &Draw,
        workspace: &mut Workspace<B>,
        out: &mut B::Rows,
    ) -> Result<Work, Error<B::Error>> {
        b.fill_rows(0.0, out)?;
        self.add_value(b, op, draw, FirstTerm::Probed, workspace, out)
    }

    /// gradient ← gradient + an unbiased estimate of Σ_r c_r ∂ log det(I + J_r)/∂(θ, x); without
    /// `weights` every c_r is 1.
    ///
    /// # Errors
    /// [`Error::Shape`] where workspace or weights do not fit the operator; the device's.
    pub fn gradient<B: Backend, O: BilinearGradient<B>>(
        &self,
        b: &B,
        op: &mut O,
        draw: &Draw,
        weights: Option<&B::Rows>,
        workspace: &mut Workspace<B>,
        gradient: &mut O::Gradient,
    ) -> Result<Work, Error<B::Error>> {
        let work = self.add_gradient(
            b,
            op,
            draw,
            FirstTerm::Probed,
            weights,
            workspace,
            None,
            gradient,
        )?;
        op.finish(b, gradient)?;
        Ok(work)
    }

    /// Both from one run of the series: out_r ← the value, gradient ← gradient + its gradient.
    ///
    /// # Errors
    /// [`Error::Shape`] where workspace, weights or output do not fit the operator; the device's.
    #[expect(
        clippy::too_many_arguments,
        reason = "two results, each with its buffers"
    )]
    pub fn value_and_gradient<B: Backend, O: BilinearGradient<B>>(
        &self,
        b: &B,
        op: &mut O,
        draw: &Draw,
        weights: Option<&B::Rows>,
        workspace: &mut Workspace<B>,
        out: &mut B::Rows,
        gradient: &mut O::Gradient,
    ) -> Result<Work, Error<B::Error>> {
        b.fill_rows(0.0, out)?;
        let value = Some(out);
        let work = self.add_gradient(
            b,
            op,
            draw,
            FirstTerm::Probed,
            weights,
            workspace,
            value,
            gradient,
        )?;
        op.finish(b, gradient)?;
        Ok(work)
    }

    fn add_value<B: Backend, O: Operator<B>>(
        &self,
        b: &B,
        op: &mut O,
        draw: &Draw,
        first: FirstTerm,
        workspace: &mut Workspace<B>,
        out: &mut B::Rows,
    ) -> Result<Work, Error<B::Error>> {
        let shape = op.shape(b);
        let mut work = Work::default();
        for pass in 0..self.trace.passes(shape.dim) {
            b.fill(self.trace.fill(draw, pass, shape.dim), &mut workspace.probe)?;
            let terms = Terms::stratified(draw.roulette(pass), shape.rows);
            work += self.series(first).value(b, op, terms, workspace, out)?;
        }
        Ok(work)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "two results, each with its buffers"
    )]
    fn add_gradient<B: Backend, O: BilinearGradient<B>>(
        &self,
        b: &B,
        op: &mut O,
        draw: &Draw,
        first: FirstTerm,
        weights: Option<&B::Rows>,
        workspace: &mut Workspace<B>,
        mut value: Option<&mut B::Rows>,
        gradient: &mut O::Gradient,
    ) -> Result<Work, Error<B::Error>> {
        let shape = op.shape(b);
        if let Some(weights) = weights {
            Error::check_rows("the batch of row weights", shape.rows, b.row_count(weights))?;
        }
        let series = self.series(first);
        let mut work = Work::default();
        for pass in 0..self.trace.passes(shape.dim) {
            b.fill(self.trace.fill(draw, pass, shape.dim), &mut workspace.probe)?;
            let terms = Terms::stratified(draw.roulette(pass), shape.rows);
            work += match &mut value {
                Some(out) => series.value_and_sum(b, op, terms, workspace, out)?,
                None => series.sum(b, op, terms, workspace)?,
            };
            if let Some(weights) = weights {
                b.scale_rows(weights, &mut workspace.sum)?;
            }
            op.accumulate(b, &workspace.sum, &workspace.probe, gradient)?;
        }
        Ok(work)
    }

    const fn series(&self, first: FirstTerm) -> Series {
        Series {
            schedule: self.schedule,
            first,
        }
    }
}

/// [`LogDet`] with tr J in closed form (ours): the largest term needs no probe and has no noise.
///
/// log det(I+J) = tr J + Σ_{k≥2} (−1)^{k+1}/k tr Jᵏ, and ∂ log det(I+J) = ∂ tr J + Σ_{k≥1} (−1)ᵏ tr(Jᵏ ∂J),
/// the sums by the series of the estimator. Exactly unbiased.
///
/// The first product of the series, Jᵀv, is then free to be a control variate of the value's noise:
/// with any constant c that does not depend on the probes, tr J + c (⟨Jᵀv, v⟩ − tr J) has the same expectation
/// as tr J. The noise of what is left is −½ vᵀJ²v and more, which goes with ⟨Jᵀv, v⟩: the best c is
/// −Cov(X, A)/Var(A), of the value X without control and A = ⟨Jᵀv, v⟩ − tr J.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExactFirst {
    log_det: LogDet,
    control: f64,
}

impl ExactFirst {
    /// The same estimator with the weight c of its control variate, which is 0 at first. Only values
    /// depend on it, gradients do not. With c = 1 tr J is estimated as every other term is.
    #[must_use]
    pub const fn with_control(self, c: f64) -> Self {
        Self { control: c, ..self }
    }

    const fn first(&self) -> FirstTerm {
        FirstTerm::Known {
            control: self.control,
        }
    }

    /// out_r ← an unbiased estimate of log det(I + J_r).
    ///
    /// # Errors
    /// As [`LogDet::value`].
    pub fn value<B: Backend, O: FirstTrace<B>>(
        &self,
        b: &B,
        op: &mut O,
        draw: &Draw,
        workspace: &mut Workspace<B>,
        out: &mut B::Rows,
    ) -> Result<Work, Error<B::Error>> {
        Error::check_rows("the output", op.shape(b).rows, b.row_count(out))?;
        op.trace(b, 1.0 - self.control, out)?;
        self.log_det
            .add_value(b, op, draw, self.first(), workspace, out)
    }

    /// gradient ← gradient + an unbiased estimate of Σ_r c_r ∂ log det(I + J_r)/∂(θ, x).
    ///
    /// # Errors
    /// As [`LogDet::gradient`].
    pub fn gradient<B: Backend, O: FirstTrace<B>>(
        &self,
        b: &B,
        op: &mut O,
        draw: &Draw,
        weights: Option<&B::Rows>,
        workspace: &mut Workspace<B>,
        gradient: &mut O::Gradient,
    ) -> Result<Work, Error<B::Error>> {
        let first = self.first();
        let work = self
            .log_det
            .add_gradient(b, op, draw, first, weights, workspace, None, gradient)?;
        op.accumulate_trace(b, weights, gradient)?;
        op.finish(b, gradient)?;
        Ok(work)
    }

    /// Both from one run of the series.
    ///
    /// # Errors
    /// As [`LogDet::value_and_gradient`].
    #[expect(
        clippy::too_many_arguments,
        reason = "two results, each with its buffers"
    )]
    pub fn value_and_gradient<B: Backend, O: FirstTrace<B>>(
        &self,
        b: &B,
        op: &mut O,
        draw: &Draw,
        weights: Option<&B::Rows>,
        workspace: &mut Workspace<B>,
        out: &mut B::Rows,
        gradient: &mut O::Gradient,
    ) -> Result<Work, Error<B::Error>> {
        Error::check_rows("the output", op.shape(b).rows, b.row_count(out))?;
        op.trace(b, 1.0 - self.control, out)?;
        let value = Some(out);
        let first = self.first();
        let work = self
            .log_det
            .add_gradient(b, op, draw, first, weights, workspace, value, gradient)?;
        op.accumulate_trace(b, weights, gradient)?;
        op.finish(b, gradient)?;
        Ok(work)
    }
}
