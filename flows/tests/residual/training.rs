//! Training steps: what they reach, what they keep to, and what they refuse.

use detfree_core::reference::Heap;
use detfree_core::{Activation, BaseDensity, Key, Scalar, Shape};
use detfree_flows::Trainer;
use detfree_flows::residual::{
    BlockParameters, EstimatorChoice, ResidualFlow, ResidualOptions, ResidualTrainer,
    ResidualTraining, Sweep,
};
use detfree_flows::toy::Toy;

const BATCH: usize = 64;

const TRAINING: ResidualTraining = ResidualTraining {
    estimator: EstimatorChoice::Auto,
    sweep: Sweep::Reverse,
    clip: Some(5.0),
    average: None,
    warm_up: 5,
    shards: 2,
    key: Key::new(4),
};

fn rows<T: Scalar>(step: u64) -> Vec<T> {
    let key = Key::new(100 + step);
    let points = (0..BATCH as u64).flat_map(|r| Toy::Moons.sample(key, r));
    points.map(|x| T::from_f64(0.7 * x)).collect()
}

fn trainer<T: Scalar>(lipschitz: f64, training: ResidualTraining) -> ResidualTrainer<Heap<T>> {
    trainer_of(lipschitz, &[10, 12], BATCH, training)
}

fn trainer_of<T: Scalar>(
    lipschitz: f64,
    hidden: &[usize],
    batch: usize,
    training: ResidualTraining,
) -> ResidualTrainer<Heap<T>> {
    let b = Heap::<T>::new();
    let options = ResidualOptions {
        blocks: 3,
        hidden: hidden.to_vec(),
        activation: Activation::LipSwish { beta: 1.0 },
        lipschitz,
        base: BaseDensity::Normal,
    };
    let flow = ResidualFlow::random(&b, 2, &options, Key::new(1)).unwrap();
    ResidualTrainer::new(&b, flow, Shape::new(batch, 2), training).unwrap()
}

/// ‖W‖₂ in double precision, by power iteration with many steps.
fn norm(weight: &[f64], dim: usize) -> f64 {
    let mut v: Vec<f64> = (0..dim).map(|j| Key::new(7).normal(0, j as u32)).collect();
    let mut norm = 0.0;
    for _ in 0..400 {
        let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        v.iter_mut().for_each(|x| *x /= length);
        let u: Vec<f64> = weight
            .chunks_exact(dim)
            .map(|w| w.iter().zip(&v).map(|(w, v)| w * v).sum())
            .collect();
        norm = u.iter().map(|x| x * x).sum::<f64>().sqrt();
        v = (0..dim)
            .map(|j| {
                u.iter()
                    .zip(weight.chunks_exact(dim))
                    .map(|(u, w)| u * w[j])
                    .sum()
            })
            .collect();
    }
    norm
}

/// In every step of a training that would leave it, the product of the true norms stays below the
/// Lipschitz bound, and comes near it.
#[test]
fn the_lipschitz_bound_holds_in_every_step() {
    let b = Heap::<f32>::new();
    let mut trainer = trainer::<f32>(0.7, TRAINING);
    let mut largest = 0.0_f64;
    for step in 0..60 {
        trainer.step(&b, &rows(step), 0.02).unwrap();
        trainer.keep(&b).unwrap();
        for norm in norms(&trainer) {
            assert!(norm <= 0.7, "{norm} in step {step}");
            largest = largest.max(norm);
        }
    }
    assert!(largest > 0.69, "{largest}: the bound was never met");
}

/// The product of the true norms of each block's weights.
fn norms<T: Scalar>(trainer: &ResidualTrainer<Heap<T>>) -> Vec<f64> {
    let parameters = trainer.flow().to_parameters(&Heap::<T>::new()).unwrap();
    let of_block = |block: &BlockParameters| {
        let inputs = block
            .layers
            .iter()
            .map(|layer| layer.weight.len() / layer.bias.len());
        let norms = block
            .layers
            .iter()
            .zip(inputs)
            .map(|(layer, n)| norm(&layer.weight, n));
        norms.product()
    };
    parameters.blocks.iter().map(of_block).collect()
}

/// The same for nets that are wide beside the batch, at a rate at which a step of Adam raises many singular
/// values beyond the bound at once.
#[test]
fn the_lipschitz_bound_holds_with_batches_smaller_than_the_width() {
    let b = Heap::<f32>::new();
    let training = ResidualTraining {
        clip: None,
        shards: 1,
        ..TRAINING
    };
    for lipschitz in [0.3, 0.9, 0.98] {
        let mut trainer = trainer_of::<f32>(lipschitz, &[40, 40], 8, training);
        let mut largest = 0.0_f64;
        for step in 0..40 {
            trainer.step(&b, &rows::<f32>(step)[..16], 0.01).unwrap();
            trainer.keep(&b).unwrap();
            for norm in norms(&trainer) {
                assert!(norm <= lipschitz, "{norm} > {lipschitz} in step {step}");
                largest = largest.max(norm);
            }
            let certified = trainer.flow().contractions().fold(0.0, f64::max);
            assert!(certified <= lipschitz, "{certified} in step {step}");
        }
        assert!(
            largest > 0.4 * lipschitz,
            "{largest}: the bound was never met"
        );
    }
}

