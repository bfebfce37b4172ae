//! Certified bounds of a spectral norm against norms that are known.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use detfree_core::reference::Heap;
use detfree_core::{Dense, Error, Key, Scalar, Shape};
use detfree_flows::SpectralBound;

/// Of an m×n matrix, row-major.
type Plain = Vec<f64>;

fn batch<T: Scalar>(rows: usize, dim: usize, values: &[f64]) -> Dense<Vec<T>> {
    let values = values.iter().map(|&x| T::from_f64(x)).collect();
    Dense::new(Shape::new(rows, dim), values).unwrap()
}

fn normals(key: Key, rows: usize, dim: usize) -> Plain {
    let normal = |i: usize| key.normal((i / dim) as u64, (i % dim) as u32);
    (0..rows * dim).map(normal).collect()
}

/// The norm of what a batch holds, by power iteration in double precision: from below, and after so
/// many steps to some 1e-6 of it.
fn norm<T: Scalar>(w: &Dense<Vec<T>>) -> f64 {
    let Shape { rows, dim } = w.shape();
    let w: Plain = w.as_slice().iter().map(|x| x.to_f64()).collect();
    let mut v = normals(Key::new(9), 1, dim);
    let mut sigma = 0.0;
    for _ in 0..3_000 {
        let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        v.iter_mut().for_each(|x| *x /= length);
        let u: Plain = w
            .chunks_exact(dim)
            .map(|w| w.iter().zip(&v).map(|(w, v)| w * v).sum())
            .collect();
        sigma = u.iter().map(|x| x * x).sum::<f64>().sqrt();
        for (j, v) in v.iter_mut().enumerate() {
            *v = (0..rows).map(|i| w[i * dim + j] * u[i]).sum();
        }
    }
    sigma
}

fn gaussian_bounds<T: Scalar>(most: f64) {
    let b = Heap::<T>::new();
    for (rows, dim) in [
        (1, 1),
        (1, 9),
        (9, 1),
        (5, 5),
        (64, 128),
        (128, 64),
        (90, 90),
    ] {
        for scale in [1.0, 1e-9, 1e9] {
            let values = normals(Key::new(dim as u64), rows, dim);
            let values: Plain = values.iter().map(|x| scale * x).collect();
            let w = batch::<T>(rows, dim, &values);
            let bound = SpectralBound::new(&b, &w).unwrap().get();
            let norm = norm(&w);
            assert!(bound >= norm, "{rows}×{dim}: {bound} < {norm}");
            assert!(bound <= most * norm, "{rows}×{dim}: {bound} ≫ {norm}");
        }
    }
}

/// From above, and close: MATH gives an excess of at most 0.1% at p = 32 for Gaussian matrices; in
/// `f32` rounding may add 128² ε/2 = 0.1%.
#[test]
fn bounds_are_bounds_and_close() {
    gaussian_bounds::<f64>(1.004);
    gaussian_bounds::<f32>(1.006);
}

/// n equal singular values are the worst case: n^(1/64).
#[test]
fn orthogonal_matrices_are_the_worst() {
    let b = Heap::<f64>::new();
    for n in [2, 16, 128] {
        let unit: Plain = (0..n * n)
            .map(|i| f64::from(u8::from(i % (n + 1) == 0)))
            .collect();
        let bound = SpectralBound::new(&b, &batch(n, n, &unit)).unwrap().get();
        let expected = (n as f64).powf(1.0 / 64.0);
        assert!(bound >= expected && bound < expected * (1.0 + 1e-9), "{n}");
    }
}

/// 300 steps of a walk that would leave the limit: the true norm never exceeds it, nor does the
/// bound.
fn walk<T: Scalar>(rows: usize, dim: usize) {
    let b = Heap::<T>::new();
    let limit = 0.9;
    let mut w = batch::<T>(rows, dim, &vec![0.0; rows * dim]);
    let mut bound = SpectralBound::new(&b, &w).unwrap();
    let (mut shrunk, mut largest) = (0, 0.0_f64);
    for step in 0..300 {
        let noise = normals(Key::new(1).fold_in(step), rows, dim);
        for (w, noise) in w.as_mut_slice().iter_mut().zip(noise) {
            // A drift that alone would double the norm ten times.
            *w = T::from_f64(w.to_f64() * 1.01 + 0.003 * noise);
        }
        let before = norm(&w);
        bound.limit(&b, &mut w, limit).unwrap();
        let norm = norm(&w);
        shrunk += u32::from(norm < 0.9999 * before);
        assert!(bound.get() >= norm && bound.get() <= limit, "{rows}×{dim}");
        largest = largest.max(norm);
    }
    assert!(shrunk > 10, "{shrunk}: the limit was not reached");
    // The certificate does not keep the weight far below the limit either.
    assert!(largest > 0.99 * limit, "{largest}");
}

