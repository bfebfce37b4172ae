//! The last layer in closed form, at the end of training.

use core::ops::ControlFlow;

use detfree_core::{Activation, Affine, Allocate, BaseDensity, Key, Shape};
use detfree_flows::relative::{Evaluator, RelativeFlow, RelativeTrainer, RelativeTraining};
use detfree_flows::{FitOptions, FitReport, Schedule, TrainingRows, fit};

use crate::{DIM, Host, Layers, normals};

const SIGMA: Activation = Activation::LeakySoftplus { alpha: 0.3 };

/// Steps that move nothing: what changes is the last layer.
const STILL: FitOptions = FitOptions {
    epochs: 1,
    batch: 50,
    learning_rate: 0.0,
    schedule: Schedule::Constant,
    patience: 1,
    key: Key::new(5),
};

fn start(base: BaseDensity) -> RelativeFlow<Host> {
    RelativeFlow::random(&Host::new(), DIM, 2, SIGMA, base, Key::new(1)).unwrap()
}

/// Skewed rows, far from what a flow of random weights stands for.
fn rows(count: usize, seed: u64) -> Vec<f64> {
    let rows = normals(count * DIM, seed);
    rows.iter().map(|x| 3.0 + x + 0.5 * x * x).collect()
}

fn conclude(
    flow: RelativeFlow<Host>,
    values: &[f64],
    validation: &[f64],
) -> (RelativeFlow<Host>, FitReport) {
    let b = Host::new();
    let training = TrainingRows {
        values: values.to_vec(),
        noise: vec![0.0; DIM],
        squash: None,
    };
    let shape = training.batch_shape(STILL.batch);
    let mut trainer = RelativeTrainer::new(&b, flow, shape, RelativeTraining::default()).unwrap();
    let keep_on = |_| ControlFlow::Continue(());
    let report = fit(&b, &mut trainer, &training, validation, &STILL, keep_on).unwrap();
    (trainer.flow().duplicate(&b).unwrap(), report)
}

fn mean(flow: &RelativeFlow<Host>, rows: &[f64]) -> f64 {
    let b = Host::new();
    let mut evaluator = Evaluator::new(&b, flow, DIM).unwrap();
    evaluator.mean(&b, flow, rows).unwrap()
}

fn layers(flow: &RelativeFlow<Host>) -> Layers {
    flow.to_layers(&Host::new()).unwrap()
}

/// W z + b of every row, by the first layers of a flow of two.
fn outputs(layers: &Layers, rows: &[f64]) -> Vec<f64> {
    let apply = |layer: &Affine<Vec<f64>>, z: &[f64]| -> Vec<f64> {
        let rows = layer.weight.chunks_exact(DIM).zip(&layer.bias);
        let sums = rows.map(|(w, b)| b + w.iter().zip(z).map(|(w, z)| w * z).sum::<f64>());
        sums.collect()
    };
    let through = |x: &[f64]| {
        let y = apply(&layers[0], x);
        let z: Vec<f64> = y.iter().map(|y| 0.3 * y + 0.7 * y.exp().ln_1p()).collect();
        apply(&layers[1], &z)
    };
    rows.chunks_exact(DIM).flat_map(through).collect()
}

fn samples(flow: &RelativeFlow<Host>) -> Vec<f64> {
    let b = Host::new();
    let mut samples = b.batch(Shape::new(200, DIM)).unwrap();
    flow.sample(&b, Key::new(9), 0, &mut samples).unwrap();
    samples.as_slice().to_vec()
}

/// (mean, covariance) of rows of outputs.
fn moments(z: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let count = (z.len() / DIM) as f64;
    let over = |f: &dyn Fn(&[f64]) -> f64| z.chunks_exact(DIM).map(f).sum::<f64>() / count;
    let mean: Vec<f64> = (0..DIM).map(|i| over(&|z| z[i])).collect();
    let pairs = (0..DIM).flat_map(|i| (0..DIM).map(move |j| (i, j)));
    let covariance = pairs.map(|(i, j)| over(&|z| (z[i] - mean[i]) * (z[j] - mean[j])));
    let covariance = covariance.collect();
    (mean, covariance)
}

