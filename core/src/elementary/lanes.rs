//! Sums over a slice in eight fixed lanes: vector code, and the same order on every host.

use super::Elementary;

const LANES: usize = 8;

/// How many factors of at least 2⁻¹¹³ a lane multiplies before it is scaled back: no underflow.
const FACTORS: usize = 8;

/// Σⱼ f(xⱼ)
#[inline(always)]
pub(crate) fn sum<T: Copy>(x: &[T], f: impl Fn(T) -> f64) -> f64 {
    let mut lanes = [0.0; LANES];
    let mut add = |values: &[T]| {
        for (lane, &value) in lanes.iter_mut().zip(values) {
            *lane += f(value);
        }
    };
    let eights = x.chunks_exact(LANES);
    let rest = eights.remainder();
    eights.for_each(&mut add);
    add(rest);
    lanes.iter().fold(0.0, |total, lane| total + lane)
}

/// Σⱼ ln|f(xⱼ)| as the logarithm of a product whose exponents are counted apart: one logarithm a
/// slice, and an error of ε/2 a factor.
///
/// A zero gives −∞, an infinity ∞, NaN (or both) NaN.
#[inline(always)]
pub(crate) fn sum_ln_abs<T: Copy>(x: &[T], f: impl Fn(T) -> f64) -> f64 {
    let (product, exponent) = product(x, f);
    Elementary::abs(product).ln_scaled(exponent as f64)
}

/// out_r ← out_r + Σⱼ ln|f(x_rj)| for rows of `dim` numbers, with the bits of [`sum_ln_abs`].
///
/// Eight rows share the vector code of one logarithm, which alone would take longer than the
/// product of a short row.
#[inline(always)]
pub(crate) fn add_rows_ln_abs<T: Copy>(
    x: &[T],
    dim: usize,
    out: &mut [f64],
    f: impl Fn(T) -> f64 + Copy,
) {
    let dim = dim.max(1);
    for (out, x) in out.chunks_mut(LANES).zip(x.chunks(LANES * dim)) {
        let (mut products, mut exponents) = ([1.0; LANES], [0; LANES]);
        if dim <= LANES {
            for j in 0..dim {
                let column = x.iter().skip(j).step_by(dim);
                let rows = products.iter_mut().zip(&mut exponents);
                for ((product, exponent), &value) in rows.zip(column) {
                    // Twice, as a longer row scales its factors and then the product of a lane.
                    let (factor, first) = scaled(f(value));
                    let (factor, second) = scaled(factor);
                    *product *= factor;
                    *exponent += first + second;
                }
            }
        } else {
            let rows = products.iter_mut().zip(&mut exponents);
            for ((row, exponent), x) in rows.zip(x.chunks_exact(dim)) {
                (*row, *exponent) = product(x, f);
            }
        }
        let mut logs = [0.0; LANES];
        for ((log, product), exponent) in logs.iter_mut().zip(products).zip(exponents) {
            *log = Elementary::abs(product).ln_scaled(exponent as f64);
        }
        for (out, log) in out.iter_mut().zip(logs) {
            *out += log;
        }
    }
}

/// (p, k) with Πⱼ f(xⱼ) = 2ᵏp.
#[inline(always)]
fn product<T: Copy>(x: &[T], f: impl Fn(T) -> f64) -> (f64, i64) {
    let (mut products, mut exponents) = ([1.0; LANES], [0; LANES]);
    for block in x.chunks(LANES * FACTORS) {
        let mut multiply = |values: &[T]| {
            for ((product, exponent), &value) in products.iter_mut().zip(&mut exponents).zip(values)
            {
                let (factor, shift) = scaled(f(value));
                *product *= factor;
                *exponent += shift;
            }
        };
        let eights = block.chunks_exact(LANES);
        let rest = eights.remainder();
        eights.for_each(&mut multiply);
        multiply(rest);
        for (product, exponent) in products.iter_mut().zip(&mut exponents) {
            let (factor, shift) = scaled(*product);
            *product = factor;
            *exponent += shift;
        }
    }
    let product = products.iter().fold(1.0, |all, product| all * product);
    (product, exponents.iter().sum())
}

/// (s, k) with x = 2ᵏs and s in [2⁻⁶¹, 2³), from 2⁻¹¹³ where x is subnormal; 0, ∞ and NaN stay.
#[inline(always)]
fn scaled(x: f64) -> (f64, i64) {
    // The upper five of eleven exponent bits: 2ᵏ and 2⁻ᵏ are then both normal, whatever x is.
    let exponent = (x.to_bits() >> 52) & 0b111_1100_0000;
    let shift = f64::from_bits((962 + 1023 - exponent) << 52);
    (x * shift, exponent as i64 - 962)
}
