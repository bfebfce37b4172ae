//! The explicit Jacobians of a flow's blocks at some rows, in double precision.

use detfree::faer::Faer;
use detfree::flows::mlp::{Mlp, MlpTape};
use detfree::flows::residual::ResidualParameters;
use detfree::{Allocate, Backend, Fill, Key, Operator, Shape};

use crate::turns::Outcome;

/// Of every block, the Jacobian of its net at every row, row-major, when `rows` go through the flow.
///
/// # Errors
/// For parameters that are no flow's.
pub fn jacobians(parameters: &ResidualParameters, rows: &[f64]) -> Outcome<Vec<Vec<Vec<f64>>>> {
    let b = Faer::<f64>::sequential();
    let mut z = rows.to_vec();
    let mut found = Vec::new();
    for block in &parameters.blocks {
        let dim = block.shift.len();
        let shape = Shape::new(z.len() / dim, dim);
        let hidden = block.layers.iter().map(|layer| layer.bias.len());
        let widths: Vec<usize> = std::iter::once(dim).chain(hidden).collect();
        let mut net = Mlp::random(&b, &widths, block.activations[0], 1.0, Key::new(0))?;
        for (to, from) in net.layers_mut().iter_mut().zip(&block.layers) {
            to.weight.as_mut_slice().copy_from_slice(&from.weight);
            to.bias.as_mut_slice().copy_from_slice(&from.bias);
        }
        net.activations_mut().clone_from_slice(&block.activations);

        let mut x = b.batch(shape)?;
        let [mut g, mut basis, mut row] = [b.batch(shape)?, b.batch(shape)?, b.batch(shape)?];
        b.upload(&z, &mut x)?;
        let mut tape = MlpTape::new(&b, &net, shape.rows)?;
        let mut op = tape.linearise(&b, &net, &x, &mut g)?;
        let mut matrices = vec![Vec::with_capacity(dim * dim); shape.rows];
        for i in 0..dim {
            // Row i of J is Jᵀ e_i.
            b.fill(Fill::Basis(i), &mut basis)?;
            op.vjp(&b, 0..shape.rows, &basis, &mut row)?;
            for (matrix, row) in matrices.iter_mut().zip(row.as_slice().chunks_exact(dim)) {
                matrix.extend_from_slice(row);
            }
        }
        found.push(matrices);
        for (z, g) in z.chunks_exact_mut(dim).zip(g.as_slice().chunks_exact(dim)) {
            let affine = block.log_scale.iter().zip(&block.shift);
            for ((z, g), (s, t)) in z.iter_mut().zip(g).zip(affine) {
                *z = s.exp() * (*z + g) + t;
            }
        }
    }
    Ok(found)
}
