//! Products and factorisations of nalgebra's, passes of the reference.

use core::convert::Infallible;
use core::ops::Range;

use detfree_core::{Activation, Dense, DenseBackend, Op, Storage, Store};
use nalgebra::RealField;

use crate::{NalgebraOn, factorise, product};

impl<S: Storage<Item: RealField>, R: Storage<Item = f64>> DenseBackend for NalgebraOn<S, R> {
    fn apply(
        &self,
        rows: Range<usize>,
        w: &Dense<S>,
        op: Op,
        x: &Dense<S>,
        store: Store,
        out: &mut Dense<S>,
    ) -> Result<(), Infallible> {
        product::apply(rows, w, op, x, store, out);
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
        product::outer(rows, a, s, v, store, g);
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
        self.passes.sum_rows(rows, a, x, store, g)
    }

    fn hadamard(
        &self,
        rows: Range<usize>,
        x: &Dense<S>,
        y: &Dense<S>,
        store: Store,
        out: &mut Dense<S>,
    ) -> Result<(), Infallible> {
        self.passes.hadamard(rows, x, y, store, out)
    }

    fn scale_shift(
        &self,
        rows: Range<usize>,
        scale: &Dense<S>,
        shift: Option<&Dense<S>>,
        x: &mut Dense<S>,
    ) -> Result<(), Infallible> {
        self.passes.scale_shift(rows, scale, shift, x)
    }

    fn add_bias(&self, bias: &Dense<S>, x: &mut Dense<S>) -> Result<(), Infallible> {
        self.passes.add_bias(bias, x)
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
        self.passes.bias_activate(activation, bias, h, z, d1, d2)
    }

    fn transpose(&self, x: &Dense<S>, out: &mut Dense<S>) -> Result<(), Infallible> {
        self.passes.transpose(x, out)
    }

    fn log_abs_det(&self, a: &mut Dense<S>) -> Result<(f64, f64), Infallible> {
        Ok(factorise::log_abs_det(a).unwrap_or((0.0, f64::NEG_INFINITY)))
    }

    fn solve(&self, a: &mut Dense<S>, op: Op, x: &mut Dense<S>) -> Result<bool, Infallible> {
        Ok(factorise::solve(a, op, x).is_some())
    }

    fn is_positive_definite(&self, a: &mut Dense<S>) -> Result<bool, Infallible> {
        Ok(factorise::is_positive_definite(a))
    }
}
