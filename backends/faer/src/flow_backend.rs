//! The fused passes of a flow.

use core::convert::Infallible;

use detfree_core::{Activation, Adam, Affine, BaseDensity, Dense, FlowBackend, Shape, unfused};

use crate::rows::span;
use crate::slices::{SLOW, Slices};
use crate::{Batch, Faer, Number, Plain, layer, loops, relative_adam};

impl<T: Number> FlowBackend for Faer<T> {
    fn bijection(
        &self,
        activation: Activation,
        bias: &Batch<T>,
        y: &mut Batch<T>,
        z: &mut Batch<T>,
        d1: &mut Batch<T>,
        score: &mut Batch<T>,
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
        layer: &Affine<Batch<T>>,
        x: &Batch<T>,
        y: &mut Batch<T>,
        z: &mut Batch<T>,
        d1: &mut Batch<T>,
        score: &mut Batch<T>,
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
        layer: &Affine<Batch<T>>,
        delta: &Batch<T>,
        y: &Batch<T>,
        d1: &Batch<T>,
        score: &Batch<T>,
        below: &mut Batch<T>,
        gram: &mut Batch<T>,
        bias: &mut Batch<T>,
    ) -> Result<(), Infallible> {
        let read = [delta, y, d1, score];
        if layer::backward(self.arch, layer, read, below, gram, bias) {
            return Ok(());
        }
        unfused::backward_layer(self, layer, delta, y, d1, score, below, gram, bias)
    }

    fn weight_direction(
        &self,
        gram: &Batch<T>,
        weight: &Batch<T>,
        out: &mut Batch<T>,
    ) -> Result<(), Infallible> {
        if layer::direction(gram, weight, out) {
            return Ok(());
        }
        unfused::weight_direction(self, gram, weight, out)
    }

    fn inverse_bijection(
        &self,
        activation: Activation,
        bias: &Batch<T>,
        z: &mut Batch<T>,
    ) -> Result<(), Infallible> {
        Plain::<T>::new().inverse_bijection(activation, bias, z)
    }

    fn base_density(
        &self,
        base: BaseDensity,
        z: &Batch<T>,
        score: &mut Batch<T>,
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
        direction: &Batch<T>,
        first_moment: &mut Batch<T>,
        second_moment: &mut Batch<T>,
        parameters: &mut Batch<T>,
    ) -> Result<(), Infallible> {
        self.elementwise(
            [direction.as_slice()],
            [
                first_moment.as_mut_slice(),
                second_moment.as_mut_slice(),
                parameters.as_mut_slice(),
            ],
            #[inline(always)]
            |[g], [m, v, w]| step.ascend(g, m, v, w),
        );
        Ok(())
    }

    fn relative_adam(
        &self,
        step: &Adam,
        a: f64,
        left: &Batch<T>,
        right: &Batch<T>,
        scratch: &mut Batch<T>,
        first_moment: &mut Batch<T>,
        second_moment: &mut Batch<T>,
        weight: &mut Batch<T>,
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
