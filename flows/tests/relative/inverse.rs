//! Round trips x → z → x: within what is promised, or refused with the layer at fault; and the
//! estimate that decides, against the error.

use core::convert::Infallible;

use detfree_core::reference::Heap;
use detfree_core::{Activation, Affine, BaseDensity, Dense, Error, Key, Scalar, Shape, Side};
use detfree_flows::relative::{
    Conditioning, Evaluator, FlowTape, InversionError, Optimiser, OptimiserState, RelativeFlow,
};
use detfree_flows::toy::Toy;

use crate::round_trip::{backward, batch, flow, random, tolerance, trip};
use crate::{ACTIVATIONS, BASES, normals};

const STEEP: Activation = Activation::LeakySoftplus { alpha: 0.01 };

/// The condition of the map grows with depth, faster where slopes spread more: s_T's lie between
/// 0.1 and 1.1. What must be accepted, and what must not.
fn round_trips<T: Scalar>(cases: &[(Activation, usize, usize, bool)]) {
    for &(activation, dim, depth, accepted) in cases {
        let host = random(dim, depth, activation, 0.0, 1);
        let trip = trip(
            &flow::<T>(dim, &host, activation),
            &batch(dim, &normals(100, 2)),
        );
        let case = format!("{activation:?}, {depth} layers of {dim}: {:e}", trip.error);
        assert_eq!(trip.accepted, accepted, "{case}, {:?}", trip.found);
        assert_eq!(trip.error <= tolerance::<T>(), accepted, "{case}");
    }
}

#[test]
fn inversion_undoes_the_map_or_is_refused() {
    let [leaky, tanh] = ACTIVATIONS;
    round_trips::<f64>(&[
        (leaky, 2, 100, true),
        (leaky, 5, 30, true),
        (leaky, 5, 100, false),
        (STEEP, 2, 5, true),
        (STEEP, 5, 100, false),
        (tanh, 5, 10, true),
        (tanh, 1, 100, false),
        (tanh, 2, 100, false),
        (tanh, 5, 100, false),
    ]);
    round_trips::<f32>(&[
        (leaky, 5, 30, true),
        (leaky, 5, 100, false),
        (STEEP, 2, 5, true),
        (STEEP, 2, 100, false),
        (tanh, 5, 5, true),
        (tanh, 1, 100, false),
        (tanh, 2, 100, false),
        (tanh, 5, 100, false),
    ]);
}

/// Half-moons, standardised.
fn points(first: u64, count: u64) -> Vec<f64> {
    let points = (first..first + count).flat_map(|r| {
        let [x, y] = Toy::HalfMoons.sample(Key::new(5), r);
        [(x - 0.5) / 0.87, (y - 0.25) / 0.5]
    });
    points.collect()
}

/// A flow of 100 layers after 300 steps of Adam.
fn trained<T: Scalar>(activation: Activation) -> RelativeFlow<Heap<T>> {
    let b = Heap::<T>::new();
    let mut flow = flow::<T>(2, &random(2, 100, activation, 0.0, 3), activation);
    let held_out = batch(2, &points(1_000_000, 500));
    let mut evaluator = Evaluator::new(&b, &flow, 2).unwrap();
    let mut mean = |flow: &_| evaluator.mean(&b, flow, held_out.as_slice()).unwrap();
    let before = mean(&flow);
    let shape = Shape::new(100, 2);
    let mut tape = FlowTape::new(&b, &flow, shape, Side::Plain).unwrap();
    let mut state = OptimiserState::new(&b, &flow, shape, Optimiser::Adam, Side::Plain).unwrap();
    for step in 0..300 {
        let rows = batch(2, &points(100 * step, 100));
        state
            .step(&b, &mut flow, &mut tape, rows.as_slice(), 1e-3)
            .unwrap();
    }
    assert!(mean(&flow) > before + 0.3, "nothing was learned");
    flow
}

fn trained_round_trip<T: Scalar>(activation: Activation, accepted: bool) {
    let trip = trip(
        &trained::<T>(activation),
        &batch(2, &points(2_000_000, 200)),
    );
    let case = format!("{activation:?}: {:e}, {:?}", trip.error, trip.found);
    assert_eq!(trip.accepted, accepted, "{case}");
    assert!(!accepted || trip.error <= tolerance::<T>(), "{case}");
}

/// s_T's slopes have lost the points by the time they come back.
#[test]
fn trained_flows_are_undone_or_refused() {
    let [leaky, tanh] = ACTIVATIONS;
    for (activation, in_f64, in_f32) in [
        (leaky, true, true),
        (STEEP, true, false),
        (tanh, false, false),
    ] {
        trained_round_trip::<f64>(activation, in_f64);
        trained_round_trip::<f32>(activation, in_f32);
    }
}

