//! From a maximum in whitened coordinates to sources with units, an order and a sign.

use alloc::vec::Vec;

use detfree_core::reference::Heap;
use detfree_core::{Backend, Dense, DenseBackend, Fill, Op, Shape};

use super::curvature::interference;
use super::rows::{Point, square};
use super::whitening::Whitening;
use super::{Source, Sources};

/// A source, its weights on the data, and what one standard deviation of it adds to every column.
struct Found {
    weights: Vec<f64>,
    column: Vec<f64>,
    source: Source,
}

/// The sources of a point, by falling share of the variance; `None` where its W is singular.
pub(super) fn arrange(whitening: &Whitening, point: &Point, count: usize) -> Option<Sources> {
    let dim = point.power.len();
    let inverse = columns_of_inverse(&point.layer, dim)?;
    let layers = point.layer.chunks_exact(dim + 1).zip(&point.power);
    let foreign = interference(point, count);
    let mut found: Vec<Found> = layers
        .zip(inverse.chunks_exact(dim).zip(foreign))
        .map(|((layer, power), (column, interference))| {
            let scale = libm::sqrt(*power);
            let mut standardised = alloc::vec![0.0; dim];
            whitening.unwhiten(column, &mut standardised);
            let largest = |m: f64, &a: &f64| if a.abs() > m.abs() { a } else { m };
            let sign = standardised.iter().fold(0.0, largest).signum();
            let share = standardised.iter().map(|a| a * a).sum::<f64>() * power / dim as f64;
            let deviations = standardised.iter().zip(whitening.scale());
            let mut weights: Vec<f64> = layer.iter().take(dim).map(|w| w * sign / scale).collect();
            whitening.unwhiten_weights(&mut weights);
            Found {
                weights,
                column: deviations.map(|(a, s)| a * s * sign * scale).collect(),
                source: Source {
                    scale,
                    shift: sign * layer.last().copied().unwrap_or_default(),
                    explained_variance: share,
                    interference,
                },
            }
        })
        .collect();
    found.sort_by(|a, b| {
        let shares = [a, b].map(|found| found.source.explained_variance);
        shares[1].total_cmp(&shares[0])
    });

    let mean = whitening.mean().to_vec();
    let weight: Vec<f64> = found.iter().flat_map(|f| &f.weights).copied().collect();
    let bias = (weight.chunks_exact(dim))
        .map(|w| -w.iter().zip(&mean).map(|(w, m)| w * m).sum::<f64>())
        .collect();
    let mixing = (0..dim)
        .flat_map(|i| found.iter().filter_map(move |f| f.column.get(i).copied()))
        .collect();
    Some(Sources {
        weight,
        bias,
        mixing,
        mean,
        each: found.into_iter().map(|f| f.source).collect(),
    })
}

/// Row i of the result is column i of W⁻¹, for [W b].
fn columns_of_inverse(layer: &[f64], dim: usize) -> Option<Vec<f64>> {
    let host = Heap::<f64>::new();
    let mut columns = Dense::on_heap(Shape::new(dim, dim));
    let Ok(()) = host.fill(Fill::Identity, &mut columns);
    let Ok(solvable) = host.solve(&mut square(layer, dim), Op::Plain, &mut columns);
    solvable.then(|| columns.as_slice().to_vec())
}
