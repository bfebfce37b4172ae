//! Densities of models in the units of the data: they integrate to one, and samples follow them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use detfree_core::reference::Heap;
use detfree_core::{Activation, Affine, BaseDensity, Error, Key};
use detfree_flows::residual::{
    Accuracy, BlockParameters, InversionError, ResidualParameters, ScoreError,
};
use detfree_flows::{
    Density, FlowParameters, Model, Precision, RelativeParameters, Squash, Standardisation,
};

const EXACT: Accuracy = Accuracy::Exact { most_products: 10 };

/// Of an inversion.
const TO_WITHIN: f64 = 1e-11;

fn numbers(row: u64, count: u32, size: f64) -> Vec<f64> {
    let normals = (0..count).map(|j| size * Key::new(3).normal(row, j));
    normals.collect()
}

fn model(flow: FlowParameters) -> Model {
    Model {
        columns: vec!["x".into(), "y".into()],
        dequantized: vec![],
        seed: 5,
        precision: Precision::Double,
        squash: None,
        standardisation: Standardisation {
            mean: vec![3.0, -7.0],
            scale: vec![0.5, 2.0],
        },
        base: BaseDensity::Normal,
        flow,
    }
}

fn relative() -> Model {
    let layer = |n: u64| Affine {
        weight: numbers(2 * n, 4, 0.1)
            .into_iter()
            .zip([1.0, 0.0, 0.0, 1.0])
            .map(|(x, one)| x + one)
            .collect(),
        bias: numbers(2 * n + 1, 2, 0.3),
    };
    model(FlowParameters::Relative(RelativeParameters {
        activation: Activation::LeakySoftplus { alpha: 0.6 },
        layers: (0..3).map(layer).collect(),
    }))
}

/// Blocks 2-4-2.
fn residual() -> Model {
    let layer = |row, inputs: u32, outputs: u32| Affine {
        weight: numbers(row, inputs * outputs, 0.3),
        bias: numbers(row + 1, outputs, 0.5),
    };
    let block = |n: u64| BlockParameters {
        layers: vec![layer(10 * n, 2, 4), layer(10 * n + 2, 4, 2)],
        activations: vec![Activation::Sine],
        log_scale: numbers(10 * n + 4, 2, 0.2),
        shift: numbers(10 * n + 5, 2, 0.2),
    };
    model(FlowParameters::Residual(ResidualParameters {
        lipschitz: 0.95,
        blocks: vec![block(1), block(2)],
    }))
}

/// Points of a grid, and the area of each.
fn grid(ranges: [[f64; 2]; 2]) -> (Vec<f64>, f64) {
    const SIDE: usize = 200;
    let [steps, starts] = [
        ranges.map(|[from, to]| (to - from) / SIDE as f64),
        ranges.map(|[from, _]| from),
    ];
    let at = |axis: usize, i: usize| starts[axis] + (i as f64 + 0.5) * steps[axis];
    let points = (0..SIDE * SIDE).flat_map(|n| [at(0, n / SIDE), at(1, n % SIDE)]);
    (points.collect(), steps[0] * steps[1])
}

/// The integral, and the mean of each column.
fn moments(model: &Model, ranges: [[f64; 2]; 2]) -> (f64, [f64; 2]) {
    let b = Heap::<f64>::new();
    let density = Density::new(&b, model.clone()).unwrap();
    let (points, area) = grid(ranges);
    let found = density.log_likelihood(&b, &points, EXACT, 1).unwrap();
    let mass = found.values.iter().map(|log| area * log.exp());
    let weighted = |c: usize| {
        let points = points.chunks_exact(2).zip(mass.clone());
        points.map(|(x, mass)| x[c] * mass).sum()
    };
    (mass.clone().sum(), [weighted(0), weighted(1)])
}

#[test]
fn densities_integrate_to_one_and_samples_follow_them() {
    let b = Heap::<f64>::new();
    for model in [relative(), residual()] {
        let (integral, means) = moments(&model, [[-9.0, 15.0], [-55.0, 41.0]]);
        assert!((integral - 1.0).abs() < 1e-3, "{integral}");

        let density = Density::new(&b, model).unwrap();
        let count = 4000;
        let samples = density
            .sample(&b, Key::new(1), 0, count, TO_WITHIN)
            .unwrap();
        for (c, want) in means.into_iter().enumerate() {
            let column = samples.rows.iter().skip(c).step_by(2);
            let mean = column.clone().sum::<f64>() / count as f64;
            let variance = column.map(|x| (x - mean).powi(2)).sum::<f64>() / count as f64;
            let error = (variance / count as f64).sqrt();
            assert!(
                (mean - want).abs() < 4.0 * error,
                "{mean} ± {error}, {want}"
            );
        }
        let residual = matches!(density.model().flow, FlowParameters::Residual(_));
        assert_eq!(samples.inversion.is_some(), residual);
        // Row 10 of the stream is row 10 wherever a piece of it begins.
        let piece = density.sample(&b, Key::new(1), 10, 1, TO_WITHIN).unwrap();
        let whole = &samples.rows[20..22];
        assert!(
            piece
                .rows
                .iter()
                .zip(whole)
                .all(|(x, y)| (x - y).abs() < 1e-9)
        );
    }
}

