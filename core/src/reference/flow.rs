//! The fused passes of a flow on the reference backend.

use core::convert::Infallible;

use num_traits::One;

use super::{Dense, Reference, Storage, lanes};
use crate::{Activation, Adam, BaseDensity, FlowBackend};

impl<S: Storage, R: Storage<Item = f64>> FlowBackend for Reference<S, R> {
    fn bijection(
        &self,
        activation: Activation,
        bias: &Dense<S>,
        y: &mut Dense<S>,
        z: &mut Dense<S>,
        d1: &mut Dense<S>,
        score: &mut Dense<S>,
        log: Option<&mut Dense<R>>,
    ) -> Result<(), Infallible> {
        let rows = 0..y.shape().rows;
        let outputs = z
            .rows_mut(rows.clone())
            .zip(d1.rows_mut(rows.clone()))
            .zip(score.rows_mut(rows.clone()));
        for (y, ((z, d1), score)) in y.rows_mut(rows).zip(outputs) {
            lanes::axpy(S::Item::one(), bias.row(0), y);
            activation.scores(y, z, d1, score);
        }
        if let Some(log) = log {
            Activation::add_log_slopes(d1.as_slice(), log.as_mut_slice());
        }
        Ok(())
    }

    fn inverse_bijection(
        &self,
        activation: Activation,
        bias: &Dense<S>,
        z: &mut Dense<S>,
    ) -> Result<(), Infallible> {
        let rows = z.shape().rows;
        for z in z.rows_mut(0..rows) {
            for (z, &bias) in z.iter_mut().zip(bias.row(0)) {
                *z = activation.inverse(*z) - bias;
            }
        }
        Ok(())
    }

    fn base_density(
        &self,
        base: BaseDensity,
        z: &Dense<S>,
        score: &mut Dense<S>,
        log: &mut Dense<R>,
    ) -> Result<(), Infallible> {
        let rows = 0..z.shape().rows;
        let outputs = score.rows_mut(rows.clone()).zip(log.as_mut_slice());
        for (z, (score, log)) in z.rows(rows).zip(outputs) {
            *log += base.log_density_and_score(z, score);
        }
        Ok(())
    }

    fn adam(
        &self,
        step: &Adam,
        direction: &Dense<S>,
        first_moment: &mut Dense<S>,
        second_moment: &mut Dense<S>,
        parameters: &mut Dense<S>,
    ) -> Result<(), Infallible> {
        step.ascend(
            direction.as_slice(),
            first_moment.as_mut_slice(),
            second_moment.as_mut_slice(),
            parameters.as_mut_slice(),
        );
        Ok(())
    }
}
