//! The one run of powers that value and gradient share, with its randomness fixed.

use core::ops::{AddAssign, Range};

use crate::{Backend, Error, Fill, Operator, RouletteSchedule, Terms, Workspace};

/// How much work a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Vector-Jacobian products, each of one row.
    pub products: u64,
}

impl AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        self.products += other.products;
    }
}

/// The deterministic half of an estimator: explicit probe and numbers of terms in, sums out.
///
/// With w_k = (Jᵀ)ᵏ v, and S the survival function of the schedule (Chen et al. 2019, theorems 1, 2):
///
/// value  X_r = Σ_{k=1}^{N_r} (−1)^{k+1}/(k S(k)) ⟨w_k, v⟩
/// sum    s_r = Σ_{k=0}^{N_r} (−1)^k/S(k) w_k
///
/// The gradient is the bilinear form's ∂(sᵀ J v) with s and v held fixed; the value is never read
/// off the bilinear form.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Series {
    /// The law of the number of terms.
    pub schedule: RouletteSchedule,
    /// Where the first term comes from, k = 1 of the value and k = 0 of the sum.
    pub first: FirstTerm,
}

/// Where the first term of a series comes from, which estimates tr J.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FirstTerm {
    /// From the probe, as every other.
    Probed,
    /// From the caller, who knows tr J: the sum is without its term, and of the value's `control`
    /// times it stays, which the caller makes up for by (1 − control) tr J.
    Known {
        /// The weight c of the control variate ⟨Jᵀv, v⟩ − tr J; [`crate::ExactFirst`] tells what for.
        control: f64,
    },
}

impl Series {
    /// out_r ← out_r + X_r for the probe in the workspace.
    ///
    /// # Errors
    /// [`Error::Shape`] where workspace or output do not fit the operator; the device's.
    pub fn value<B: Backend, O: Operator<B>>(
        &self,
        b: &B,
        op: &mut O,
        terms: Terms,
        workspace: &mut Workspace<B>,
        out: &mut B::Rows,
    ) -> Result<Work, Error<B::Error>> {
        self.run(b, op, terms, workspace, Some(out), false)
    }

    /// The workspace's sum ← s, for the probe in the workspace.
    ///
    /// # Errors
    /// [`Error::Shape`] where the workspace does not fit the operator; the device's.
    pub fn sum<B: Backend, O: Operator<B>>(
        &self,
        b: &B,
        op: &mut O,
        terms: Terms,
        workspace: &mut Workspace<B>,
    ) -> Result<Work, Error<B::Error>> {
        self.run(b, op, terms, workspace, None, true)
    }

    /// Both, from one run: out_r ← out_r + X_r, and the workspace's sum ← s.
    ///
    /// # Errors
    /// [`Error::Shape`] where workspace or output do not fit the operator; the device's.
    pub fn value_and_sum<B: Backend, O: Operator<B>>(
        &self,
        b: &B,
        op: &mut O,
        terms: Terms,
        workspace: &mut Workspace<B>,
        out: &mut B::Rows,
    ) -> Result<Work, Error<B::Error>> {
        self.run(b, op, terms, workspace, Some(out), true)
    }

    fn run<B: Backend, O: Operator<B>>(
        &self,
        b: &B,
        op: &mut O,
        terms: Terms,
        workspace: &mut Workspace<B>,
        mut value: Option<&mut B::Rows>,
        gradient: bool,
    ) -> Result<Work, Error<B::Error>> {
        let shape = op.shape(b);
        workspace.check(b, shape)?;
        if let Some(out) = &value {
            Error::check_rows("the output", shape.rows, b.row_count(out))?;
        }
        let Workspace {
            probe,
            power,
            next,
            sum,
        } = workspace;
        if gradient {
            match self.first {
                FirstTerm::Probed => b.copy(probe, sum)?,
                FirstTerm::Known { .. } => b.fill(Fill::Constant(0.0), sum)?,
            }
        }
        let mut work = Work::default();
        let mut sign = 1.0;
        for k in 1.. {
            let alive = terms.alive(&self.schedule, k, shape.rows);
            if alive.iter().all(Range::is_empty) {
                break;
            }
            let weight = sign / self.schedule.survival(k);
            for rows in alive.into_iter().filter(|rows| !rows.is_empty()) {
                work.products += rows.len() as u64;
                let from = if k == 1 { &*probe } else { &*power };
                op.vjp(b, rows.clone(), from, next)?;
                b.flush_tiny(rows.clone(), next)?;
                let share = match self.first {
                    FirstTerm::Known { control } if k == 1 => control,
                    _ => 1.0,
                };
                if let Some(out) = &mut value
                    && share != 0.0
                {
                    b.dot_rows(
                        rows.clone(),
                        share * weight / f64::from(k),
                        next,
                        probe,
                        out,
                    )?;
                }
                if gradient {
                    b.axpy(rows, -weight, next, sum)?;
                }
            }
            core::mem::swap(power, next);
            sign = -sign;
        }
        Ok(work)
    }
}
