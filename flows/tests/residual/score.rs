//! Scores: exact ones against the long way, estimates against exact ones.

use detfree_core::reference::Heap;
use detfree_core::{Activation, BaseDensity, Key};
use detfree_flows::residual::{
    Accuracy, Estimator, ResidualFlow, ResidualOptions, RowScore, ScoreError, Scores,
};

use crate::plain;

type Host = Heap<f64>;

/// A flow at its Lipschitz bounds, of so many dimensions that a pilot of the series costs less than
/// explicit Jacobians where `dim` is large.
fn flow(dim: usize, lipschitz: f64) -> ResidualFlow<Host> {
    let b = Host::new();
    let options = ResidualOptions {
        blocks: 2,
        hidden: vec![8],
        activation: Activation::Sine,
        lipschitz,
        base: BaseDensity::Normal,
    };
    let flow = ResidualFlow::random(&b, dim, &options, Key::new(5)).unwrap();
    let mut parameters = flow.to_parameters(&b).unwrap();
    for block in &mut parameters.blocks {
        block.log_scale[0] = 0.3;
    }
    ResidualFlow::from_parameters(&b, dim, &parameters, BaseDensity::Normal).unwrap()
}

fn inputs(rows: usize, dim: usize) -> Vec<f64> {
    let normal = |i: usize| Key::new(3).normal((i / dim) as u64, (i % dim) as u32);
    (0..rows * dim).map(normal).collect()
}

fn score(flow: &ResidualFlow<Host>, x: &[f64], accuracy: Accuracy, workers: usize) -> Scores {
    let b = Host::new();
    flow.score(&b, x, accuracy, Key::new(9), workers).unwrap()
}

/// Rows whose ±2 standard errors interval covers the exact figure.
fn covered(scores: &Scores, exact: &Scores) -> usize {
    let rows = scores.rows.iter().zip(&exact.rows);
    let covers = |(row, exact): &(&RowScore, &RowScore)| {
        (row.log_density - exact.log_density).abs() <= 2.0 * row.standard_error
    };
    rows.filter(covers).count()
}

const EXACT: Accuracy = Accuracy::Exact {
    most_products: 10_000,
};

#[test]
fn exact_scores_are_exact_and_bounded() {
    let (b, dim) = (Host::new(), 3);
    let flow = flow(dim, 0.9);
    let parameters = flow.to_parameters(&b).unwrap();
    // More rows than a piece, and no whole number of pieces.
    let x = inputs(600, dim);
    let scores = score(&flow, &x, EXACT, 2);
    assert_eq!(scores.estimator, Estimator::Explicit);
    assert_eq!(scores.rows.len(), 600);
    for (x, row) in x.chunks_exact(dim).zip(&scores.rows).step_by(7) {
        assert!((row.log_density - plain::log_density(&parameters, x)).abs() < 1e-8);
        assert!(row.standard_error == 0.0 && row.rounding > 0.0 && row.rounding < 1e-9);
    }
    assert_eq!(score(&flow, &x, EXACT, 1), scores);
    let few = Accuracy::Exact { most_products: 5 };
    let refused = flow.score(&b, &x, few, Key::new(1), 1);
    let too_many = ScoreError::TooManyProducts { needed: 6, most: 5 };
    assert_eq!(refused, Err(too_many));
}

/// 300 dimensions, where the series is cheaper: every row's ±2 standard errors interval covers the exact
/// figure in at least 90% of cases, the errors stay below the tolerance in most rows, and the mean over
/// rows shows no bias of five of its standard errors.
#[test]
fn estimates_cover_exact_scores() {
    let dim = 300;
    let flow = flow(dim, 0.8);
    let x = inputs(200, dim);
    let exact = score(&flow, &x, EXACT, 1);
    let tolerance = 0.05;
    let wanted = Accuracy::StandardError {
        tolerance,
        most_products: 100_000,
    };
    let scores = score(&flow, &x, wanted, 2);
    assert!(matches!(scores.estimator, Estimator::Series(_)));
    let rows = || scores.rows.iter().zip(&exact.rows);
    let covered = covered(&scores, &exact);
    assert!(covered >= 180, "{covered} of 200 covered");
    assert!(scores.above_tolerance <= 40, "{}", scores.above_tolerance);
    assert_eq!(scores.limited, 0);
    let bias = rows()
        .map(|(row, exact)| row.log_density - exact.log_density)
        .sum::<f64>()
        / 200.0;
    let squares: f64 = scores
        .rows
        .iter()
        .map(|row| row.standard_error.powi(2))
        .sum();
    let error = squares.sqrt() / 200.0;
    assert!(bias.abs() < 5.0 * error, "{bias} ± {error}");
    assert!(scores.products < exact.products * 100);
}

/// Of two rows several estimates are run at once, with numbers of terms that are stratified over both.
#[test]
fn estimates_of_few_rows_cover() {
    let (b, dim) = (Host::new(), 300);
    let flow = flow(dim, 0.8);
    let x = inputs(2, dim);
    let exact = score(&flow, &x, EXACT, 1);
    let wanted = Accuracy::StandardError {
        tolerance: 0.05,
        most_products: 10_000,
    };
    let mut total = 0;
    for seed in 0..100 {
        let scores = flow.score(&b, &x, wanted, Key::new(seed), 1).unwrap();
        assert!(scores.products <= 20_000);
        total += covered(&scores, &exact);
    }
    assert!(total >= 180, "{total} of 200 covered");
}

