//! Products, factorisations and the elementwise passes of a multilayer perceptron.

use core::convert::Infallible;
use core::ops::Range;

use detfree_core::reference::Heap;
use detfree_core::{Activation, Dense, DenseBackend, Op, Scalar, Store};
use faer::traits::ComplexField;

use crate::rows::{blocks_mut, each, span, span_mut};
use crate::{Faer, factorise, loops, product};

impl<T: Scalar + ComplexField> DenseBackend for Faer<T> {
    fn apply(
        &self,
        rows: Range<usize>,
        w: &Dense<Vec<T>>,
        op: Op,
        x: &Dense<Vec<T>>,
        store: Store,
        out: &mut Dense<Vec<T>>,
    ) -> Result<(), Infallible> {
        product::apply(&self.threads, rows, w, op, x, store, out);
        Ok(())
    }

    fn apply_to_both(
        &self,
        w: &Dense<Vec<T>>,
        op: Op,
        x: [&Dense<Vec<T>>; 2],
        out: [&mut Dense<Vec<T>>; 2],
    ) -> Result<(), Infallible> {
        product::apply_to_both(&self.threads, w, op, x, out);
        Ok(())
    }

    fn outer(
        &self,
        rows: Range<usize>,
        a: f64,
        s: &Dense<Vec<T>>,
        v: &Dense<Vec<T>>,
        store: Store,
        g: &mut Dense<Vec<T>>,
    ) -> Result<(), Infallible> {
        product::outer(&self.threads, rows, a, s, v, store, g);
        Ok(())
    }

    fn sum_rows(
        &self,
        rows: Range<usize>,
        a: f64,
        x: &Dense<Vec<T>>,
        store: Store,
        g: &mut Dense<Vec<T>>,
    ) -> Result<(), Infallible> {
        let (a, x, sum) = (T::from_f64(a), each(x, rows), span_mut(g, 0..1));
        if store == Store::Set {
            sum.fill(T::zero());
        }
        self.arch.dispatch(
            #[inline(always)]
            || {
                for x in x {
                    loops::axpy(a, x, sum);
                }
            },
        );
        Ok(())
    }

    fn hadamard(
        &self,
        rows: Range<usize>,
        x: &Dense<Vec<T>>,
        y: &Dense<Vec<T>>,
        store: Store,
        out: &mut Dense<Vec<T>>,
    ) -> Result<(), Infallible> {
        let (x, y) = (span(x, rows.clone()), span(y, rows.clone()));
        let out = span_mut(out, rows);
        self.arch.dispatch(
            #[inline(always)]
            || match store {
                Store::Set => loops::multiply(x, y, out),
                Store::Add => loops::multiply_add(x, y, out),
            },
        );
        Ok(())
    }

    fn scale_shift(
        &self,
        rows: Range<usize>,
        scale: &Dense<Vec<T>>,
        shift: Option<&Dense<Vec<T>>>,
        x: &mut Dense<Vec<T>>,
    ) -> Result<(), Infallible> {
        let scale = span(scale, rows.clone());
        let shift = shift.map(|shift| span(shift, rows.clone()));
        let x = span_mut(x, rows);
        self.arch.dispatch(
            #[inline(always)]
            || match shift {
                Some(shift) => loops::scale_shift(scale, shift, x),
                None => loops::multiply_by(scale, x),
            },
        );
        Ok(())
    }

    fn add_bias(&self, bias: &Dense<Vec<T>>, x: &mut Dense<Vec<T>>) -> Result<(), Infallible> {
        let (bias, x) = (span(bias, 0..1), x.as_mut_slice());
        self.arch.dispatch(
            #[inline(always)]
            || loops::add_to_rows(bias, x),
        );
        Ok(())
    }

    fn bias_activate(
        &self,
        activation: Activation,
        bias: &Dense<Vec<T>>,
        h: &mut Dense<Vec<T>>,
        z: &mut Dense<Vec<T>>,
        d1: &mut Dense<Vec<T>>,
        d2: &mut Dense<Vec<T>>,
    ) -> Result<(), Infallible> {
        let bias = span(bias, 0..1);
        let outputs = blocks_mut(z).zip(blocks_mut(d1)).zip(blocks_mut(d2));
        let blocks = blocks_mut(h).zip(outputs);
        self.arch.dispatch(
            #[inline(always)]
            || {
                for (h, ((z, d1), d2)) in blocks {
                    loops::add_to_rows(bias, h);
                    activation.jets(h, z, d1, d2);
                }
            },
        );
        Ok(())
    }

    fn transpose(&self, x: &Dense<Vec<T>>, out: &mut Dense<Vec<T>>) -> Result<(), Infallible> {
        Heap::new().transpose(x, out)
    }

    fn log_abs_det(&self, a: &mut Dense<Vec<T>>) -> Result<(f64, f64), Infallible> {
        factorise::log_abs_det(a)
    }

    fn solve(
        &self,
        a: &mut Dense<Vec<T>>,
        op: Op,
        x: &mut Dense<Vec<T>>,
    ) -> Result<bool, Infallible> {
        factorise::solve(a, op, x)
    }

    fn is_positive_definite(&self, a: &mut Dense<Vec<T>>) -> Result<bool, Infallible> {
        factorise::is_positive_definite(a)
    }
}
