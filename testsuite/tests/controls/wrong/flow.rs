//! The passes of flows, each in its wrong ways.

use detfree_core::{
    Activation, Adam, Affine, Backend, BaseDensity, DenseBackend, Fill, FlowBackend, Store, unfused,
};

use super::Mutation::*;
use super::{Batch, Done, Wrong, clamp, index, without_bias};

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
        let mut argument = y.clone();
        if self.is(BijectionClamped) {
            clamp(&mut argument);
        }
        self.right
            .bijection(activation, bias, &mut argument, z, d1, score, log)?;
        self.right.add_bias(bias, y)?;
        if self.is(BijectionScoreIsSecondDerivative) {
            for (score, d1) in score.as_mut_slice().iter_mut().zip(d1.as_slice()) {
                *score *= d1;
            }
        }
        Ok(())
    }

    fn forward_layer(
        &self,
        activation: Activation,
        layer: &Affine<Batch>,
        x: &Batch,
        y: &mut Batch,
        z: &mut Batch,
        d1: &mut Batch,
        score: &mut Batch,
        log: Option<&mut Batch>,
    ) -> Done {
        let mut layer = layer.clone();
        if self.is(ForwardLayerWithoutBias) {
            layer.bias = without_bias(&layer.bias);
        }
        unfused::forward_layer(self, activation, &layer, x, y, z, d1, score, log)
    }

    fn backward_layer(
        &self,
        layer: &Affine<Batch>,
        delta: &Batch,
        y: &Batch,
        d1: &Batch,
        score: &Batch,
        below: &mut Batch,
        gram: &mut Batch,
        bias: &mut Batch,
    ) -> Done {
        unfused::backward_layer(self, layer, delta, y, d1, score, below, gram, bias)?;
        if self.is(BackwardLayerWithoutTheLastRow) {
            let rows = 0..delta.shape().rows - 1;
            let mean = 1.0 / delta.shape().rows as f64;
            self.right.outer(rows, mean, delta, y, Store::Set, gram)?;
        }
        Ok(())
    }

    fn weight_direction(&self, gram: &Batch, weight: &Batch, out: &mut Batch) -> Done {
        unfused::weight_direction(self, gram, weight, out)?;
        if self.is(WeightDirectionWithoutTheWeight) {
            let rows = 0..weight.shape().rows;
            self.right.axpy(rows, -1.0, weight, out)?;
        }
        Ok(())
    }

    fn inverse_bijection(&self, activation: Activation, bias: &Batch, z: &mut Batch) -> Done {
        if self.is(InverseWithoutBias) {
            return Ok(self
                .right
                .inverse_bijection(activation, &without_bias(bias), z)?);
        }
        self.right.inverse_bijection(activation, bias, z)?;
        if self.is(InverseClamped) {
            clamp(z);
        }
        Ok(())
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
        let mut z = z.clone();
        if self.is(DensityClamped) {
            clamp(&mut z);
        }
        self.right.base_density(base, &z, score, log)?;
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
            AdamWithConstantDecays => (step.beta1, step.beta2) = (0.9, 0.999),
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