/// From the density of a fitted Gaussian to well above it.
#[test]
fn training_improves_on_a_gaussian() {
    let b = Heap::<f32>::new();
    for (estimator, average) in [
        (EstimatorChoice::Auto, None),
        (EstimatorChoice::Auto, Some(0.95)),
        (certified(), None),
    ] {
        let training = ResidualTraining {
            estimator,
            average,
            ..TRAINING
        };
        let mut trainer = trainer::<f32>(0.9, training);
        let held_out: Vec<f32> = (900..910).flat_map(rows).collect();
        trainer.step(&b, &rows(0), 1e-9).unwrap();
        let first = trainer.validate(&b, &held_out).unwrap();
        for step in 1..400 {
            trainer.step(&b, &rows(step), 0.01).unwrap();
        }
        let last = trainer.validate(&b, &held_out).unwrap();
        // A flow that stays a Gaussian gains less than 0.05 nats.
        assert!(last.mean > first.mean + 0.3, "{first:?} {last:?}");
        assert!(last.standard_error < 0.1);
    }
}

fn certified() -> EstimatorChoice {
    use detfree_core::{Probe, TraceEstimator};
    EstimatorChoice::Series {
        schedule: detfree_flows::residual::SeriesSchedule::Certified,
        trace: TraceEstimator::new(Probe::Rademacher, 1),
        exact_first: true,
    }
}

/// With explicit Jacobians the number of shards changes the order of sums and nothing else, and so
/// does the sweep.
#[test]
fn shards_and_sweeps_are_the_same_training() {
    let b = Heap::<f64>::new();
    let run = |shards, sweep| {
        let training = ResidualTraining {
            shards,
            sweep,
            ..TRAINING
        };
        let mut trainer = trainer::<f64>(0.9, training);
        for step in 0..5 {
            trainer.step(&b, &rows(step), 0.01).unwrap();
        }
        trainer.validate(&b, &rows(50)).unwrap().mean
    };
    let want = run(1, Sweep::Reverse);
    for (shards, sweep) in [
        (2, Sweep::Reverse),
        (7, Sweep::Reverse),
        (3, Sweep::Forward),
    ] {
        let got = run(shards, sweep);
        assert!(
            (got - want).abs() < 1e-9,
            "{shards} {sweep:?}: {got} {want}"
        );
    }
}

/// Rows that overflow leave the flow as it was, and say so.
#[test]
fn what_overflows_is_not_stepped() {
    let b = Heap::<f32>::new();
    let mut trainer = trainer::<f32>(0.9, TRAINING);
    trainer.step(&b, &rows(0), 0.01).unwrap();
    trainer.keep(&b).unwrap();
    let before = trainer.flow().to_parameters(&b).unwrap();
    for odd in [f32::NAN, f32::MAX, 1e30] {
        let mut batch = rows::<f32>(1);
        batch[3] = odd;
        let report = trainer.step(&b, &batch, 0.01).unwrap();
        assert!(!report.log_density.is_finite(), "{odd}");
        trainer.keep(&b).unwrap();
        assert_eq!(trainer.flow().to_parameters(&b).unwrap(), before);
    }
    assert!(
        trainer
            .step(&b, &rows(1), 0.01)
            .unwrap()
            .log_density
            .is_finite()
    );
}

/// Training of given numbers goes on from them: the affine maps are chosen by the first batch of a new flow only,
/// even if that batch is of another law. Chosen anew they would cost this flow more than a nat.
#[test]
fn a_trained_flow_goes_on_as_it_is() {
    let b = Heap::<f64>::new();
    let mut first = trainer::<f64>(0.9, TRAINING);
    for step in 0..40 {
        first.step(&b, &rows(step), 0.01).unwrap();
    }
    let held_out: Vec<f64> = (900..910).flat_map(rows).collect();
    let trained = first.validate(&b, &held_out).unwrap();
    first.keep(&b).unwrap();
    let parameters = first.flow().to_parameters(&b).unwrap();
    let flows = [
        ResidualFlow::from_parameters(&b, 2, &parameters, BaseDensity::Normal).unwrap(),
        first.flow().duplicate(&b).unwrap(),
    ];
    let odd: Vec<f64> = rows(0).iter().map(|x| 5.0 * x + 3.0).collect();
    for flow in flows {
        let shape = Shape::new(BATCH, 2);
        let mut second = ResidualTrainer::new(&b, flow, shape, TRAINING).unwrap();
        second.step(&b, &odd, 0.0).unwrap();
        assert_eq!(second.validate(&b, &held_out).unwrap(), trained);
    }
    // A copy of a new flow is one too.
    let mut new = ResidualTrainer::new(
        &b,
        trainer::<f64>(0.9, TRAINING).flow().duplicate(&b).unwrap(),
        Shape::new(BATCH, 2),
        TRAINING,
    )
    .unwrap();
    new.step(&b, &odd, 0.0).unwrap();
    new.keep(&b).unwrap();
    let parameters = new.flow().to_parameters(&b).unwrap();
    assert!(parameters.blocks[0].log_scale.iter().all(|&s| s < -1.0));
}
