//! The fused passes of a flow, of the reference.

use core::convert::Infallible;

use detfree_core::{Activation, Adam, BaseDensity, Dense, FlowBackend, Storage};
use nalgebra::RealField;

use crate::NalgebraOn;

impl<S: Storage<Item: RealField>, R: Storage<Item = f64>> FlowBackend for NalgebraOn<S, R> {
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
        self.passes
            .bijection(activation, bias, y, z, d1, score, log)
    }

    fn inverse_bijection(
        &self,
        activation: Activation,
        bias: &Dense<S>,
        z: &mut Dense<S>,
    ) -> Result<(), Infallible> {
        self.passes.inverse_bijection(activation, bias, z)
    }

    fn base_density(
        &self,
        base: BaseDensity,
        z: &Dense<S>,
        score: &mut Dense<S>,
        log: &mut Dense<R>,
    ) -> Result<(), Infallible> {
        self.passes.base_density(base, z, score, log)
    }

    fn adam(
        &self,
        step: &Adam,
        direction: &Dense<S>,
        first_moment: &mut Dense<S>,
        second_moment: &mut Dense<S>,
        parameters: &mut Dense<S>,
    ) -> Result<(), Infallible> {
        self.passes
            .adam(step, direction, first_moment, second_moment, parameters)
    }
}
