//! Products, factorisations and the elementwise passes of a multilayer perceptron.

use core::convert::Infallible;
use core::ops::Range;

use detfree_core::{Activation, Dense, DenseBackend, Link, Op, Shape, Store};

use crate::rows::{block_length, span, span_mut};
use crate::slices::{SLOW, Slices};
use crate::{Batch, Faer, Number, Plain, factorise, loops, product, tiny};

impl<T: Number> DenseBackend for Faer<T> {
    fn apply(
        &self,
        rows: Range<usize>,
        w: &Batch<T>,
        op: Op,
        x: &Batch<T>,
        store: Store,
        out: &mut Batch<T>,
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
            product::apply(self, rows, w, op, x, store, out);
        }
        Ok(())
    }

    fn apply_to_both(
        &self,
        w: &Batch<T>,
        op: Op,
        x: [&Batch<T>; 2],
        out: [&mut Batch<T>; 2],
    ) -> Result<(), Infallible> {
        product::apply_to_both(self, w, op, x, out);
        Ok(())
    }

    fn chain<'a>(
        &self,
        rows: Range<usize>,
        x: &'a Batch<T>,
        links: impl IntoIterator<Item = Link<'a, Batch<T>>>,
    ) -> Result<(), Infallible> {
        product::chain(self, rows, x, links)
    }

    fn outer(
        &self,
        rows: Range<usize>,
        a: f64,
        s: &Batch<T>,
        v: &Batch<T>,
        store: Store,
        g: &mut Batch<T>,
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
            product::outer(self, rows, a, [s, v], store, g);
        }
        Ok(())
    }

    fn outer_onto(
        &self,
        rows: Range<usize>,
        a: f64,
        s: &Batch<T>,
        v: &Batch<T>,
        base: &Batch<T>,
        g: &mut Batch<T>,
    ) -> Result<(), Infallible> {
        product::outer_onto(self, rows, a, [s, v], base, g);
        Ok(())
    }

    fn sum_rows(
        &self,
        rows: Range<usize>,
        a: f64,
        x: &Batch<T>,
        store: Store,
        g: &mut Batch<T>,
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
        x: &Batch<T>,
        y: &Batch<T>,
        store: Store,
        out: &mut Batch<T>,
    ) -> Result<(), Infallible> {
        let read = [span(x, rows.clone()), span(y, rows.clone())];
        let write = [span_mut(out, rows)];
        match store {
            Store::Set => self.elementwise(
                read,
                write,
                #[inline(always)]
                |[x, y], [out]| loops::multiply(x, y, out),
            ),
            Store::Add => self.elementwise(
                read,
                write,
                #[inline(always)]
                |[x, y], [out]| loops::multiply_add(x, y, out),
            ),
        }
        Ok(())
    }

    fn scale_shift(
        &self,
        rows: Range<usize>,
        scale: &Batch<T>,
        shift: Option<&Batch<T>>,
        x: &mut Batch<T>,
    ) -> Result<(), Infallible> {
        let (scale, write) = (span(scale, rows.clone()), [span_mut(x, rows.clone())]);
        match shift {
            Some(shift) => self.elementwise(
                [scale, span(shift, rows)],
                write,
                #[inline(always)]
                |[scale, shift], [x]| loops::scale_shift(scale, shift, x),
            ),
            None => self.elementwise(
                [scale],
                write,
                #[inline(always)]
                |[scale], [x]| loops::multiply_by(scale, x),
            ),
        }
        Ok(())
    }

    fn add_bias(&self, bias: &Batch<T>, x: &mut Batch<T>) -> Result<(), Infallible> {
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
        bias: &Batch<T>,
        h: &mut Batch<T>,
        z: &mut Batch<T>,
        d1: &mut Batch<T>,
        d2: &mut Batch<T>,
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

    fn transpose(&self, x: &Batch<T>, out: &mut Batch<T>) -> Result<(), Infallible> {
        Plain::<T>::new().transpose(x, out)
    }

    fn log_abs_det(&self, a: &mut Batch<T>) -> Result<(f64, f64), Infallible> {
        factorise::log_abs_det(a)
    }

    fn solve(&self, a: &mut Batch<T>, op: Op, x: &mut Batch<T>) -> Result<bool, Infallible> {
        factorise::solve(a, op, x)
    }

    fn is_positive_definite(&self, a: &mut Batch<T>) -> Result<bool, Infallible> {
        factorise::is_positive_definite(a)
    }
}