/// A flow of 100 good layers but for one, which takes one of its outputs times `small`.
fn one_bad_layer<T: Scalar>(small: f64) {
    let (dim, depth, activation) = (3, 100, ACTIVATIONS[0]);
    let x = batch(dim, &normals(60, 2));
    let good = random(dim, depth, activation, 0.0, 2);
    let sound = trip(&flow::<T>(dim, &good, activation), &x);
    assert!(sound.found.growth < 30.0, "{:?}", sound.found);
    for layer in [0, 1, 37, 98, 99] {
        let mut host = good.clone();
        for w in &mut host[layer].weight[..dim] {
            *w *= small;
        }
        let trip = trip(&flow::<T>(dim, &host, activation), &x);
        assert!(!trip.accepted && trip.error > tolerance::<T>());
        assert_eq!(trip.found.layer, layer, "{:?}", trip.found);
        assert!(trip.found.growth > 0.1 / small, "{:?}", trip.found);
    }
}

#[test]
fn an_ill_conditioned_layer_is_named() {
    one_bad_layer::<f64>(1e-8);
    one_bad_layer::<f32>(1e-5);
}

/// Errors over estimates where the map is still near linear, and the promise where it is not.
fn estimates_are_honest<T: Scalar>() {
    let [leaky, tanh] = ACTIVATIONS;
    let (mut ratios, mut accepted, mut all) = (Vec::new(), 0, 0);
    for activation in [Activation::Identity, leaky, STEEP, tanh] {
        for depth in [1, 2, 10, 30, 100] {
            for (dim, rows) in [(1, 1), (1, 20), (2, 1), (2, 20), (5, 1), (5, 20)] {
                for (jitter, seed) in (0..12).map(|seed| ([0.0, 0.5][seed % 2], seed as u64)) {
                    let host = random(dim, depth, activation, jitter, seed);
                    let x = batch(dim, &normals(rows * dim, seed + 77));
                    let trip = trip(&flow::<T>(dim, &host, activation), &x);
                    all += 1;
                    accepted += usize::from(trip.accepted);
                    assert!(
                        !trip.accepted || trip.error <= tolerance::<T>(),
                        "{activation:?} {depth} {dim} {rows} {seed}: {:e}",
                        trip.error
                    );
                    if trip.found.error < 1e-2 {
                        ratios.push(trip.error / trip.found.error);
                    }
                }
            }
        }
    }
    ratios.sort_by(f64::total_cmp);
    let (median, worst) = (ratios[ratios.len() / 2], ratios[ratios.len() - 1]);
    assert!(worst < 10.0, "an error {worst} times the estimate");
    assert!(
        median > 1.0 / 30.0,
        "half the errors are below {median} of the estimate"
    );
    // Neither answer is rare: 1,440 trips.
    assert!(all / 2 < accepted && accepted < all * 9 / 10, "{accepted}");
}

#[test]
fn estimates_are_honest_in_f64() {
    estimates_are_honest::<f64>();
}

#[test]
fn estimates_are_honest_in_f32() {
    estimates_are_honest::<f32>();
}

/// A shift by 10⁵ loses five digits, whether the next layer takes it back or, behind the last one,
/// z keeps it.
#[test]
fn large_biases_are_seen() {
    let (dim, depth) = (3, 4);
    for layer in 0..depth {
        let mut host = random(dim, depth, Activation::Identity, 0.3, 1);
        let shift = [1e5, -2e5, 1e5];
        for (b, shift) in host[layer].bias.iter_mut().zip(shift) {
            *b += shift;
        }
        if let Some(next) = host.get_mut(layer + 1) {
            for (b, row) in next.bias.iter_mut().zip(next.weight.chunks_exact(dim)) {
                *b -= row
                    .iter()
                    .zip(shift)
                    .map(|(w, shift)| w * shift)
                    .sum::<f64>();
            }
        }
        let flow = flow::<f64>(dim, &host, Activation::Identity);
        let trip = trip(&flow, &batch(dim, &normals(60, 2)));
        let ratio = trip.error / trip.found.error;
        assert!(trip.error > 1e-12, "{:e}", trip.error);
        assert!(ratio < 3.0 && ratio > 1e-2, "{layer}: {ratio}");
    }
}

/// Many s_T in one dimension carry every x to one of two points, and back from there the first layers
/// carry one in two to the point that their bias has moved to 1. Where a row and its twins all go
/// there, as at three of these depths, they meet again, far from x.
#[test]
fn lost_rows_are_refused() {
    let activation = ACTIVATIONS[1];
    for depth in 150..210 {
        let mut host = random(1, depth, activation, 0.0, depth as u64);
        host[0].bias[0] -= host[0].weight[0];
        let trip = trip(&flow::<f64>(1, &host, activation), &batch(1, &[0.5]));
        let case = format!("{depth}: {:e}, {:?}", trip.error, trip.found);
        assert!(!trip.accepted && trip.error > 0.1, "{case}");
    }
}

