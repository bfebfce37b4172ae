//! Products, factorisations and the elementwise passes of a multilayer perceptron.

use core::convert::Infallible;
use core::ops::Range;

use detfree_core::reference::Heap;
use detfree_core::{Activation, Dense, DenseBackend, Op, Scalar, Shape, Store};
use faer::traits::ComplexField;

use crate::rows::{block_length, span, span_mut};
use crate::slices::{QUICK, SLOW, Slices};
use crate::{Faer, factorise, loops, product, tiny};

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
        let dim = w.shape().dim;
        // One by one: an array is compared as a whole, and has to be written before.
        let square = w.shape().rows == dim && x.shape().dim == dim && out.shape().dim == dim;
        let tiny = square
            && tiny::apply(
                self.arch,
                dim,
                (w.as_slice(), op),
                span(x, rows.clone()),
                store,
                span_mut(out, rows.clone()),
            );
        if !tiny {
            product::apply(&self.threads, rows, w, op, x, store, out);
        }
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
        let dims = (s.shape().dim, v.shape().dim);
        let factors = [s, v].map(|x| span(x, rows.clone()));
        let tiny = g.shape() == Shape::new(dims.0, dims.1)
            && tiny::outer(
                self.arch,
                dims,
                T::from_f64(a),
                factors,
                store,
                g.as_mut_slice(),
            );
        if !tiny {
            product::outer(&self.threads, rows, a, [s, v], store, g);
        }
        Ok(())
    }

    fn outer_onto(
        &self,
        rows: Range<usize>,
        a: f64,
        s: &Dense<Vec<T>>,
        v: &Dense<Vec<T>>,
        base: &Dense<Vec<T>>,
        g: &mut Dense<Vec<T>>,
    ) -> Result<(), Infallible> {
        product::outer_onto(&self.threads, rows, a, [s, v], base, g);
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
        let (a, x, sum) = (T::from_f64(a), span(x, rows), span_mut(g, 0..1));
        if store == Store::Set {
            sum.fill(T::zero());
        }
        self.arch.dispatch(
            #[inline(always)]
            move || {
                // Moved out, or the closure could run twice and would not be compiled for wide vectors.
                let sum = sum;
                loops::add_rows(a, x, sum);
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
        let (arch, dim) = (self.arch, x.shape().dim);
        let (scale, results) = (span(scale, rows.clone()), &mut []);
        let shift = shift.map(|shift| span(shift, rows.clone()));
        let write = [span_mut(x, rows)];
        if let Some(shift) = shift {
            let slices = Slices {
                dim,
                cost: QUICK,
                read: [scale, shift],
                write,
                results,
                pass: move |[scale, shift]: [&[T]; 2], [x]: [&mut [T]; 1], _: &mut [f64]| {
                    arch.dispatch(
                        #[inline(always)]
                        || loops::scale_shift(scale, shift, x),
                    );
                },
            };
            self.threads.run(slices);
        } else {
            let slices = Slices {
                dim,
                cost: QUICK,
                read: [scale],
                write,
                results,
                pass: move |[scale]: [&[T]; 1], [x]: [&mut [T]; 1], _: &mut [f64]| {
                    arch.dispatch(
                        #[inline(always)]
                        || loops::multiply_by(scale, x),
                    );
                },
            };
            self.threads.run(slices);
        }
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
        let (arch, bias) = (self.arch, span(bias, 0..1));
        let slices = Slices {
            dim: bias.len(),
            cost: SLOW,
            read: [],
            write: [h, z, d1, d2].map(Dense::as_mut_slice),
            results: &mut [],
            pass: move |[]: [&[T]; 0], [h, z, d1, d2]: [&mut [T]; 4], _: &mut [f64]| {
                let length = block_length(bias.len());
                let outputs = z
                    .chunks_mut(length)
                    .zip(d1.chunks_mut(length))
                    .zip(d2.chunks_mut(length));
                let blocks = h.chunks_mut(length).zip(outputs);
                arch.dispatch(
                    #[inline(always)]
                    move || {
                        for (h, ((z, d1), d2)) in blocks {
                            loops::add_to_rows(bias, h);
                            activation.jets(h, z, d1, d2);
                        }
                    },
                );
            },
        };
        self.threads.run(slices);
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
