//! Dense products and factorisations on the reference backend.

use core::convert::Infallible;
use core::ops::Range;

use num_traits::{One, Zero};

use super::{Dense, Reference, Storage, elimination, lanes};
use crate::{Activation, Backend, DenseBackend, Op, Scalar, Store};

impl<S: Storage, R: Storage<Item = f64>> DenseBackend for Reference<S, R> {
    fn apply(
        &self,
        rows: Range<usize>,
        w: &Dense<S>,
        op: Op,
        x: &Dense<S>,
        store: Store,
        out: &mut Dense<S>,
    ) -> Result<(), Infallible> {
        let outputs = w.shape().rows;
        for (x, out) in x.rows(rows.clone()).zip(out.rows_mut(rows)) {
            match op {
                Op::Plain => {
                    for (w, out) in w.rows(0..outputs).zip(out) {
                        let product = lanes::dot(w, x);
                        *out = match store {
                            Store::Set => product,
                            Store::Add => *out + product,
                        };
                    }
                }
                Op::Transposed => {
                    if store == Store::Set {
                        out.fill(S::Item::zero());
                    }
                    for (w, &x) in w.rows(0..outputs).zip(x) {
                        lanes::axpy(x, w, out);
                    }
                }
            }
        }
        Ok(())
    }

    fn outer(
        &self,
        rows: Range<usize>,
        a: f64,
        s: &Dense<S>,
        v: &Dense<S>,
        store: Store,
        g: &mut Dense<S>,
    ) -> Result<(), Infallible> {
        let a = S::Item::from_f64(a);
        let outputs = g.shape().rows;
        if store == Store::Set {
            g.as_mut_slice().fill(S::Item::zero());
        }
        for (s, v) in s.rows(rows.clone()).zip(v.rows(rows)) {
            for (&s, g) in s.iter().zip(g.rows_mut(0..outputs)) {
                lanes::axpy(a * s, v, g);
            }
        }
        Ok(())
    }

    fn sum_rows(
        &self,
        rows: Range<usize>,
        a: f64,
        x: &Dense<S>,
        store: Store,
        g: &mut Dense<S>,
    ) -> Result<(), Infallible> {
        let a = S::Item::from_f64(a);
        let sum = g.row_mut(0);
        if store == Store::Set {
            sum.fill(S::Item::zero());
        }
        for x in x.rows(rows) {
            lanes::axpy(a, x, sum);
        }
        Ok(())
    }

    fn hadamard(
        &self,
        rows: Range<usize>,
        x: &Dense<S>,
        y: &Dense<S>,
        store: Store,
        out: &mut Dense<S>,
    ) -> Result<(), Infallible> {
        let pairs = x.rows(rows.clone()).zip(y.rows(rows.clone()));
        for (out, (x, y)) in out.rows_mut(rows).zip(pairs) {
            for (out, (&x, &y)) in out.iter_mut().zip(x.iter().zip(y)) {
                *out = match store {
                    Store::Set => x * y,
                    Store::Add => *out + x * y,
                };
            }
        }
        Ok(())
    }

    fn scale_shift(
        &self,
        rows: Range<usize>,
        scale: &Dense<S>,
        shift: Option<&Dense<S>>,
        x: &mut Dense<S>,
    ) -> Result<(), Infallible> {
        for (x, scale) in x.rows_mut(rows.clone()).zip(scale.rows(rows.clone())) {
            for (x, &scale) in x.iter_mut().zip(scale) {
                *x *= scale;
            }
        }
        if let Some(shift) = shift {
            self.axpy(rows, 1.0, shift, x)?;
        }
        Ok(())
    }

    fn add_bias(&self, bias: &Dense<S>, x: &mut Dense<S>) -> Result<(), Infallible> {
        let rows = x.shape().rows;
        for x in x.rows_mut(0..rows) {
            lanes::axpy(S::Item::one(), bias.row(0), x);
        }
        Ok(())
    }

    fn bias_activate(
        &self,
        activation: Activation,
        bias: &Dense<S>,
        h: &mut Dense<S>,
        z: &mut Dense<S>,
        d1: &mut Dense<S>,
        d2: &mut Dense<S>,
    ) -> Result<(), Infallible> {
        let rows = 0..h.shape().rows;
        let outputs = z
            .rows_mut(rows.clone())
            .zip(d1.rows_mut(rows.clone()))
            .zip(d2.rows_mut(rows.clone()));
        for (h, ((z, d1), d2)) in h.rows_mut(rows).zip(outputs) {
            lanes::axpy(S::Item::one(), bias.row(0), h);
            activation.jets(h, z, d1, d2);
        }
        Ok(())
    }

    fn transpose(&self, x: &Dense<S>, out: &mut Dense<S>) -> Result<(), Infallible> {
        let rows = out.shape().rows;
        for (column, out) in out.rows_mut(0..rows).enumerate() {
            let column = x.as_slice().iter().skip(column);
            for (out, &x) in out.iter_mut().zip(column.step_by(x.shape().dim.max(1))) {
                *out = x;
            }
        }
        Ok(())
    }

    fn log_abs_det(&self, a: &mut Dense<S>) -> Result<(f64, f64), Infallible> {
        let n = a.shape().rows;
        Ok(elimination::log_abs_det(a.as_mut_slice(), n))
    }

    fn solve(&self, a: &mut Dense<S>, op: Op, x: &mut Dense<S>) -> Result<bool, Infallible> {
        let n = a.shape().rows;
        if op == Op::Transposed {
            elimination::transpose_in_place(a.as_mut_slice(), n);
        }
        Ok(elimination::solve(a.as_mut_slice(), n, x.as_mut_slice()))
    }

    fn is_positive_definite(&self, a: &mut Dense<S>) -> Result<bool, Infallible> {
        let n = a.shape().rows;
        Ok(elimination::is_positive_definite(a.as_mut_slice(), n))
    }
}
