//! Products, linear passes and factorisations, each in its wrong ways.

use std::ops::Range;

use detfree_core::{Activation, Backend, DenseBackend, Link, Op, Store};

use super::Mutation::*;
use super::{Batch, Done, Wrong, clamp, index, without_bias};

impl DenseBackend for Wrong {
    fn apply(
        &self,
        rows: Range<usize>,
        w: &Batch,
        op: Op,
        x: &Batch,
        store: Store,
        out: &mut Batch,
    ) -> Done {
        if self.is(ApplyIndexes) {
            index(&rows, x);
        }
        let rows = self.widened(ApplyOverAllRows, rows, x);
        let (op, store) = match self.mutation {
            ApplyIgnoresOp if w.shape().rows == w.shape().dim => (Op::Plain, store),
            ApplyAddsAsSet => (op, Store::Set),
            ApplyReadsWhatItWrites if store == Store::Set => {
                for r in rows.clone() {
                    for out in out.row_mut(r) {
                        *out *= 0.0;
                    }
                }
                (op, Store::Add)
            }
            _ => (op, store),
        };
        self.right.apply(rows.clone(), w, op, x, store, out)?;
        if self.is(ApplyDependsOnTiming) && !rows.is_empty() {
            self.jitter(out.row_mut(rows.start));
        }
        Ok(())
    }

    fn apply_to_both(&self, w: &Batch, op: Op, x: [&Batch; 2], out: [&mut Batch; 2]) -> Done {
        let x = if self.is(ApplyToBothTakesOneTwice) {
            [x[0], x[0]]
        } else {
            x
        };
        for (x, out) in x.into_iter().zip(out) {
            self.apply(0..x.shape().rows, w, op, x, Store::Set, out)?;
        }
        Ok(())
    }

