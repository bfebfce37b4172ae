//! A trained model on the host, and its file.

mod density;
mod file;
mod flow;

use alloc::string::String;
use alloc::vec::Vec;

use detfree_core::{BaseDensity, Scalar};

use crate::{Squash, Standardisation};

pub use density::{Density, LogLikelihoods, Samples};
pub use file::ModelError;
pub use flow::FlowParameters;

/// The type of the numbers a model computes with, and its file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// `f32`
    Single,
    /// `f64`
    Double,
}

/// A density of rows of a table: a logit where there is one, standardisation, then a flow.
///
/// [`Model::to_bytes`] and [`Model::from_bytes`] are the model file, in the safetensors format.
///
/// ```
/// use detfree_core::{Activation, Affine, BaseDensity};
/// use detfree_flows::{FlowParameters, Model, Precision, RelativeParameters, Standardisation};
/// let model = Model {
///     columns: vec!["x".into()],
///     dequantized: vec![],
///     seed: 0,
///     precision: Precision::Double,
///     squash: None,
///     standardisation: Standardisation { mean: vec![1.0], scale: vec![2.0] },
///     base: BaseDensity::Normal,
///     flow: FlowParameters::Relative(RelativeParameters {
///         activation: Activation::Identity,
///         layers: vec![Affine { weight: vec![1.5], bias: vec![0.0] }],
///     }),
/// };
/// let bytes = model.to_bytes().unwrap();
/// assert_eq!(Model::from_bytes(&bytes).unwrap(), model);
/// assert!(Model::from_bytes(&bytes[1..]).is_err());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The names of the columns, in order; their number is the dimension.
    pub columns: Vec<String>,
    /// The columns to whose whole numbers uniform noise of one unit was added.
    pub dequantized: Vec<usize>,
    /// The seed of training, and of that noise.
    pub seed: u64,
    /// What the flow was trained with.
    pub precision: Precision,
    /// What happens to a row before it is standardised.
    pub squash: Option<Squash>,
    /// How a row becomes the flow's input.
    pub standardisation: Standardisation,
    /// Of the flow's output.
    pub base: BaseDensity,
    /// What the flow has learned.
    pub flow: FlowParameters,
}

impl Model {
    /// The dimension.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.columns.len()
    }

    /// Row-major `rows`, in the data's own units, as the flow takes them; numbers behind the last whole row are
    /// left out.
    #[must_use]
    pub fn inputs<T: Scalar>(&self, rows: &[f64]) -> Vec<T> {
        let mut row = alloc::vec![0.0; self.dim()];
        let mut inputs = Vec::with_capacity(rows.len());
        for from in rows.chunks_exact(self.dim().max(1)) {
            row.copy_from_slice(from);
            if let Some(squash) = self.squash {
                squash.apply(&mut row);
            }
            self.standardisation.apply(&mut row);
            inputs.extend(row.iter().map(|&x| T::from_f64(x)));
        }
        inputs
    }

    /// log|det ∂input/∂row| at a row in the data's own units.
    #[must_use]
    pub fn log_jacobian(&self, row: &[f64]) -> f64 {
        let squash = self.squash.map_or(0.0, |squash| squash.log_jacobian(row));
        squash + self.standardisation.log_jacobian()
    }

    /// input ← the row in the data's own units whose input it is; columns that were dequantised are
    /// whole numbers again, with a logit 0 to levels − 1. The margins of λ beyond, in which the flow has
    /// a density that no whole number has, go to the nearest level.
    pub fn invert_input(&self, input: &mut [f64]) {
        self.standardisation.invert(input);
        if let Some(squash) = self.squash {
            squash.invert(input);
        }
        for &column in &self.dequantized {
            if let Some(x) = input.get_mut(column) {
                *x = libm::floor(*x);
                if let Some(squash) = self.squash {
                    *x = x.clamp(0.0, (squash.levels - 1.0).max(0.0));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::relative::RelativeParameters;

    /// λ = 0.2: four tenths of all p are margins, whose floors are −4 to −1 and 10 to 13.
    #[test]
    fn whole_numbers_of_a_logit_stay_in_its_range() {
        let squash = Squash {
            lambda: 0.2,
            levels: 10.0,
        };
        let model = Model {
            columns: vec!["x".into()],
            dequantized: vec![0],
            seed: 0,
            precision: Precision::Double,
            squash: Some(squash),
            standardisation: Standardisation {
                mean: vec![0.5],
                scale: vec![2.0],
            },
            base: BaseDensity::Normal,
            flow: FlowParameters::Relative(RelativeParameters {
                activation: detfree_core::Activation::Identity,
                layers: vec![],
            }),
        };
        for (input, whole) in [
            (-1e3, 0.0),
            (-1.0, 0.0),
            (-0.2, 5.0),
            (0.6, 9.0),
            (1e3, 9.0),
        ] {
            let mut row = [input];
            model.invert_input(&mut row);
            assert_eq!(row, [whole], "{input}");
            for noise in [1e-9, 1.0 - 1e-9] {
                assert!(model.log_jacobian(&[row[0] + noise]).is_finite());
            }
        }
    }
}