#[test]
fn outputs_become_white_and_the_first_layer_stays() {
    let (training, validation) = (rows(400, 2), rows(200, 3));
    let flow = start(BaseDensity::Normal);
    let before = layers(&flow);
    let (old, figure) = (mean(&flow, &training), mean(&flow, &validation));
    let (flow, report) = conclude(flow, &training, &validation);
    let after = layers(&flow);
    assert_eq!(after[0], before[0]);
    let (mean_after, covariance) = moments(&outputs(&after, &training));
    for (i, mean) in mean_after.iter().enumerate() {
        assert!(mean.abs() < 1e-12, "mean {i}: {mean:e}");
    }
    for (place, c) in covariance.iter().enumerate() {
        let identity = f64::from(u8::from(place % (DIM + 1) == 0));
        assert!((c - identity).abs() < 1e-12, "{place}: {c}");
    }
    // By what the formula says.
    let (m, c) = moments(&outputs(&before, &training));
    let trace: f64 = c.iter().step_by(DIM + 1).sum();
    let det = c[0] * (c[4] * c[8] - c[5] * c[7]) - c[1] * (c[3] * c[8] - c[5] * c[6])
        + c[2] * (c[3] * c[7] - c[4] * c[6]);
    let squares: f64 = m.iter().map(|x| x * x).sum();
    let gain = 0.5 * (trace + squares - DIM as f64 - det.ln());
    assert!(gain > 0.1, "{gain}: the start is too good to tell");
    assert!((mean(&flow, &training) - old - gain).abs() < 1e-11);
    assert!(report.best > figure);
    assert_eq!(report.best, mean(&flow, &validation));
}

/// The largest number in samples.
fn largest(flow: &RelativeFlow<Host>) -> f64 {
    let sizes = samples(flow).into_iter().map(f64::abs);
    sizes.fold(0.0, f64::max)
}

/// A weight whose last row all but vanishes, as one that steps drove against a singular matrix: its output
/// is next to constant. Samples of such a flow are far from any row.
#[test]
fn a_direction_that_has_collapsed_is_opened() {
    let b = Host::new();
    let mut host = layers(&start(BaseDensity::Normal));
    for (j, w) in host[1].weight[6..].iter_mut().enumerate() {
        *w = [5e-4, -3e-4, 4e-4][j];
    }
    host[1].bias[2] = -2.7;
    let collapsed = RelativeFlow::from_layers(&b, DIM, &host, SIGMA, BaseDensity::Normal).unwrap();
    let training = rows(400, 2);
    assert!(largest(&collapsed) > 1e3, "{}", largest(&collapsed));
    let (flow, _) = conclude(collapsed, &training, &rows(200, 3));
    assert!(largest(&flow) < 30.0, "{}", largest(&flow));
}

#[test]
fn nothing_changes_without_a_closed_form_or_a_gain() {
    let (training, validation) = (rows(400, 2), rows(200, 3));
    // Rows of the flow itself, which no other explains better.
    let own = samples(&start(BaseDensity::Normal));
    let plane: Vec<f64> = training
        .chunks_exact(DIM)
        .flat_map(|_| [1.0, 2.0, 3.0])
        .collect();
    for (base, training, validation) in [
        (BaseDensity::HyperbolicSecant, &training, &validation),
        (BaseDensity::Logistic, &training, &validation),
        (BaseDensity::Normal, &plane, &validation),
        (BaseDensity::Normal, &training, &own),
    ] {
        let flow = start(base);
        let (before, figure) = (layers(&flow), mean(&flow, validation));
        let (flow, report) = conclude(flow, training, validation);
        assert_eq!(layers(&flow), before, "{base:?}");
        assert_eq!(report.best, figure, "{base:?}");
    }
}
