//! Weights and data by a rule so simple that a peer in another language has the same.

use detfree::{Affine, Allocate, Backend, Scalar, Shape};

/// The stream of the data; layer l has streams 2l and 2l + 1.
const DATA: u64 = 1 << 20;

/// Uniform with mean 0 and variance 1: number `index` of a stream, by SplitMix64.
#[must_use]
pub fn unit(stream: u64, index: u64) -> f64 {
    let mut z = (stream << 40)
        .wrapping_add(index + 1)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    let fraction = ((z >> 40) as f64 + 0.5) / f64::from(1 << 24);
    12_f64.sqrt() * (fraction - 0.5)
}

/// Row-major data.
#[must_use]
pub fn rows<T: Scalar>(rows: usize, dim: usize) -> Vec<T> {
    let numbers = 0..(rows * dim) as u64;
    numbers.map(|i| T::from_f64(unit(DATA, i))).collect()
}

/// W = I + 0.5 U/√(LD), b = 0.1 u: well conditioned at every depth.
#[must_use]
pub fn layers(dim: usize, depth: usize) -> Vec<Affine<Vec<f64>>> {
    let spread = 0.5 / ((depth * dim) as f64).sqrt();
    (0..depth as u64)
        .map(|l| {
            let numbers = 0..(dim * dim) as u64;
            let mut weight: Vec<f64> = numbers.map(|i| spread * unit(2 * l, i)).collect();
            for row in 0..dim {
                weight[row * dim + row] += 1.0;
            }
            let bias = (0..dim as u64).map(|j| 0.1 * unit(2 * l + 1, j)).collect();
            Affine { weight, bias }
        })
        .collect()
}

/// The layers of a residual block's net of these widths: W = 0.95 U/(√in + √out), which is the
/// share of a norm of 0.95 where numbers are many, b = 0.1 u.
#[must_use]
pub fn net(widths: &[usize]) -> Vec<Affine<Vec<f64>>> {
    let pairs = widths.iter().zip(widths.iter().skip(1));
    pairs
        .zip(0_u64..)
        .map(|((&inputs, &outputs), l)| {
            let spread = 0.95 / ((inputs as f64).sqrt() + (outputs as f64).sqrt());
            let numbers = 0..(inputs * outputs) as u64;
            Affine {
                weight: numbers.map(|i| spread * unit(2 * l, i)).collect(),
                bias: (0..outputs as u64)
                    .map(|j| 0.1 * unit(2 * l + 1, j))
                    .collect(),
            }
        })
        .collect()
}

/// Layers where the backend computes.
///
/// # Errors
/// The device's.
pub fn upload<B: Allocate>(
    b: &B,
    dim: usize,
    host: &[Affine<Vec<f64>>],
) -> Result<Vec<Affine<B::Batch>>, B::Error> {
    let put = |values: &[f64], rows| {
        let values: Vec<B::Scalar> = values.iter().map(|&x| Scalar::from_f64(x)).collect();
        let mut batch = b.batch(Shape::new(rows, dim))?;
        b.upload(&values, &mut batch)?;
        Ok(batch)
    };
    host.iter()
        .map(|Affine { weight, bias }| {
            Ok(Affine {
                weight: put(weight, dim)?,
                bias: put(bias, 1)?,
            })
        })
        .collect()
}

/// Memory for a direction of every layer.
///
/// # Errors
/// The device's.
pub fn directions<B: Allocate>(
    b: &B,
    dim: usize,
    depth: usize,
) -> Result<Vec<Affine<B::Batch>>, B::Error> {
    (0..depth)
        .map(|_| {
            Ok(Affine {
                weight: b.batch(Shape::new(dim, dim))?,
                bias: b.batch(Shape::new(1, dim))?,
            })
        })
        .collect()
}

/// Σ x² of a batch.
///
/// # Errors
/// The device's.
pub fn squares<B: Backend>(b: &B, batch: &B::Batch) -> Result<f64, B::Error> {
    let Shape { rows, dim } = b.shape(batch);
    let mut host = vec![B::Scalar::default(); rows * dim];
    b.download(batch, &mut host)?;
    Ok(host.into_iter().map(|x| x.to_f64().powi(2)).sum())
}

/// Σ (‖ΔW‖² + ‖Δb‖²): what two programs that compute the same gradient agree on.
///
/// # Errors
/// The device's.
pub fn square<B: Backend>(b: &B, directions: &[Affine<B::Batch>]) -> Result<f64, B::Error> {
    let mut sum = 0.0;
    for batch in directions.iter().flat_map(|d| [&d.weight, &d.bias]) {
        sum += squares(b, batch)?;
    }
    Ok(sum)
}
