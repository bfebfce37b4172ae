//! A trained model on the host, and its file.

mod file;

use alloc::string::String;
use alloc::vec::Vec;

use detfree_core::{Activation, Affine, BaseDensity};

use crate::Standardisation;

pub use file::ModelError;

/// The type of the numbers a model computes with, and its file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// `f32`
    Single,
    /// `f64`
    Double,
}

/// A density of rows of a table: standardisation, then a relative-gradient flow.
///
/// [`Model::to_bytes`] and [`Model::from_bytes`] are the model file, in the safetensors format.
///
/// ```
/// use detfree_core::{Activation, Affine, BaseDensity};
/// use detfree_flows::{Model, Precision, Standardisation};
/// let model = Model {
///     columns: vec!["x".into()],
///     dequantized: vec![],
///     seed: 0,
///     precision: Precision::Double,
///     standardisation: Standardisation { mean: vec![1.0], scale: vec![2.0] },
///     activation: Activation::Identity,
///     base: BaseDensity::Normal,
///     layers: vec![Affine { weight: vec![1.5], bias: vec![0.0] }],
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
    /// How a row becomes the flow's input.
    pub standardisation: Standardisation,
    /// Between layers.
    pub activation: Activation,
    /// Of the flow's output.
    pub base: BaseDensity,
    /// Row-major, from the input's layer.
    pub layers: Vec<Affine<Vec<f64>>>,
}

impl Model {
    /// The dimension.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.columns.len()
    }
}