    fn chain<'a>(
        &self,
        rows: Range<usize>,
        x: &'a Batch,
        links: impl IntoIterator<Item = Link<'a, Batch>>,
    ) -> Done {
        let rows = self.widened(ChainOverAllRows, rows, x);
        let mut x = x;
        for link in links {
            let Link {
                weight,
                op,
                scale,
                out,
            } = link;
            let op = if self.is(ChainIgnoresOp) && weight.shape().rows == weight.shape().dim {
                Op::Plain
            } else {
                op
            };
            self.apply(rows.clone(), weight, op, x, Store::Set, out)?;
            match scale {
                Some(_) if self.is(ChainWithoutScales) => {}
                // As a kernel does whose scales start with the batch, and not with the range.
                Some(scale) if self.is(ChainScalesByTheFirstRows) => {
                    for (first, r) in rows.clone().enumerate() {
                        for (out, scale) in out.row_mut(r).iter_mut().zip(scale.row(first)) {
                            *out *= scale;
                        }
                    }
                }
                Some(scale) => self.scale_shift(rows.clone(), scale, Option::None, out)?,
                _ => {}
            }
            x = out;
        }
        Ok(())
    }

    fn outer(
        &self,
        rows: Range<usize>,
        a: f64,
        s: &Batch,
        v: &Batch,
        store: Store,
        g: &mut Batch,
    ) -> Done {
        let a = if self.is(OuterIgnoresA) { 1.0 } else { a };
        let rows = self.widened(OuterOverAllRows, rows, s);
        if self.is(OuterSwapsItsOperands) && s.shape().dim == v.shape().dim {
            return Ok(self.right.outer(rows, a, v, s, store, g)?);
        }
        Ok(self.right.outer(rows, a, s, v, store, g)?)
    }

    fn sum_rows(&self, rows: Range<usize>, a: f64, x: &Batch, store: Store, g: &mut Batch) -> Done {
        let a = match self.mutation {
            SumRowsIgnoresA => 1.0,
            SumRowsIgnoresTheSign => a.abs(),
            _ => a,
        };
        if self.is(SumRowsReadsWhatItWrites) && store == Store::Set {
            for g in g.as_mut_slice() {
                *g -= *g;
            }
            return Ok(self.right.sum_rows(rows, a, x, Store::Add, g)?);
        }
        Ok(self.right.sum_rows(rows, a, x, store, g)?)
    }

    fn hadamard(
        &self,
        rows: Range<usize>,
        x: &Batch,
        y: &Batch,
        store: Store,
        out: &mut Batch,
    ) -> Done {
        let store = if self.is(HadamardSets) {
            Store::Set
        } else {
            store
        };
        Ok(self.right.hadamard(rows, x, y, store, out)?)
    }

    fn scale_shift(
        &self,
        rows: Range<usize>,
        scale: &Batch,
        shift: Option<&Batch>,
        x: &mut Batch,
    ) -> Done {
        let shift = shift.filter(|_| !self.is(ScaleShiftWithoutShift));
        Ok(self.right.scale_shift(rows, scale, shift, x)?)
    }

    fn add_bias(&self, bias: &Batch, x: &mut Batch) -> Done {
        if self.is(AddBiasToTheFirstRow) {
            return Ok(self.right.axpy(0..1, 1.0, bias, x)?);
        }
        Ok(self.right.add_bias(bias, x)?)
    }

    fn bias_activate(
        &self,
        activation: Activation,
        bias: &Batch,
        h: &mut Batch,
        z: &mut Batch,
        d1: &mut Batch,
        d2: &mut Batch,
    ) -> Done {
        if self.is(ActivateWithoutBias) {
            return Ok(self
                .right
                .bias_activate(activation, &without_bias(bias), h, z, d1, d2)?);
        }
        let mut argument = h.clone();
        if self.is(ActivateClamped) {
            clamp(&mut argument);
        }
        self.right
            .bias_activate(activation, bias, &mut argument, z, d1, d2)?;
        self.right.add_bias(bias, h)?;
        if self.is(ActivateHalvesTheSecondDerivative) {
            for d2 in d2.as_mut_slice() {
                *d2 *= 0.5;
            }
        }
        Ok(())
    }

    fn transpose(&self, x: &Batch, out: &mut Batch) -> Done {
        let shape = x.shape();
        let is_square = shape.rows == shape.dim && shape.rows > 1;
        if self.is(TransposeCopies) || (self.is(TransposeCopiesSquares) && is_square) {
            return Ok(self.right.upload(x.as_slice(), out)?);
        }
        Ok(self.right.transpose(x, out)?)
    }

    fn log_abs_det(&self, a: &mut Batch) -> Done<(f64, f64)> {
        let front = a.as_slice()[0];
        let (sign, log) = self.right.log_abs_det(a)?;
        Ok(match self.mutation {
            LogDetWithoutSign => (sign.abs(), log),
            LogDetOfTheProductOfPivots => (sign, log.exp().ln()),
            LogDetWithoutPivoting if front == 0.0 => (0.0, f64::NEG_INFINITY),
            LogDetOfSingularIsFinite if sign == 0.0 => (1.0, -700.0),
            _ => (sign, log),
        })
    }

    fn solve(&self, a: &mut Batch, op: Op, x: &mut Batch) -> Done<bool> {
        let op = if self.is(SolveIgnoresOp) {
            Op::Plain
        } else {
            op
        };
        let before = x.clone();
        let regular = self.right.solve(a, op, x)?;
        if self.is(SolveTheFirstOf64) {
            for r in 64..x.shape().rows {
                x.row_mut(r).copy_from_slice(before.row(r));
            }
        }
        Ok(regular || self.is(SolveAcceptsSingular))
    }

    fn is_positive_definite(&self, a: &mut Batch) -> Done<bool> {
        match self.mutation {
            DefiniteByDeterminant => Ok(self.right.log_abs_det(a)?.0 > 0.0),
            DefiniteByOneTriangle => {
                for i in 0..a.shape().rows {
                    for j in 0..i {
                        let below = a.row(i)[j];
                        a.row_mut(j)[i] = below;
                    }
                }
                Ok(self.right.is_positive_definite(a)?)
            }
            _ => Ok(self.right.is_positive_definite(a)?),
        }
    }
}
