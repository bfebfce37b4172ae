//! Fits as the page has them.

use detfree_browser::{Density, Figures, LogDeterminants, Method, Run, toy};
use detfree_flows::Model;

const METHODS: [Method; 3] = [
    Method::Relative,
    Method::Residual(LogDeterminants::Explicit),
    Method::Residual(LogDeterminants::Roulette),
];

#[expect(clippy::unwrap_used, reason = "a test's points are sound")]
fn run(method: Method, seed: u32) -> Run {
    let names = ["a", "b"].map(str::to_owned);
    Run::new(method, &toy(2, 200, 1), names, seed).unwrap()
}

/// How time is cut into slices changes nothing, a seed everything.
#[test]
fn slices_do_not_matter() {
    for method in METHODS {
        let file = |seed, slices: &[u32]| {
            let mut run = run(method, seed);
            for &steps in slices {
                assert!(run.train(steps).unwrap());
            }
            assert_eq!(run.figures().steps, f64::from(slices.iter().sum::<u32>()));
            run.model_file().unwrap()
        };
        assert_eq!(file(1, &[41]), file(1, &[1, 19, 0, 21]), "{method:?}");
        assert_ne!(file(1, &[41]), file(2, &[41]), "{method:?}");
    }
}

/// The figure of the page is that of the model file. Samples are where the density is: their mean log p is
/// near that of points like those that trained.
#[test]
fn figures_are_those_of_the_file() {
    for method in METHODS {
        let mut run = run(method, 3);
        run.train(150).unwrap();
        let figures = *run.figures();
        let model = Model::from_bytes(&run.model_file().unwrap()).unwrap();
        assert_eq!(model.columns, ["a", "b"]);
        let mut density = Density::new(model).unwrap();
        let mean = |figures: &[f64]| figures.iter().sum::<f64>() / figures.len() as f64;
        let held_out = run.held_out().to_vec();
        assert_eq!(
            figures.held_out,
            mean(&density.log_density(&held_out).unwrap())
        );
        let samples = run.sample(500).unwrap();
        let of_samples = mean(&density.log_density(&samples).unwrap());
        assert!(
            (of_samples - figures.held_out).abs() < 0.7,
            "{method:?}: {of_samples}"
        );
    }
}

/// Backpropagation takes a product for every row of a batch and layer, explicit Jacobians in the plane take
/// two more.
#[test]
fn products_are_counted() {
    let products = |method| {
        let mut run = run(method, 3);
        run.train(10).unwrap();
        let Figures {
            products, layers, ..
        } = *run.figures();
        products / (10.0 * 40.0 * layers)
    };
    assert_eq!(products(METHODS[0]), 1.0);
    assert_eq!(products(METHODS[1]), 3.0);
    assert!(products(METHODS[2]) > 3.0);
}