/// With a logit there is no density outside of its range, and all of it inside.
#[test]
fn a_logit_has_a_range() {
    let squash = Squash {
        lambda: 0.05,
        levels: 4.0,
    };
    let mut model = relative();
    model.squash = Some(squash);
    model.standardisation = Standardisation {
        mean: vec![0.1, -0.2],
        scale: vec![0.2, 0.3],
    };
    // The margins of λ are part of the range.
    let margin = squash.levels * squash.lambda / (1.0 - 2.0 * squash.lambda);
    let range = [-margin, squash.levels + margin];
    let (integral, _) = moments(&model, [range, range]);
    assert!((integral - 1.0).abs() < 1e-3, "{integral}");

    let b = Heap::<f64>::new();
    let density = Density::new(&b, model).unwrap();
    let found = density.log_likelihood(&b, &[2.0, 2.0, 2.0, range[1] + 0.1], EXACT, 1);
    let found = found.unwrap();
    assert!(found.values[0].is_finite());
    assert_eq!(found.values[1], f64::NEG_INFINITY);
}

/// Two products a row and block are less than any series takes.
#[test]
fn figures_are_exact_where_that_is_cheapest() {
    let b = Heap::<f64>::new();
    let density = Density::new(&b, residual()).unwrap();
    let rows = [3.0, -7.0, 2.0, -3.0, 4.5, -9.0];
    let exact = density.log_likelihood(&b, &rows, EXACT, 1).unwrap();
    assert!(exact.rounding.is_some_and(|bound| bound < 1e-9));
    let accuracy = Accuracy::StandardError {
        tolerance: 0.05,
        most_products: 10_000,
    };
    let found = density.log_likelihood(&b, &rows, accuracy, 1).unwrap();
    assert_eq!(found, exact);
    assert_eq!(found.mean_standard_error(), 0.0);
    // What overflows has no density, and no error that more products would take away.
    let far = [1e200, 1.0, 3.0, -7.0];
    let found = density.log_likelihood(&b, &far, EXACT, 1).unwrap();
    assert_eq!(
        (found.values[0], found.above_tolerance),
        (f64::NEG_INFINITY, 0)
    );
    assert_eq!(
        (found.values[1], found.standard_errors),
        (exact.values[0], vec![0.0; 2])
    );
    assert!(found.rounding.is_some_and(|bound| bound < 1e-9));
    let explained = density.explain(&b, accuracy).unwrap();
    assert!(explained.starts_with("exact: 2 products"), "{explained}");
}

#[test]
fn what_cannot_be_is_refused() {
    let b = Heap::<f64>::new();
    let density = Density::new(&b, relative()).unwrap();
    let ragged = density.log_likelihood(&b, &[1.0, 2.0, 3.0], EXACT, 1);
    assert!(
        matches!(ragged, Err(ScoreError::Compute(Error::Shape { .. }))),
        "{ragged:?}"
    );

    let mut singular = relative();
    if let FlowParameters::Relative(flow) = &mut singular.flow {
        flow.layers[1].weight = vec![1.0, 2.0, 2.0, 4.0];
    }
    let density = Density::new(&b, singular).unwrap();
    let found = density.log_likelihood(&b, &[1.0, 2.0], EXACT, 1);
    assert_eq!(found, Err(ScoreError::Compute(Error::Singular)));
    let found = density.sample(&b, Key::new(1), 0, 3, TO_WITHIN);
    assert_eq!(found, Err(InversionError::Compute(Error::Singular)));

    let mut steep = residual();
    if let FlowParameters::Residual(flow) = &mut steep.flow {
        flow.blocks[1].layers[0].weight[2] = 50.0;
    }
    assert!(matches!(Density::new(&b, steep), Err(Error::Schedule(_))));
}

/// A model made by hand is held to what one of a file is.
#[test]
fn what_a_file_could_not_hold_is_refused() {
    let b = Heap::<f64>::new();
    let refused = |change: &dyn Fn(&mut Model)| {
        let mut model = relative();
        change(&mut model);
        assert!(model.to_bytes().is_err());
        let density = Density::new(&b, model);
        assert!(matches!(density, Err(Error::Invalid(_))), "{density:?}");
    };
    refused(&|model| model.columns.clear());
    refused(&|model| model.standardisation.mean.truncate(1));
    refused(&|model| model.standardisation.scale.clear());
    for scale in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        refused(&|model| model.standardisation.scale[1] = scale);
    }
    refused(&|model| model.dequantized.push(2));
    refused(&|model| {
        let (lambda, levels) = (f64::NAN, 10.0);
        model.squash = Some(Squash { lambda, levels });
    });
}

/// What is missing has no density, and far out it is zero.
#[test]
fn missing_numbers_are_no_rows() {
    let b = Heap::<f64>::new();
    for model in [relative(), residual()] {
        let density = Density::new(&b, model).unwrap();
        let found = density.log_likelihood(&b, &[3.0, -7.0, f64::NAN, -7.0], EXACT, 1);
        let invalid = matches!(found, Err(ScoreError::Compute(Error::Invalid(_))));
        assert!(invalid, "{found:?}");
        let found = density.log_likelihood(&b, &[3.0, -7.0, f64::INFINITY, -7.0], EXACT, 1);
        assert_eq!(found.unwrap().values[1], f64::NEG_INFINITY);
    }
}

/// The stream of samples has 2⁶⁴ rows, and begins anew behind the last one.
#[test]
fn the_last_row_of_a_stream_is_followed_by_the_first() {
    let b = Heap::<f64>::new();
    for base in [BaseDensity::Normal, BaseDensity::Logistic] {
        let density = Density::new(&b, Model { base, ..relative() }).unwrap();
        let sample = |first, rows| {
            let sampled = density.sample(&b, Key::new(1), first, rows, TO_WITHIN);
            sampled.unwrap().rows
        };
        assert_eq!(sample(u64::MAX, 2)[2..], sample(0, 1));
    }
}
