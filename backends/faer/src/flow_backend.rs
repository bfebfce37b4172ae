//! The fused passes of a flow.

use core::convert::Infallible;

use detfree_core::reference::Heap;
use detfree_core::{
    Activation, Adam, Affine, BaseDensity, Dense, FlowBackend, Scalar, Shape, unfused,
};
use faer::traits::ComplexField;

use crate::rows::span;
use crate::slices::{SLOW, Slices};
use crate::{Faer, layer, loops, relative_adam};

impl<T: Scalar + ComplexField> FlowBackend for Faer<T> {
    fn bijection(
        &self,
        activation: Activation,
        bias: &Dense<Vec<T>>,
        y: &mut Dense<Vec<T>>,
        z: &mut Dense<Vec<T>>,
        d1: &mut Dense<Vec<T>>,
        score: &mut Dense<Vec<T>>,
        log: Option<&mut Dense<Vec<f64>>>,
    ) -> Result<(), Infallible> {
        let bias = span(bias, 0..1);
        let enter = move |[]: [&[T]; 0], y: &mut [T]| loops::add_to_rows(bias, y);
        let write = [y, z, d1, score];
        layer::activate(self, activation, bias.len(), [], write, log, enter);
        Ok(())
    }

    fn forward_layer(
        &self,
        activation: Activation,
        layer: &Affine<Dense<Vec<T>>>,
        x: &Dense<Vec<T>>,
        y: &mut Dense<Vec<T>>,
        z: &mut Dense<Vec<T>>,
        d1: &mut Dense<Vec<T>>,
        score: &mut Dense<Vec<T>>,
        mut log: Option<&mut Dense<Vec<f64>>>,
    ) -> Result<(), Infallible> {
        let write = [&mut *y, &mut *z, &mut *d1, &mut *score];
        let sums = log.as_deref_mut();
        if layer::forward(self, activation, layer, x, write, sums) {
            return Ok(());
        }
        unfused::forward_layer(self, activation, layer, x, y, z, d1, score, log)
    }

    fn backward_layer(
        &self,
        layer: &Affine<Dense<Vec<T>>>,
        delta: &Dense<Vec<T>>,
        y: &Dense<Vec<T>>,
        d1: &Dense<Vec<T>>,
        score: &Dense<Vec<T>>,
        below: &mut Dense<Vec<T>>,
        gram: &mut Dense<Vec<T>>,
        bias: &mut Dense<Vec<T>>,
    ) -> Result<(), Infallible> {
        let read = [delta, y, d1, score];
        if layer::backward(self.arch, layer, read, below, gram, bias) {
            return Ok(());
        }
        unfused::backward_layer(self, layer, delta, y, d1, score, below, gram, bias)
    }

    fn weight_direction(
        &self,
        gram: &Dense<Vec<T>>,
        weight: &Dense<Vec<T>>,
        out: &mut Dense<Vec<T>>,
    ) -> Result<(), Infallible> {
        if layer::direction(gram, weight, out) {
            return Ok(());
        }
        unfused::weight_direction(self, gram, weight, out)
    }

    fn inverse_bijection(
        &self,
        activation: Activation,
        bias: &Dense<Vec<T>>,
        z: &mut Dense<Vec<T>>,
    ) -> Result<(), Infallible> {
        Heap::new().inverse_bijection(activation, bias, z)
    }

    fn base_density(
        &self,
        base: BaseDensity,
        z: &Dense<Vec<T>>,
        score: &mut Dense<Vec<T>>,
        log: &mut Dense<Vec<f64>>,
    ) -> Result<(), Infallible> {
        let (arch, dim) = (self.arch, z.shape().dim.max(1));
        let slices = Slices {
            dim,
            cost: SLOW,
            read: [z.as_slice()],
            write: [score.as_mut_slice()],
            results: log.as_mut_slice(),
            pass: move |[z]: [&[T]; 1], [score]: [&mut [T]; 1], logs: &mut [f64]| {
                let rows = z.chunks_exact(dim).zip(score.chunks_exact_mut(dim));
                let rows = rows.zip(logs);
                arch.dispatch(
                    #[inline(always)]
                    move || {
                        for ((z, score), log) in rows {
                            *log += base.log_density_and_score(z, score);
                        }
                    },
                );
            },
        };
        self.threads.run(slices);
        Ok(())
    }

    fn adam(
        &self,
        step: &Adam,
        direction: &Dense<Vec<T>>,
        first_moment: &mut Dense<Vec<T>>,
        second_moment: &mut Dense<Vec<T>>,
        parameters: &mut Dense<Vec<T>>,
    ) -> Result<(), Infallible> {
        let g = direction.as_slice();
        let (m, v) = (first_moment.as_mut_slice(), second_moment.as_mut_slice());
        let w = parameters.as_mut_slice();
        self.arch.dispatch(
            #[inline(always)]
            || step.ascend(g, m, v, w),
        );
        Ok(())
    }

    fn relative_adam(
        &self,
        step: &Adam,
        a: f64,
        left: &Dense<Vec<T>>,
        right: &Dense<Vec<T>>,
        scratch: &mut Dense<Vec<T>>,
        first_moment: &mut Dense<Vec<T>>,
        second_moment: &mut Dense<Vec<T>>,
        weight: &mut Dense<Vec<T>>,
    ) -> Result<(), Infallible> {
        relative_adam::ascend(
            (&self.threads, self.arch),
            step,
            a,
            [left, right],
            scratch,
            [first_moment, second_moment, weight],
        );
        Ok(())
    }

    fn relative_adam_scratch(&self, dim: usize) -> Shape {
        relative_adam::scratch(&self.threads, dim)
    }
}
