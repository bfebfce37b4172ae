//! The fused passes of a flow.

use core::convert::Infallible;

use detfree_core::reference::Heap;
use detfree_core::{Activation, Adam, BaseDensity, Dense, FlowBackend, Scalar, Shape};
use faer::traits::ComplexField;

use crate::rows::{block_rows, blocks_mut, each, each_mut, span};
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
        let bias = span(bias, 0..1);
        let outputs = blocks_mut(z).zip(blocks_mut(d1)).zip(blocks_mut(score));
        let blocks = blocks_mut(y).zip(outputs);
        let logs = log.map_or(&mut [][..], |log| log.as_mut_slice());
        let mut logs = logs.chunks_mut(block_rows(bias.len()));
        self.arch.dispatch(
            #[inline(always)]
            || {
                for (y, ((z, d1), score)) in blocks {
                    loops::add_to_rows(bias, y);
                    activation.scores(y, z, d1, score);
                    if let Some(logs) = logs.next() {
                        Activation::add_log_slopes(d1, logs);
                    }
                }
            },
        );
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
        let rows = each(z, 0..z.shape().rows).zip(each_mut(score));
        let rows = rows.zip(log.as_mut_slice());
        self.arch.dispatch(
            #[inline(always)]
            || {
                for ((z, score), log) in rows {
                    *log += base.log_density_and_score(z, score);
                }
            },
        );
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
