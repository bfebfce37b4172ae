//! What is claimed of the rounding of exact log-determinants, against double precision.

use detfree_core::reference::Heap;
use detfree_core::{Activation, BaseDensity, Draw, Key, Scalar, Shape};
use detfree_flows::residual::{
    Accuracy, Estimator, ResidualFlow, ResidualOptions, ResidualParameters, Tape,
};

const ROWS: usize = 200;

/// One block with biases of order 1, as single precision stores it.
fn stored(dim: usize, hidden: &[usize], activation: Activation) -> ResidualParameters {
    let b = Heap::<f32>::new();
    let options = ResidualOptions {
        blocks: 1,
        hidden: hidden.to_vec(),
        activation,
        lipschitz: 0.9,
        base: BaseDensity::Normal,
    };
    let flow = ResidualFlow::random(&b, dim, &options, Key::new(5)).unwrap();
    flow.to_parameters(&b).unwrap()
}

/// Of every row, log det(I + J) and the bound of its rounding.
fn log_dets<T: Scalar>(parameters: &ResidualParameters, dim: usize, x: &[f32]) -> Vec<(f64, f64)> {
    let b = Heap::<T>::new();
    let flow = ResidualFlow::from_parameters(&b, dim, parameters, BaseDensity::Normal).unwrap();
    let x: Vec<T> = x.iter().map(|&x| T::from_f64(f64::from(x))).collect();
    let exact = Accuracy::Exact {
        most_products: u64::MAX,
    };
    let scores = flow.score(&b, &x, exact, Key::new(1), 1).unwrap();
    // The image, for the base's share of each score.
    let shape = Shape::new(ROWS, dim);
    let mut tape = Tape::new(&b, &flow, shape, Estimator::Explicit).unwrap();
    let mut log = [0.0; ROWS];
    tape.log_density(&b, &flow, &x, Draw::new(Key::new(1)), &mut log)
        .unwrap();
    let images = tape.output().as_slice().chunks_exact(dim);
    let mut slopes = vec![T::default(); dim];
    let of_row = |(row, image): (&detfree_flows::residual::RowScore, &[T])| {
        let base = BaseDensity::Normal.log_density_and_score(image, &mut slopes);
        (row.log_density - base, row.rounding)
    };
    scores.rows.iter().zip(images).map(of_row).collect()
}

/// In single precision, from rows of order 1 to far outliers, no error is above its bound. Bounds without
/// the rounding of pre-activations, which grows with a row's norm, fail here.
#[test]
fn single_precision_keeps_to_its_bounds() {
    let activations = [
        Activation::Sine,
        Activation::Tanh,
        Activation::Elu,
        Activation::LipSwish { beta: 1.5 },
    ];
    let nets: [(usize, &[usize]); 4] = [(1, &[1]), (3, &[8, 8]), (4, &[64]), (8, &[24, 24])];
    for activation in activations {
        let mut sharpest = f64::INFINITY;
        for (dim, hidden) in nets {
            let parameters = stored(dim, hidden, activation);
            for scale in [1.0, 30.0, 1e3, 1e4] {
                let x: Vec<f32> = (0..ROWS * dim)
                    .map(|i| scale * Key::new(8).normal((i / dim) as u64, (i % dim) as u32))
                    .map(|x| x as f32)
                    .collect();
                let single = log_dets::<f32>(&parameters, dim, &x);
                let double = log_dets::<f64>(&parameters, dim, &x);
                for ((log_det, bound), (truth, rounding)) in single.into_iter().zip(double) {
                    // The base's density was added, and is taken away again.
                    let noise = 1e-15 * scale * scale * dim as f64 * 16.0;
                    let error = (log_det - truth).abs();
                    assert!(
                        error <= bound + rounding + noise,
                        "{activation:?} {dim} {hidden:?} {scale}: {error:e} {bound:e}"
                    );
                    // Bounds of use where rows are of order 1, and not idle.
                    assert!(scale > 1.0 || bound < 1e-2, "{bound:e}");
                    assert!(rounding < 1e-5, "{rounding:e}");
                    if error > 4.0 * noise {
                        sharpest = sharpest.min(bound / error);
                    }
                }
            }
        }
        assert!(sharpest < 100.0, "{activation:?} {sharpest}");
    }
}

/// A row's bound is its own: an outlier among rows of order 1 leaves theirs alone, and one beyond what sines
/// are computed for has none.
#[test]
fn bounds_are_of_rows() {
    let parameters = stored(1, &[1], Activation::Sine);
    let mut x = vec![0.5_f32; ROWS];
    let usual = log_dets::<f32>(&parameters, 1, &x);
    x[7] = 1e4;
    x[8] = 1e9;
    let bounds = log_dets::<f32>(&parameters, 1, &x);
    assert_eq!(bounds[0], usual[0]);
    assert!(bounds[7].1 > 100.0 * usual[7].1 && bounds[7].1.is_finite());
    assert!(bounds[8].1.is_infinite());
}