#[test]
fn limited_weights_stay_below_the_limit() {
    walk::<f32>(12, 20);
    walk::<f32>(20, 12);
    walk::<f64>(15, 15);
}

/// Many singular values above the limit at once, as of a net's weights after a step of Adam: they come down to
/// it, and those a fifth below keep what they have, where scaling would take a tenth from them.
fn crowd<T: Scalar>(rows: usize, dim: usize) {
    let b = Heap::<T>::new();
    let n = rows.min(dim);
    let limit = 0.9;
    // Diagonal: half 1.05 of the limit, half 0.8 of it.
    let mut values = vec![0.0; rows * dim];
    for i in 0..n {
        values[i * dim + i] = limit * if i % 2 == 0 { 1.05 } else { 0.8 };
    }
    let mut w = batch::<T>(rows, dim, &values);
    let mut bound = SpectralBound::new(&b, &w).unwrap();
    bound.limit(&b, &mut w, limit).unwrap();
    assert!(bound.get() <= limit && norm(&w) <= limit);
    let diagonal = |i: usize| w.as_slice()[i * dim + i].to_f64() / limit;
    for i in 0..n {
        let (least, most) = if i % 2 == 0 {
            (0.9, 1.0)
        } else {
            (0.78, 0.8 + 1e-6)
        };
        let x = diagonal(i);
        assert!(x > least && x <= most, "{rows}×{dim}, {i}: {x}");
    }
}

#[test]
fn a_crowd_is_clipped_and_not_scaled() {
    crowd::<f64>(64, 64);
    crowd::<f32>(128, 64);
    crowd::<f32>(64, 128);
}

/// A weight so far above the limit that rounding of its singular values is as large as what is to be left of
/// them: it is scaled, and stays the same map but for a factor.
#[test]
fn a_weight_far_above_is_scaled_and_not_lost() {
    let b = Heap::<f32>::new();
    for (rows, dim) in [(40, 30), (30, 40), (3, 3)] {
        let values: Plain = normals(Key::new(2), rows, dim)
            .iter()
            .map(|x| 1e7 * x)
            .collect();
        let mut w = batch::<f32>(rows, dim, &values);
        let mut bound = SpectralBound::new(&b, &w).unwrap();
        bound.limit(&b, &mut w, 0.9).unwrap();
        let norm = norm(&w);
        assert!(bound.get() <= 0.9 && norm <= 0.9 && norm > 0.6, "{norm}");
        let factor = f64::from(w.as_slice()[0]) / values[0];
        for (&x, value) in w.as_slice().iter().zip(&values) {
            assert!((f64::from(x) / (factor * value) - 1.0).abs() < 1e-5);
        }
    }
}

/// The certificate alone: a norm barely below the limit is left as it is, bit for bit; one barely above
/// it is not.
#[test]
fn certificates_are_sharp() {
    let b = Heap::<f64>::new();
    let w = batch::<f64>(30, 20, &normals(Key::new(3), 30, 20));
    let limit = norm(&w);
    for (factor, kept) in [(1.0 - 1e-9, true), (1.0 + 1e-9, false)] {
        let scaled: Plain = w.as_slice().iter().map(|x| x * factor).collect();
        let mut scaled = batch::<f64>(30, 20, &scaled);
        let before = scaled.clone();
        let mut bound = SpectralBound::new(&b, &scaled).unwrap();
        bound.limit(&b, &mut scaled, limit * (1.0 + 1e-11)).unwrap();
        assert_eq!(scaled.as_slice() == before.as_slice(), kept, "{factor}");
        assert!(norm(&scaled) <= bound.get());
        // What was made sure of is found again, and nothing else is claimed.
        let mut again = SpectralBound::new(&b, &scaled).unwrap();
        again.certify_below(&b, &scaled, bound.get()).unwrap();
        assert_eq!(again.get(), bound.get());
        again
            .certify_below(&b, &scaled, 0.999 * norm(&scaled))
            .unwrap();
        assert!(again.get() >= norm(&scaled));
    }
}

#[test]
fn zeros_infinities_and_wrong_shapes() {
    let b = Heap::<f64>::new();
    let zero = batch::<f64>(3, 2, &[0.0; 6]);
    let mut bound = SpectralBound::new(&b, &zero).unwrap();
    assert_eq!(bound.get(), 0.0);
    for odd in [f64::NAN, f64::INFINITY] {
        let mut w = batch::<f64>(3, 2, &[odd, 0.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(SpectralBound::new(&b, &w).unwrap().get(), f64::INFINITY);
        bound.certify(&b, &zero).unwrap();
        bound.limit(&b, &mut w, 0.9).unwrap();
        assert_eq!(bound.get(), f64::INFINITY);
    }
    let other = batch::<f64>(2, 3, &[0.0; 6]);
    assert!(matches!(
        bound.certify(&b, &other),
        Err(Error::Shape { .. })
    ));
}
