//! The density of a residual flow the long way: plain loops, a Jacobian by differences, elimination.

use detfree_core::{Activation, Affine, BaseDensity};
use detfree_flows::residual::{BlockParameters, ResidualParameters};

/// σ, as written in the papers.
fn sigma(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Tanh => x.tanh(),
        Activation::Sine => x.sin(),
        Activation::Elu => {
            if x > 0.0 {
                x
            } else {
                x.exp_m1()
            }
        }
        Activation::LipSwish { beta } => x / (1.0 + (-beta * x).exp()) / 1.1,
        Activation::LeakySoftplus { alpha } => alpha * x + (1.0 - alpha) * x.exp().ln_1p(),
        // The others are not used here; an oversight makes every comparison fail.
        _ => f64::NAN,
    }
}

fn net(block: &BlockParameters, x: &[f64]) -> Vec<f64> {
    let mut z = x.to_vec();
    for (l, Affine { weight, bias }) in block.layers.iter().enumerate() {
        let inputs = z.len();
        let products = weight.chunks_exact(inputs).zip(bias);
        z = products
            .map(|(w, b)| w.iter().zip(&z).map(|(w, z)| w * z).sum::<f64>() + b)
            .collect();
        if let Some(&activation) = block.activations.get(l) {
            z.iter_mut().for_each(|z| *z = sigma(activation, *z));
        }
    }
    z
}

/// z_m
pub(crate) fn forward(flow: &ResidualParameters, x: &[f64]) -> Vec<f64> {
    let mut z = x.to_vec();
    for block in &flow.blocks {
        let g = net(block, &z);
        for (j, z) in z.iter_mut().enumerate() {
            *z = block.log_scale[j].exp() * (*z + g[j]) + block.shift[j];
        }
    }
    z
}

/// log p(x) for a normal base, to about 1e-9.
pub(crate) fn log_density(flow: &ResidualParameters, x: &[f64]) -> f64 {
    let dim = x.len();
    let h = 1e-5;
    let mut jacobian = vec![0.0; dim * dim];
    for j in 0..dim {
        let moved = |h: f64| {
            let mut x = x.to_vec();
            x[j] += h;
            forward(flow, &x)
        };
        // Fourth order: (8 (f(h) − f(−h)) − (f(2h) − f(−2h)))/12h.
        let (a, b) = (moved(h), moved(-h));
        let (c, d) = (moved(2.0 * h), moved(-2.0 * h));
        for i in 0..dim {
            jacobian[i * dim + j] = (8.0 * (a[i] - b[i]) - (c[i] - d[i])) / (12.0 * h);
        }
    }
    let z = forward(flow, x);
    let mut score = vec![0.0; dim];
    BaseDensity::Normal.log_density_and_score(&z, &mut score) + log_abs_det(jacobian, dim)
}

fn log_abs_det(mut a: Vec<f64>, n: usize) -> f64 {
    let mut log = 0.0;
    for k in 0..n {
        let pivot = (k..n).max_by(|&i, &j| a[i * n + k].abs().total_cmp(&a[j * n + k].abs()));
        let pivot = pivot.unwrap();
        for j in 0..n {
            a.swap(k * n + j, pivot * n + j);
        }
        log += a[k * n + k].abs().ln();
        for i in k + 1..n {
            let factor = a[i * n + k] / a[k * n + k];
            for j in k..n {
                a[i * n + j] -= factor * a[k * n + j];
            }
        }
    }
    log
}
