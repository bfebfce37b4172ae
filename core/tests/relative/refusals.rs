//! Steps that are refused leave everything as it was, and shapes that do not fit are named.

use detfree_core::reference::Heap;
use detfree_core::{
    Affine, Dense, DenseBackend, DenseRelative, Error, Key, Op, RelativeGradient, Scalar, Shape,
    Side,
};

use crate::plain::{Layer, Plain, direction, nan_tangent, tangent};

type Host = Heap<f64>;
type Batch = Dense<Vec<f64>>;

fn zeros(rows: usize, dim: usize) -> Batch {
    Plain::new(rows, dim, |_, _| 0.0).batch()
}

/// W = I, y = (1, 0), δ = (−2, 0): at μ = 1 K = 1 + ½ yᵀδ is exactly zero.
#[test]
fn a_singular_step_changes_nothing() {
    let b = Host::new();
    for (side, rows) in [
        (Side::Plain, 1),
        (Side::Transposed, 1),
        (Side::Plain, 4),
        (Side::Transposed, 4),
    ] {
        let start = Layer {
            weight: Plain::identity(2),
            bias: Plain::new(1, 2, |_, j| [0.0, 0.25][j]),
        };
        let anchor = Plain::new(rows, 2, |_, j| [1.0, 0.0][j]);
        let delta = anchor.scaled(-2.0);
        let mut tangent = tangent::<f64>(side, &start, &delta, &anchor);
        let mut layer = start.batches::<f64>();
        let mut inverse = start.weight.batch::<f64>();
        for mu in [1.0, -1.0, -2.0, f64::NAN, f64::INFINITY] {
            let refused = tangent.step(&b, mu, &mut layer, Some(&mut inverse));
            assert_eq!(refused, Err(Error::Singular), "{mu}");
            assert_eq!(Layer::from_batches(&layer), start, "{mu}");
            assert_eq!(Plain::from_batch(&inverse), start.weight, "{mu}");
        }
        for mu in [-1.0, f64::NAN] {
            let refused = tangent.step(&b, mu, &mut layer, None);
            assert_eq!(refused, Err(Error::Singular), "{mu}");
            assert_eq!(Layer::from_batches(&layer), start, "{mu}");
        }
        // A refusal does not spoil the tangent: T = diag(−1, 1), and μ = ½ is clear.
        let change = tangent.log_det_change(&b, 0.5).unwrap().unwrap();
        assert!((change - 0.75_f64.ln()).abs() < 16.0 * f64::EPSILON);
        tangent
            .step(&b, 0.5, &mut layer, Some(&mut inverse))
            .unwrap();
        let product = Plain::from_batch(&layer.weight).times(&Plain::from_batch(&inverse));
        let residual = product.plus(-1.0, &Plain::identity(2)).largest();
        assert!(residual < 16.0 * f64::EPSILON);
    }
}

/// K = (a, b; c, bc/a) and nearly that: some are singular to one elimination and not to another.
#[test]
fn a_step_that_is_taken_leaves_a_weight_that_can_be_inverted() {
    let b = Host::new();
    let (start, scaled) = (Plain::identity(2), 2.0);
    let mut refusals = 0;
    for i in 0..2000 {
        let integer = |column| (1 + Key::new(0x51).fold_in(column).below(i, 99)) as f64;
        let [p, q, r] = [0, 1, 2].map(integer);
        let k = [[p, q], [r, q * r / p]];
        // G = K − s I from two rows of three, with W = I.
        let delta = Plain::new(3, 2, |row, j| match row {
            2 => 0.0,
            i => 3.0 * (k[j][i] - if i == j { scaled } else { 0.0 }),
        });
        let anchor = Plain::new(3, 2, |row, j| f64::from(u8::from(row == j)));
        let layer = Layer {
            weight: start.clone(),
            bias: Plain::new(1, 2, |_, _| 0.0),
        };
        let mut tangent = tangent::<f64>(Side::Plain, &layer, &delta, &anchor);
        let mut batches = layer.batches::<f64>();
        let mut inverse = start.batch::<f64>();
        match tangent.step(&b, 1.0, &mut batches, Some(&mut inverse)) {
            Err(refused) => {
                assert_eq!(refused, Error::Singular);
                assert_eq!(Layer::from_batches(&batches), layer, "{k:?}");
                assert_eq!(Plain::from_batch(&inverse), start, "{k:?}");
                refusals += 1;
            }
            Ok(()) => {
                let mut x = start.batch::<f64>();
                let solvable = b.solve(&mut batches.weight, Op::Transposed, &mut x);
                assert_eq!(solvable, Ok(true), "{k:?}");
            }
        }
    }
    assert!(refusals > 100, "{refusals} refusals are too few to tell");
}

#[test]
fn a_step_with_nan_is_refused_where_an_inverse_is_kept() {
    let b = Host::new();
    let start = Layer::random(Key::new(3), 3);
    let anchor = Plain::normal(Key::new(4), 2, 3, 1.0);
    let mut delta = anchor.clone();
    delta.data[4] = f64::NAN;
    for side in [Side::Plain, Side::Transposed] {
        let mut tangent = tangent::<f64>(side, &start, &delta, &anchor);
        let mut layer = start.batches::<f64>();
        let mut inverse = start.weight.batch::<f64>();
        let refused = tangent.step(&b, 0.1, &mut layer, Some(&mut inverse));
        assert_eq!(refused, Err(Error::Singular));
        assert_eq!(Layer::from_batches(&layer), start);
        assert_eq!(Plain::from_batch(&inverse), start.weight);
    }
}

