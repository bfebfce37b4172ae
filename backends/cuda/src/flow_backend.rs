//! The fused passes of a flow.

use detfree_core::{Activation, Adam, BaseDensity, FlowBackend, Shape};

use crate::dense_backend::activation_arguments;
use crate::launch::{self, Argument};
use crate::passes::{fit, word};
use crate::product::Product;
use crate::products::tile_grid;
use crate::scalar::DeviceScalar;
use crate::{Cuda, CudaError, DeviceBatch, DeviceRows};

impl<T: DeviceScalar> FlowBackend for Cuda<T> {
    fn bijection(
        &self,
        activation: Activation,
        bias: &DeviceBatch<T>,
        y: &mut DeviceBatch<T>,
        z: &mut DeviceBatch<T>,
        d1: &mut DeviceBatch<T>,
        score: &mut DeviceBatch<T>,
        log: Option<&mut DeviceRows>,
    ) -> Result<(), CudaError> {
        let shape @ Shape { rows, dim } = y.shape;
        fit(
            bias.shape == Shape::new(1, dim)
                && [&z, &d1, &score].iter().all(|x| x.shape == shape)
                && log.as_ref().is_none_or(|log| log.len() == rows),
            "bijection",
            format_args!(
                "bias {:?}, y {shape:?}, z {:?}, d1 {:?}, score {:?}, {:?} sums",
                bias.shape,
                z.shape,
                d1.shape,
                score.shape,
                log.as_ref().map(|log| log.len())
            ),
        )?;
        let [kind, alpha, beta] = activation_arguments::<T>(activation);
        let rest = [
            kind,
            alpha,
            beta,
            bias.argument(0, &self.stream),
            y.argument(0, &self.stream),
            z.argument(0, &self.stream),
            d1.argument(0, &self.stream),
            score.argument(0, &self.stream),
            log.map_or(Argument::Long(0), |log| log.argument(0, &self.stream)),
        ];
        self.row_pass(&self.kernels.bijection, 0..rows, dim, rest)
    }

    fn inverse_bijection(
        &self,
        activation: Activation,
        bias: &DeviceBatch<T>,
        z: &mut DeviceBatch<T>,
    ) -> Result<(), CudaError> {
        let Shape { rows, dim } = z.shape;
        fit(
            bias.shape == Shape::new(1, dim),
            "inverse_bijection",
            format_args!("bias {:?}, z {:?}", bias.shape, z.shape),
        )?;
        let [kind, alpha, beta] = activation_arguments::<T>(activation);
        let rest = [
            kind,
            alpha,
            beta,
            bias.argument(0, &self.stream),
            z.argument(0, &self.stream),
        ];
        self.row_pass(&self.kernels.inverse_bijection, 0..rows, dim, rest)
    }

    fn base_density(
        &self,
        base: BaseDensity,
        z: &DeviceBatch<T>,
        score: &mut DeviceBatch<T>,
        log: &mut DeviceRows,
    ) -> Result<(), CudaError> {
        let Shape { rows, dim } = z.shape;
        fit(
            score.shape == z.shape && log.len() == rows,
            "base_density",
            format_args!(
                "z {:?}, score {:?}, {} sums",
                z.shape,
                score.shape,
                log.len()
            ),
        )?;
        let kind = match base {
            BaseDensity::Normal => 0,
            BaseDensity::HyperbolicSecant => 1,
            BaseDensity::Logistic => 2,
        };
        let rest = [
            Argument::Word(kind),
            z.argument(0, &self.stream),
            score.argument(0, &self.stream),
            log.argument(0, &self.stream),
        ];
        self.row_pass(&self.kernels.base_density, 0..rows, dim, rest)
    }

    fn adam(
        &self,
        step: &Adam,
        direction: &DeviceBatch<T>,
        first_moment: &mut DeviceBatch<T>,
        second_moment: &mut DeviceBatch<T>,
        parameters: &mut DeviceBatch<T>,
    ) -> Result<(), CudaError> {
        let shape = parameters.shape;
        fit(
            [direction, first_moment, second_moment].map(|x| x.shape) == [shape; 3],
            "adam",
            format_args!(
                "direction {:?}, moments {:?} and {:?}, parameters {shape:?}",
                direction.shape, first_moment.shape, second_moment.shape
            ),
        )?;
        let [beta1, beta2, rest1, rest2, rate, epsilon] = step_arguments::<T>(step);
        let rest = [
            beta1,
            beta2,
            rest1,
            rest2,
            rate,
            epsilon,
            direction.argument(0, &self.stream),
            first_moment.argument(0, &self.stream),
            second_moment.argument(0, &self.stream),
            parameters.argument(0, &self.stream),
        ];
        self.pass(&self.kernels.adam, shape.rows * shape.dim, rest)
    }

    fn relative_adam(
        &self,
        step: &Adam,
        a: f64,
        left: &DeviceBatch<T>,
        right: &DeviceBatch<T>,
        _scratch: &mut DeviceBatch<T>,
        first_moment: &mut DeviceBatch<T>,
        second_moment: &mut DeviceBatch<T>,
        weight: &mut DeviceBatch<T>,
    ) -> Result<(), CudaError> {
        let Shape { rows, dim: n } = left.shape;
        fit(
            right.shape == left.shape
                && [&*first_moment, &*second_moment, &*weight].map(|x| x.shape)
                    == [Shape::new(n, n); 3],
            "relative_adam",
            format_args!(
                "left {:?}, right {:?}, moments {:?} and {:?}, weight {:?}",
                left.shape, right.shape, first_moment.shape, second_moment.shape, weight.shape
            ),
        )?;
        // One part: every element has an epilogue of its own.
        let cut = Product::outer(rows, [n, n]).cut(0);
        let arguments = [
            word(n),
            word(rows),
            T::from_f64(a).argument(),
            left.argument(0, &self.stream),
            right.argument(0, &self.stream),
        ];
        let [beta1, beta2, rest1, rest2, rate, epsilon] = step_arguments::<T>(step);
        let rest = [
            beta1,
            beta2,
            rest1,
            rest2,
            rate,
            epsilon,
            first_moment.argument(0, &self.stream),
            second_moment.argument(0, &self.stream),
            weight.argument(0, &self.stream),
        ];
        let kernel = match cut.large {
            true => &self.kernels.relative_adam_large,
            false => &self.kernels.relative_adam_small,
        };
        launch::launch(&self.stream, kernel, tile_grid(&cut)?, &[&arguments, &rest])
    }

    /// The product and the step are one kernel: it needs none.
    fn relative_adam_scratch(&self, _dim: usize) -> Shape {
        Shape::new(1, 1)
    }
}

/// β₁, β₂, 1 − β₁, 1 − β₂, the rate and ε, rounded as the host rounds them.
fn step_arguments<T: DeviceScalar>(step: &Adam) -> [Argument; 6] {
    [
        step.beta1,
        step.beta2,
        1.0 - step.beta1,
        1.0 - step.beta2,
        step.rate,
        step.epsilon,
    ]
    .map(|number| T::from_f64(number).argument())
}
