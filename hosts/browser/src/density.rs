//! The density that has been learned: figures of points, pictures and samples, in the data's own units.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use detfree_core::{Dense, Key, Scalar, Shape};
use detfree_flows::relative::RelativeFlow;
use detfree_flows::residual::{Estimator, ResidualFlow};
use detfree_flows::{FlowParameters, Model};
use detfree_flows::{relative, residual};

use crate::Host;
use crate::course::sentence;

/// How far a sample may be from the exact preimage of its draw in a block, in standardised units: less
/// than a pixel shows, and more than single precision rounds.
const TO_WITHIN: f64 = 1e-3;

/// A model where it can be asked.
pub struct Density {
    model: Model,
    flow: Flow,
}

enum Flow {
    Relative(RelativeFlow<Host>, Box<relative::Evaluator<Host>>),
    Residual(ResidualFlow<Host>, residual::Evaluator<Host>),
}

impl Density {
    /// The density of a model.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn new(model: Model) -> Result<Self, String> {
        let (dim, base) = (model.dim(), model.base);
        let b = Host::new();
        let flow = match &model.flow {
            FlowParameters::Relative(flow) => {
                let flow = RelativeFlow::from_layers(&b, dim, &flow.layers, flow.activation, base);
                let flow = flow.map_err(sentence)?;
                let Ok(evaluator) = relative::Evaluator::new(&b, &flow, dim);
                Flow::Relative(flow, Box::new(evaluator))
            }
            FlowParameters::Residual(parameters) => {
                let flow = ResidualFlow::from_parameters(&b, dim, parameters, base);
                let flow = flow.map_err(sentence)?;
                // Explicit Jacobians: two products a point and block, and no variance.
                let evaluator = residual::Evaluator::new(&b, &flow, Estimator::Explicit, 256, 1);
                Flow::Residual(flow, evaluator.map_err(sentence)?)
            }
        };
        Ok(Self { model, flow })
    }

    /// What is asked.
    #[must_use]
    pub const fn model(&self) -> &Model {
        &self.model
    }

    /// log p of points, x and y by turns.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn log_density(&mut self, points: &[f64]) -> Result<Vec<f64>, String> {
        let mut figures = Vec::with_capacity(points.len() / 2);
        let (b, inputs) = (Host::new(), self.model.inputs(points));
        let found = match &mut self.flow {
            Flow::Relative(flow, evaluator) => {
                evaluator.log_density(&b, flow, &inputs, &mut figures)
            }
            Flow::Residual(flow, evaluator) => evaluator
                .log_density(&b, flow, &inputs, Key::new(0), &mut figures)
                .map(|_| ()),
        };
        found.map_err(sentence)?;
        let log_jacobian = self.model.standardisation.log_jacobian();
        figures
            .iter_mut()
            .for_each(|figure| *figure += log_jacobian);
        Ok(figures)
    }

    /// Samples, x and y by turns: the same draws of the base density for the same key, so that samples
    /// move as the flow does.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn sample(&self, key: Key, count: usize) -> Result<Vec<f64>, String> {
        let shape = Shape::new(count, self.model.dim());
        let (b, mut z) = (Host::new(), Dense::on_heap(shape));
        match &self.flow {
            Flow::Relative(flow, _) => flow.sample(&b, key, 0, &mut z).map_err(sentence)?,
            Flow::Residual(flow, _) => {
                let found = flow.sample(&b, key, 0, TO_WITHIN, &mut z);
                found.map_err(
                    |_| "A block was not inverted to the accuracy that a picture needs.",
                )?;
            }
        }
        let mut rows: Vec<f64> = z.as_slice().iter().map(|x| x.to_f64()).collect();
        for row in rows.chunks_exact_mut(shape.dim) {
            self.model.invert_input(row);
        }
        Ok(rows)
    }
}
