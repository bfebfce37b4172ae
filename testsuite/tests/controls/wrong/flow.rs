//! The passes of flows, each in its wrong ways.

use detfree_core::{
    Activation, Adam, Backend, BaseDensity, DenseBackend, Fill, FlowBackend, Store,
};

use super::Mutation::*;
use super::{Batch, Done, Wrong, index, without_bias};

impl FlowBackend for Wrong {
    fn bijection(
        &self,
        activation: Activation,
        bias: &Batch,
        y: &mut Batch,
        z: &mut Batch,
        d1: &mut Batch,
        score: &mut Batch,
        mut log: Option<&mut Batch>,
    ) -> Done {
        if self.is(BijectionIndexes) {
            index(&(0..y.shape().rows), z);
        }
        if self.is(BijectionOnlyWithLog) && log.is_none() {
            return Ok(());
        }
        if self.is(BijectionLogNotAccumulated)
            && let Some(log) = &mut log
        {
            self.right.fill_rows(0.0, log)?;
        }
        self.right
            .bijection(activation, bias, y, z, d1, score, log)?;
        if self.is(BijectionScoreIsSecondDerivative) {
            for (score, d1) in score.as_mut_slice().iter_mut().zip(d1.as_slice()) {
                *score *= d1;
            }
        }
        Ok(())
    }

    fn inverse_bijection(&self, activation: Activation, bias: &Batch, z: &mut Batch) -> Done {
        if self.is(InverseWithoutBias) {
            return Ok(self
                .right
                .inverse_bijection(activation, &without_bias(bias), z)?);
        }
        Ok(self.right.inverse_bijection(activation, bias, z)?)
    }

    fn base_density(
        &self,
        base: BaseDensity,
        z: &Batch,
        score: &mut Batch,
        log: &mut Batch,
    ) -> Done {
        if self.is(DensityLogNotAccumulated) {
            self.right.fill_rows(0.0, log)?;
        }
        self.right.base_density(base, z, score, log)?;
        if self.is(DensityScoreOfOtherSign) {
            for score in score.as_mut_slice() {
                *score = -*score;
            }
        }
        Ok(())
    }

    fn adam(
        &self,
        step: &Adam,
        direction: &Batch,
        first_moment: &mut Batch,
        second_moment: &mut Batch,
        parameters: &mut Batch,
    ) -> Done {
        let mut step = *step;
        match self.mutation {
            AdamWithoutEpsilon => step.epsilon = 0.0,
            AdamDescends => step.rate = -step.rate,
            _ => {}
        }
        Ok(self
            .right
            .adam(&step, direction, first_moment, second_moment, parameters)?)
    }

    fn relative_adam(
        &self,
        step: &Adam,
        a: f64,
        left: &Batch,
        right: &Batch,
        scratch: &mut Batch,
        first_moment: &mut Batch,
        second_moment: &mut Batch,
        weight: &mut Batch,
    ) -> Done {
        if self.is(RelativeAdamWithoutTheWeight) {
            self.right.fill(Fill::Constant(0.0), scratch)?;
        } else {
            self.right.copy(weight, scratch)?;
        }
        let rows = 0..left.shape().rows;
        self.outer(rows, a, left, right, Store::Add, scratch)?;
        self.adam(step, scratch, first_moment, second_moment, weight)
    }
}