/// A row near zero has no digits left where the others have all of theirs.
#[test]
fn small_rows_are_judged_beside_the_others() {
    let host = vec![Affine {
        weight: vec![1.0],
        bias: vec![1.0],
    }];
    let flow = flow::<f64>(1, &host, Activation::Identity);
    assert!(trip(&flow, &batch(1, &[1e-9, 1.0])).accepted);
    assert!(!trip(&flow, &batch(1, &[1e-9])).accepted);
}

fn refusal(result: Result<Conditioning, InversionError<Infallible>>) -> (String, Conditioning) {
    let error = result.unwrap_err();
    let InversionError::IllConditioned { conditioning, .. } = error else {
        panic!("{error}");
    };
    (error.to_string(), conditioning)
}

#[test]
fn rows_of_another_length_are_refused() {
    let b = Heap::<f64>::new();
    let flow = flow::<f64>(2, &random(2, 3, ACTIVATIONS[0], 0.0, 1), ACTIVATIONS[0]);
    for dim in [1, 3] {
        let mut z = batch::<f64>(dim, &[0.5; 6]);
        let sampled = flow.sample(&b, Key::new(1), 0, &mut z);
        assert!(matches!(sampled, Err(Error::Shape { .. })), "{sampled:?}");
        let inverted = flow.invert(&b, &mut z);
        let refused = Err(InversionError::Compute(sampled.unwrap_err()));
        assert_eq!(inverted, refused);
        assert_eq!(z.as_slice(), [0.5; 6]);
    }
}

#[test]
fn a_layer_without_an_inverse_is_named() {
    let b = Heap::<f64>::new();
    let z = batch::<f64>(2, &[0.1, 0.2, 0.3, 0.4]);
    let mut host = random(2, 3, ACTIVATIONS[0], 0.0, 1);
    host[1].weight = vec![1.0, 2.0, 0.5, 1.0];
    let mut left = z.clone();
    let singular = flow::<f64>(2, &host, ACTIVATIONS[0]);
    let (message, found) = refusal(singular.invert(&b, &mut left));
    assert_eq!((found.layer, found.growth), (1, f64::INFINITY));
    assert_eq!(left.as_slice(), z.as_slice());
    assert!(message.contains("layer is number 1 (from 0)"), "{message}");

    // Nothing is known of the error where norms overflow.
    host.truncate(1);
    host[0].weight = vec![1e-200, 0.0, 0.0, 1.0];
    let tiny = flow::<f64>(2, &host, Activation::Identity);
    let (_, found) = refusal(tiny.invert(&b, &mut batch(2, &[1.0, 1.0])));
    assert_eq!((found.layer, found.error), (0, f64::INFINITY));

    let host = random(2, 3, ACTIVATIONS[0], 0.0, 1);
    let sound = flow::<f64>(2, &host, ACTIVATIONS[0]);
    let (_, found) = refusal(sound.invert(&b, &mut batch(2, &[f64::NAN, 0.0])));
    assert_eq!((found.layer, found.error), (2, f64::INFINITY));
}

#[test]
fn no_rows_are_no_error() {
    let b = Heap::<f64>::new();
    let host = random(2, 3, ACTIVATIONS[0], 0.0, 1);
    let sound = flow::<f64>(2, &host, ACTIVATIONS[0]);
    let mut none = Dense::on_heap(Shape::new(0, 2));
    assert_eq!(sound.invert(&b, &mut none).unwrap().error, 0.0);
}

/// Samples are the layers undone one by one from draws of the base, in pieces as at once.
#[test]
fn samples_are_the_inverse_of_draws() {
    let b = Heap::<f64>::new();
    let (dim, key, activation) = (3, Key::new(9), ACTIVATIONS[0]);
    let host = random(dim, 30, activation, 0.1, 1);
    for base in BASES {
        let flow = RelativeFlow::from_layers(&b, dim, &host, activation, base).unwrap();
        let draw = |row, column| match base {
            BaseDensity::Normal => key.normal(row, column),
            _ => base.quantile(key.uniform(row, column)),
        };
        let rows = 7..12;
        let draws: Vec<_> = rows
            .flat_map(|row| (0..dim as u32).map(move |column| draw(row, column)))
            .collect();
        let expected = backward(&flow, &batch(dim, &draws));
        for (first, rows) in [(0, 5), (0, 2), (2, 3)] {
            let mut samples = Dense::on_heap(Shape::new(rows, dim));
            let first_row = 7 + first as u64;
            flow.sample(&b, key, first_row, &mut samples).unwrap();
            let piece = &expected.as_slice()[first * dim..(first + rows) * dim];
            assert_eq!(samples.as_slice(), piece, "{base:?}");
        }
    }
}
