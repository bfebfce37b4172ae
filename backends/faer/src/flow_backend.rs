//! The fused passes of a flow.

use core::convert::Infallible;

use detfree_core::reference::Heap;
use detfree_core::{Activation, Adam, BaseDensity, Dense, FlowBackend, Scalar, Shape};
use faer::traits::ComplexField;

use crate::rows::{block_length, span};
use crate::slices::{SLOW, Slices};
use crate::{Faer, loops, relative_adam};

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
        let (arch, bias) = (self.arch, span(bias, 0..1));
        let slices = Slices {
            dim: bias.len(),
            cost: SLOW,
            read: [],
            write: [y, z, d1, score].map(Dense::as_mut_slice),
            results: log.map_or(&mut [], Dense::as_mut_slice),
            pass: move |[]: [&[T]; 0], [y, z, d1, score]: [&mut [T]; 4], logs: &mut [f64]| {
                let length = block_length(bias.len());
                let outputs = z
                    .chunks_mut(length)
                    .zip(d1.chunks_mut(length))
                    .zip(score.chunks_mut(length));
                let blocks = y.chunks_mut(length).zip(outputs);
                let mut logs = logs.chunks_mut(length / bias.len().max(1));
                arch.dispatch(
                    #[inline(always)]
                    move || {
                        for (y, ((z, d1), score)) in blocks {
                            loops::add_to_rows(bias, y);
                            activation.scores(y, z, d1, score);
                            if let Some(logs) = logs.next() {
                                Activation::add_log_slopes(d1, logs);
                            }
                        }
                    },
                );
            },
        };
        self.threads.run(slices);
        Ok(())
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