/// What cannot be scored is no score within tolerance, however it is computed.
#[test]
fn rows_that_are_not_finite_are_counted() {
    let wanted = |most_products| Accuracy::StandardError {
        tolerance: 1e9,
        most_products,
    };
    for (dim, most) in [(3, 10_000), (300, 500)] {
        let flow = flow(dim, 0.8);
        let mut x = inputs(5, dim);
        x[0] = f64::NAN;
        x[2 * dim + 1] = f64::INFINITY;
        let scores = score(&flow, &x, wanted(most), 1);
        assert_eq!(scores.estimator == Estimator::Explicit, dim == 3);
        assert_eq!(scores.above_tolerance, 2);
        for (r, row) in scores.rows.iter().enumerate() {
            let finite = r != 0 && r != 2;
            assert_eq!(row.standard_error.is_finite(), finite, "row {r}");
        }
    }
}

/// The refusal of explicit Jacobians that take too many products comes before their memory, here 20 GB on
/// each of 100 threads if it were taken for all rows.
#[test]
fn refusals_come_before_the_memory() {
    let dim = 5_000;
    let flow = flow(dim, 0.8);
    let refused = flow.score(
        &Host::new(),
        &inputs(100, dim),
        Accuracy::Exact { most_products: 5 },
        Key::new(1),
        100,
    );
    let (needed, most) = (10_000, 5);
    assert_eq!(refused, Err(ScoreError::TooManyProducts { needed, most }));
}

/// A budget below what the pilot and an estimate take is refused with what they take, which then suffices,
/// and is not idle.
#[test]
fn a_budget_that_is_too_small_is_refused() {
    let flow = flow(300, 0.8);
    let x = inputs(20, 300);
    let with = |most_products| Accuracy::StandardError {
        tolerance: 1e-6,
        most_products,
    };
    let refused = |most| flow.score(&Host::new(), &x, with(most), Key::new(1), 1);
    let Err(ScoreError::TooFewProducts { least, most: 100 }) = refused(100) else {
        panic!("{:?}", refused(100));
    };
    let too_few = ScoreError::TooFewProducts {
        least,
        most: least - 1,
    };
    assert_eq!(refused(least - 1), Err(too_few));
    let scores = score(&flow, &x, with(least), 1);
    // Rows' numbers of terms are stratified: their mean is off its expectation by a few percent.
    let per_row = scores.products as f64 / 20.0;
    let ratio = per_row / least as f64;
    assert!(ratio > 0.9 && ratio < 1.1, "{per_row} of {least}");
    assert_eq!(scores.above_tolerance, 20);
}

/// Where explicit Jacobians are within a budget that is too small for a pilot and an estimate, they serve,
/// although a pilot alone would be cheaper.
#[test]
fn explicit_jacobians_serve_small_budgets() {
    let dim = 90;
    let flow = flow(dim, 0.8);
    let with = |most_products| Accuracy::StandardError {
        tolerance: 0.05,
        most_products,
    };
    let x = inputs(3, dim);
    let scores = score(&flow, &x, with(180), 1);
    assert_eq!(scores.estimator, Estimator::Explicit);
    let refused = flow.score(&Host::new(), &x, with(179), Key::new(1), 1);
    let too_few = ScoreError::TooFewProducts {
        least: 180,
        most: 179,
    };
    assert_eq!(refused, Err(too_few));
    let plenty = score(&flow, &x, with(10_000), 1);
    assert!(matches!(plenty.estimator, Estimator::Series(_)));
}

/// One row more than a piece holds costs no more than a row, and takes no estimates from the others.
#[test]
fn pieces_are_filled() {
    let flow = flow(300, 0.8);
    let wanted = Accuracy::StandardError {
        tolerance: 1e-6,
        most_products: 600,
    };
    let of = |rows| {
        let scores = score(&flow, &inputs(rows, 300), wanted, 2);
        let squares = scores.rows.iter().map(|row| row.standard_error.powi(2));
        let mean = squares.sum::<f64>() / rows as f64;
        (mean, scores.products as f64 / rows as f64)
    };
    let ((full, products), (over, products_over)) = (of(256), of(257));
    assert!((over / full - 1.0).abs() < 0.1, "{full} and {over}");
    let ratio = products_over / products;
    assert!((ratio - 1.0).abs() < 0.05, "{products} and {products_over}");
}

/// A budget that ends before the tolerance is reached is kept to, and the rows above it are counted.
#[test]
fn a_budget_is_kept() {
    let flow = flow(300, 0.8);
    let x = inputs(20, 300);
    let wanted = Accuracy::StandardError {
        tolerance: 1e-6,
        most_products: 500,
    };
    let scores = score(&flow, &x, wanted, 1);
    assert_eq!((scores.above_tolerance, scores.limited), (20, 20));
    assert!(scores.products <= 20 * 600, "{}", scores.products);
    assert!(scores.rows.iter().all(|row| row.standard_error > 1e-6));
    let refused = flow.score(
        &Host::new(),
        &x,
        Accuracy::StandardError {
            tolerance: 0.0,
            most_products: 500,
        },
        Key::new(1),
        1,
    );
    assert!(matches!(refused, Err(ScoreError::Tolerance { .. })));
}