/// The step is W + μ ΔW, b + μ Δb, with or without an inverse to keep.
fn step_follows_direction<T: Scalar>() {
    let b = Heap::<T>::new();
    for side in [Side::Plain, Side::Transposed] {
        for (rows, dim) in [(1, 1), (2, 7), (7, 7), (20, 5)] {
            let key = Key::new(0x57e9).fold_in((100 * rows + dim) as u64);
            let start = Layer::random(key, dim).rounded::<T>();
            let delta = Plain::normal(key.fold_in(2), rows, dim, 1.0);
            let anchor = Plain::normal(key.fold_in(3), rows, dim, 1.0);
            let mut tangent = tangent::<T>(side, &start, &delta, &anchor);
            let mu = 0.0625; // exact in both types, as 1 + μ is
            let expected = start.plus(mu, &direction(&mut tangent, &start));
            for keep in [false, true] {
                let mut layer = start.batches::<T>();
                let mut inverse = start.weight.log_abs_det_and_inverse().1.batch::<T>();
                tangent
                    .linearise(&b, side, &layer, &delta.batch(), &anchor.batch())
                    .unwrap();
                tangent
                    .step(&b, mu, &mut layer, keep.then_some(&mut inverse))
                    .unwrap();
                let error = Layer::from_batches(&layer).plus(-1.0, &expected).largest();
                let tolerance = 4.0 * (rows + dim) as f64 * T::EPSILON * expected.largest();
                assert!(error < tolerance, "{side:?} {rows} {dim}: {error:e}");
            }
        }
    }
}

#[test]
fn a_step_follows_the_direction() {
    step_follows_direction::<f64>();
    step_follows_direction::<f32>();
}

/// Until it is linearised, a tangent is that of δ = 0 whatever its buffers held.
#[test]
fn a_new_tangent_is_the_identity() {
    let b = Host::new();
    let layer = Layer::random(Key::new(5), 3);
    for rows in [1, 3, 6] {
        let mut tangent = nan_tangent::<f64>(Shape::new(rows, 3));
        let found = direction(&mut tangent, &layer);
        assert_eq!(found.weight, layer.weight);
        assert_eq!(found.bias.largest(), 0.0);
        let change = tangent.log_det_change(&b, 1.0).unwrap().unwrap();
        assert!((change - 3.0 * 2.0_f64.ln()).abs() < 8.0 * f64::EPSILON);
    }
}

fn refused<X>(result: Result<X, Error<core::convert::Infallible>>, what: &str, expected: Shape) {
    match result {
        Err(Error::Shape {
            what: found_what,
            expected: found,
            ..
        }) => assert_eq!((found_what, found), (what, expected)),
        Err(other) => panic!("{what}: {other}"),
        Ok(_) => panic!("{what} passes"),
    }
}

/// R = 2 and D = 3.
#[test]
fn shapes_are_checked() {
    let b = Host::new();
    let fitting = || Affine {
        weight: zeros(3, 3),
        bias: zeros(1, 3),
    };
    let wrong_weight = Affine {
        weight: zeros(3, 2),
        bias: zeros(1, 3),
    };
    let wrong_bias = Affine {
        weight: zeros(3, 3),
        bias: zeros(3, 1),
    };
    let (weight, bias, batch) = (Shape::new(3, 3), Shape::new(1, 3), Shape::new(2, 3));
    let mut tangent = DenseRelative::allocate(&b, 2, 3).unwrap();

    for side in [Side::Plain, Side::Transposed] {
        let mut linearise = |layer: &Affine<Batch>, delta: Batch, anchor: Batch| {
            tangent.linearise(&b, side, layer, &delta, &anchor)
        };
        refused(
            linearise(&wrong_weight, zeros(2, 3), zeros(2, 3)),
            "the weight",
            weight,
        );
        refused(
            linearise(&wrong_bias, zeros(2, 3), zeros(2, 3)),
            "the bias",
            bias,
        );
        refused(
            linearise(&fitting(), zeros(3, 2), zeros(2, 3)),
            "delta",
            batch,
        );
        refused(
            linearise(&fitting(), zeros(2, 3), zeros(1, 3)),
            "the anchor",
            batch,
        );
    }

    let mut direct = |layer: &Affine<Batch>, mut out| tangent.direction(&b, layer, &mut out);
    refused(direct(&wrong_weight, fitting()), "the weight", weight);
    refused(direct(&wrong_bias, fitting()), "the bias", bias);
    refused(
        direct(&fitting(), wrong_weight.clone()),
        "the weight",
        weight,
    );
    refused(direct(&fitting(), wrong_bias.clone()), "the bias", bias);

    let mut step = |mut layer, mut inverse| tangent.step(&b, 0.1, &mut layer, Some(&mut inverse));
    refused(step(wrong_weight, zeros(3, 3)), "the weight", weight);
    refused(step(wrong_bias, zeros(3, 3)), "the bias", bias);
    refused(step(fitting(), zeros(2, 3)), "the inverse", weight);
}

#[test]
fn buffers_are_checked() {
    let b = Host::new();
    let fitting = [
        (2, 3),
        (2, 3),
        (2, 3),
        (2, 2),
        (2, 2),
        (2, 1),
        (1, 3),
        (1, 3),
        (3, 1),
        (2, 1),
    ];
    let build = |shapes: [(usize, usize); 10]| {
        let [u, v, image, gram, k, lever, bias, mean, scale, scale_k] =
            shapes.map(|(rows, dim)| zeros(rows, dim));
        let per_row = [u, v, image];
        let scales = [scale, scale_k];
        DenseRelative::new(&b, per_row, [gram, k], lever, [bias, mean], scales)
    };
    assert!(build(fitting).is_ok());
    for buffer in 1..10 {
        let mut shapes = fitting;
        shapes[buffer] = (4, 4);
        assert!(
            matches!(build(shapes), Err(Error::Shape { .. })),
            "buffer {buffer}"
        );
    }
}
