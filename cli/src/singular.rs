//! Weights of a relative model that have no inverse, which densities and samples need.

use detfree::flows::{FlowParameters, Model};
use faer::Mat;

/// The least and the largest pivot of every layer's weight, with the layer's number; none of a residual
/// model.
pub(crate) fn pivots(model: &Model) -> impl Iterator<Item = (usize, [f64; 2])> {
    let dim = model.dim();
    let layers = match &model.flow {
        FlowParameters::Relative(flow) => &flow.layers[..],
        FlowParameters::Residual(_) => &[],
    };
    let ends = layers.iter().map(move |layer| {
        let weight = Mat::from_fn(dim, dim, |i, j| layer.weight[i * dim + j]);
        let lu = weight.partial_piv_lu();
        let pivots = lu.U().diagonal().column_vector();
        pivots
            .iter()
            .fold([f64::INFINITY, 0.0], |[least, most], pivot| {
                [least.min(pivot.abs()), most.max(pivot.abs())]
            })
    });
    ends.enumerate()
}
