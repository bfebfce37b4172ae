//! Activations, base densities and random numbers, one at a time.

use detfree_core::{Activation, BaseDensity, Key, Scalar};

#[unsafe(no_mangle)]
extern "C" fn detfree_activation_f32(kind: u32, alpha: f64, beta: f64, x: f64) -> f64 {
    activation::<f32>(kind, alpha, beta, x).unwrap_or(f64::NAN)
}

#[unsafe(no_mangle)]
extern "C" fn detfree_activation_f64(kind: u32, alpha: f64, beta: f64, x: f64) -> f64 {
    activation::<f64>(kind, alpha, beta, x).unwrap_or(f64::NAN)
}

/// |σ⁻¹(σ(x)) − x| for a bijection, |σ(x)| beyond its Lipschitz bound for the others (negative where
/// it holds); NaN for refused parameters.
fn activation<T: Scalar>(kind: u32, alpha: f64, beta: f64, x: f64) -> Option<f64> {
    let sigma = match kind {
        0 => Activation::Identity,
        1 => Activation::LeakySoftplus { alpha },
        2 => Activation::TanhLinear { alpha, beta },
        3 => Activation::Tanh,
        4 => Activation::Elu,
        5 => Activation::Sine,
        _ => Activation::LipSwish { beta },
    };
    sigma.check().ok()?;
    let x = [T::from_f64(x); 3];
    let ([mut z, mut d1, mut d2], mut score) = ([[T::default(); 3]; 3], [T::default(); 3]);
    sigma.jets(&x, &mut z, &mut d1, &mut d2);
    let log = sigma.bijection(&x, &mut z, &mut d1, &mut score);
    let error = if sigma.is_bijection() {
        sigma.inverse(z[0]).to_f64() - x[0].to_f64()
    } else {
        let name = sigma.name().len() as f64;
        (z[0].to_f64().abs() - sigma.lipschitz() * x[0].to_f64().abs()).max(-name)
    };
    // The logarithm belongs to the result, so that it is linked too.
    if log.is_nan() { None } else { Some(error) }
}

/// log p and its quantile function at once: the quantile of u, whose density must not be NaN.
#[unsafe(no_mangle)]
extern "C" fn detfree_quantile(kind: u32, u: f64) -> f64 {
    let base = match kind {
        0 => BaseDensity::Normal,
        1 => BaseDensity::HyperbolicSecant,
        _ => BaseDensity::Logistic,
    };
    let x = base.quantile(u);
    let mut score = [0.0; 1];
    let log_density = base.log_density_and_score(&[x], &mut score);
    if log_density.is_nan() { f64::NAN } else { x }
}

/// A sum of one draw of every kind.
#[unsafe(no_mangle)]
extern "C" fn detfree_draws(seed: u64, row: u64, column: u32, bound: usize) -> f64 {
    let key = Key::new(seed).fold_in(row);
    let sign = f64::from(key.sign(row, column));
    sign + key.normal(row, column) + key.uniform(row, column) + key.below(row, bound) as f64
}
