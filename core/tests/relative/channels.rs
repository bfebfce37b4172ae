//! The mixing of channels against the dense layer that it equals: weight I_P ⊗ W, bias 1 ⊗ b, and
//! images as rows.

use detfree_core::reference::Heap;
use detfree_core::{
    ChannelRelative, DenseRelative, Error, Key, RelativeGradient, Scalar, Shape, Side,
};

use crate::plain::{Layer, Plain, direction, tangent};

const SIDES: [Side; 2] = [Side::Plain, Side::Transposed];

/// R images of P pixels in c channels.
#[derive(Clone, Copy, Debug)]
struct Images {
    images: usize,
    pixels: usize,
    channels: usize,
}

const SHAPES: [Images; 6] = [
    Images::new(1, 1, 1),
    Images::new(1, 4, 1),
    Images::new(3, 1, 4),
    Images::new(1, 2, 5),
    Images::new(4, 6, 3),
    Images::new(2, 9, 2),
];

impl Images {
    const fn new(images: usize, pixels: usize, channels: usize) -> Self {
        Self {
            images,
            pixels,
            channels,
        }
    }

    /// The same numbers, an image a row.
    fn as_rows(self, x: &Plain) -> Plain {
        Plain {
            shape: Shape::new(self.images, self.pixels * self.channels),
            data: x.data.clone(),
        }
    }

    /// I_P ⊗ W
    fn dense_weight(self, weight: &Plain) -> Plain {
        let (c, dim) = (self.channels, self.pixels * self.channels);
        Plain::new(dim, dim, |i, j| {
            if i / c == j / c {
                weight.at(i % c, j % c)
            } else {
                0.0
            }
        })
    }

    fn dense(self, layer: &Layer) -> Layer {
        let c = self.channels;
        Layer {
            weight: self.dense_weight(&layer.weight),
            bias: Plain::new(1, self.pixels * c, |_, j| layer.bias.at(0, j % c)),
        }
    }

    /// The sum of the diagonal blocks of a matrix, or of the pixels of one row.
    fn fold(self, x: &Plain) -> Plain {
        let c = self.channels;
        let rows = x.shape.rows.min(c);
        let row = |i, p| if x.shape.rows == 1 { 0 } else { p * c + i };
        Plain::new(rows, c, |i, j| {
            (0..self.pixels).map(|p| x.at(row(i, p), p * c + j)).sum()
        })
    }

    fn normal(self, key: Key) -> Plain {
        Plain::normal(key, self.images * self.pixels, self.channels, 1.0)
    }

    fn tangent<T: Scalar>(
        self,
        side: Side,
        layer: &Layer,
        delta: &Plain,
        anchor: &Plain,
    ) -> ChannelRelative<Heap<T>> {
        let b = Heap::<T>::new();
        let dense = tangent(side, layer, delta, anchor);
        let scale = Plain::new(self.channels, 1, |_, _| f64::NAN).batch();
        ChannelRelative::new(&b, dense, self.pixels, scale).unwrap()
    }
}

/// A layer, and δ and anchors for it.
fn problem<T: Scalar>(shape: Images) -> (Layer, Plain, Plain) {
    let Images {
        images,
        pixels,
        channels,
    } = shape;
    let key = Key::new(0xc1).fold_in((100 * images + 10 * pixels + channels) as u64);
    (
        Layer::random(key, channels).rounded::<T>(),
        shape.normal(key.fold_in(2)).rounded::<T>(),
        shape.normal(key.fold_in(3)).rounded::<T>(),
    )
}

fn found<T: Scalar>(tangent: &mut ChannelRelative<Heap<T>>, layer: &Layer) -> Layer {
    let nan = Layer {
        weight: layer.weight.map(|_| f64::NAN),
        bias: layer.bias.map(|_| f64::NAN),
    };
    let mut out = nan.batches::<T>();
    tangent
        .direction(&Heap::new(), &layer.batches(), &mut out)
        .unwrap();
    Layer::from_batches(&out)
}

/// The direction of the dense layer, with its group element (T, t) summed over the pixels:
/// ΔW = (Σ_p T_pp) W, which is also Σ_p ΔW_pp, and Δb = (Σ_p T_pp) b + Σ_p t_p (plain), whose second
/// factor is W Σ_p e_p (transposed).
fn expected(shape: Images, side: Side, layer: &Layer, delta: &Plain, anchor: &Plain) -> Layer {
    let dense = shape.dense(layer);
    let mut tangent = tangent::<f64>(side, &dense, &shape.as_rows(delta), &shape.as_rows(anchor));
    let along = direction(&mut tangent, &dense);
    let weight = shape.fold(&along.weight);
    let bias = match side {
        Side::Plain => {
            let (_, inverse) = dense.weight.log_abs_det_and_inverse();
            let group = along.weight.times(&inverse);
            let shift = along.bias.plus(-1.0, &dense.bias.times(&group.t()));
            let shared = shape.fold(&group);
            layer.bias.times(&shared.t()).plus(1.0, &shape.fold(&shift))
        }
        Side::Transposed => shape.fold(&along.bias),
    };
    Layer { weight, bias }
}

/// Ways to get the direction wrong.
#[derive(Clone, Copy, Debug)]
enum Variant {
    Right,
    /// A leading I where P I belongs: log|det W| counted once.
    OneIdentity,
    /// The direction of the dense layer on all pixels as rows: P times too short.
    MeanOverPixels,
}

/// Error over tolerance: sums of RP and c products in data type T, of numbers no larger than the
/// largest result or a few tens.
fn error<T: Scalar>(variant: Variant, side: Side, shape: Images) -> f64 {
    let (layer, delta, anchor) = problem::<T>(shape);
    let mut along = found(
        &mut shape.tangent::<T>(side, &layer, &delta, &anchor),
        &layer,
    );
    let pixels = shape.pixels as f64;
    match variant {
        Variant::Right => {}
        Variant::OneIdentity => {
            along.weight = along.weight.plus(1.0 - pixels, &layer.weight);
        }
        Variant::MeanOverPixels => along = along.plus(1.0 / pixels - 1.0, &along),
    }
    let expected = expected(shape, side, &layer, &delta, &anchor);
    let terms = (shape.images * shape.pixels + shape.channels) as f64;
    let tolerance = 16.0 * terms * T::EPSILON * expected.largest().max(10.0);
    along.plus(-1.0, &expected).largest() / tolerance
}

fn direction_is_that_of_the_dense_layer<T: Scalar>() {
    for side in SIDES {
        for shape in SHAPES {
            let right = error::<T>(Variant::Right, side, shape);
            assert!(right < 1.0, "{side:?} {shape:?}: {right} tolerances");
        }
        for variant in [Variant::OneIdentity, Variant::MeanOverPixels] {
            let wrong = error::<T>(variant, side, Images::new(4, 6, 3));
            assert!(wrong > 100.0, "{side:?} {variant:?} passes: {wrong}");
        }
    }
}

#[test]
fn direction_is_that_of_the_dense_layer_in_f64() {
    direction_is_that_of_the_dense_layer::<f64>();
}

#[test]
fn direction_is_that_of_the_dense_layer_in_f32() {
    direction_is_that_of_the_dense_layer::<f32>();
}

/// The change of log|det(I_P ⊗ W)| along a guarded step, against elimination of the dense matrix,
/// and the step against the direction.
#[test]
fn log_det_change_is_that_of_the_dense_layer() {
    let b = Heap::<f64>::new();
    for side in SIDES {
        for shape in SHAPES {
            let (layer, delta, anchor) = problem::<f64>(shape);
            let mut tangent = shape.tangent::<f64>(side, &layer, &delta, &anchor);
            let along = found(&mut tangent, &layer);
            let guarded = tangent.guard(&b, 0.5).unwrap().expect("a step");
            let mut moved = layer.batches();
            tangent.step(&b, guarded.mu, &mut moved, None).unwrap();
            let moved = Layer::from_batches(&moved);
            let straight = layer.plus(guarded.mu, &along);
            // P rounds once more in the direction than in the step.
            let rounding = 64.0 * f64::EPSILON * (1.0 + along.largest());
            assert!(moved.plus(-1.0, &straight).largest() < rounding);

            let log_det = |weight| shape.dense_weight(weight).log_abs_det_and_inverse().0;
            let exact = log_det(&moved.weight) - log_det(&layer.weight);
            let difference = (guarded.log_det_change - exact).abs();
            // The guard leaves a condition number of some hundreds at most here.
            let dim = (shape.pixels * shape.channels) as f64;
            assert!(
                difference < 1e3 * dim * f64::EPSILON,
                "{side:?} {shape:?}: {difference:e}"
            );
        }
    }
}

/// W = I and T = diag(−10, −5) from four pixels: singular at μ = 0.1 and at μ = 0.2.
#[test]
fn guard_sees_every_pixel() {
    let b = Heap::<f64>::new();
    let shape = Images::new(1, 4, 2);
    let layer = Layer {
        weight: Plain::identity(2),
        bias: Plain::new(1, 2, |_, _| 0.0),
    };
    let unit = Plain::new(4, 2, |p, j| f64::from(u8::from(p % 2 == j)));
    let delta = Plain::new(4, 2, |p, j| [-7.0, -4.5][j] * unit.at(p, j));
    for side in SIDES {
        let mut shared = shape.tangent::<f64>(side, &layer, &delta, &unit);
        let along = found(&mut shared, &layer).weight;
        assert_eq!(along.data, [-10.0, 0.0, 0.0, -5.0]);
        for (mu, clear) in [(0.05, true), (0.0999, true), (0.1001, false), (0.5, false)] {
            let change = shared.log_det_change(&b, mu).unwrap();
            assert_eq!(change.is_some(), clear, "{side:?} {mu}");
            let Some(change) = change else { continue };
            let exact = 4.0 * ((-10.0 * mu).ln_1p() + (-5.0 * mu).ln_1p());
            let rounding = 64.0 * f64::EPSILON * (1.0 + exact.abs() / (0.1 - mu));
            assert!((change - exact).abs() < rounding, "{side:?} {mu}");
        }
        let guarded = shared.guard(&b, 0.25).unwrap().unwrap();
        assert_eq!((guarded.mu, guarded.shrinks), (0.0625, 2));
        // The control: a guard on steps that are P times shorter lets a crossing pass.
        let mut dense = tangent::<f64>(side, &layer, &delta, &unit);
        assert!(dense.log_det_change(&b, 0.15).unwrap().is_some());
        let crossed = layer.weight.plus(0.15, &along);
        assert!(crossed.at(0, 0) * crossed.at(1, 1) < 0.0);
    }
}

/// 500 steps on fresh images of mixed sources, with the hyperbolic-secant base: what is tracked
/// against elimination at the end.
fn follows_elimination<T: Scalar>(side: Side, shape: Images, mu: f64, bound: f64) {
    let b = Heap::<T>::new();
    let Images {
        images,
        pixels,
        channels,
    } = shape;
    let key = Key::new(0xc2).fold_in((100 * images + 10 * pixels + channels) as u64);
    let mixing = Plain::well_conditioned(key.fold_in(1), channels);
    let start = Layer::random(key.fold_in(2), channels).rounded::<T>();
    let log_det = |weight| shape.dense_weight(weight).log_abs_det_and_inverse().0;
    let start_inverse = start.weight.log_abs_det_and_inverse().1;
    let (mut layer, mut inverse) = (start.batches::<T>(), start_inverse.batch::<T>());
    let mut tangent = ChannelRelative::allocate(&b, images, pixels, channels).unwrap();
    let mut tracked = log_det(&start.weight);
    for step in 0..500 {
        let x = shape
            .normal(key.fold_in(3).fold_in(step))
            .map(|s| 0.6 * s * s.abs())
            .times(&mixing)
            .map(|x| x + 0.5);
        let y = Layer::from_batches(&layer).forward(&x);
        let delta = y.map(|y| -y.tanh());
        let anchor = if side == Side::Plain { y } else { x };
        tangent
            .linearise(&b, side, &layer, &delta.batch(), &anchor.batch())
            .unwrap();
        let guarded = tangent.guard(&b, mu).unwrap().expect("a step");
        tangent
            .step(&b, guarded.mu, &mut layer, Some(&mut inverse))
            .unwrap();
        tracked += guarded.log_det_change;
    }
    let weight = Plain::from_batch(&layer.weight);
    let residual = |inverse: &Plain| {
        let residual = inverse
            .times(&weight)
            .plus(-1.0, &Plain::identity(channels));
        residual.largest()
    };
    let drift = (tracked - log_det(&weight)).abs();
    assert!(
        drift < pixels as f64 * bound,
        "{side:?} {shape:?}: {drift:e}"
    );
    let error = residual(&Plain::from_batch(&inverse));
    assert!(error < bound, "{side:?} {shape:?}: {error:e}");
    // The run has gone somewhere: numbers that stay are refused by the same bounds.
    let stale = residual(&start_inverse);
    assert!(stale > 0.1, "{side:?} {shape:?}: {stale}");
}

/// The bounds of the dense layer's runs; rounding in log|det W| counts P times.
#[test]
fn inverse_and_log_det_follow_many_steps() {
    for side in SIDES {
        for (shape, mu) in [
            (Images::new(1, 5, 1), 0.01),
            (Images::new(1, 4, 8), 0.005),
            (Images::new(8, 9, 3), 0.01),
            (Images::new(3, 16, 6), 0.005),
        ] {
            follows_elimination::<f64>(side, shape, mu, 8e-13);
            follows_elimination::<f32>(side, shape, mu, 1.2e-4);
        }
    }
}

#[test]
fn partial_images_are_refused() {
    let b = Heap::<f64>::new();
    let build = |rows, pixels, scale| {
        let dense = DenseRelative::allocate(&b, rows, 3).unwrap();
        let scale = Plain::new(scale, 1, |_, _| 1.0).batch();
        let mut tangent = ChannelRelative::new(&b, dense, pixels, scale)?;
        let layer = Layer::random(Key::new(1), 3).batches();
        let batch = Plain::normal(Key::new(2), rows, 3, 1.0).batch();
        tangent.linearise(&b, Side::Plain, &layer, &batch, &batch)
    };
    let shape = |what, expected, found| {
        Err(Error::Shape {
            what,
            expected: Shape::new(expected, 3),
            found: Shape::new(found, 3),
        })
    };
    assert_eq!(build(12, 4, 3), Ok(()));
    assert_eq!(build(12, 0, 3), shape("an image", 1, 0));
    assert_eq!(build(14, 4, 3), shape("the last image", 4, 2));
    assert_eq!(build(2, 4, 3), shape("the last image", 4, 2));
    let scale = build(12, 4, 2);
    assert!(matches!(
        scale,
        Err(Error::Shape {
            what: "the scale",
            ..
        })
    ));
    assert!(ChannelRelative::allocate(&b, 2, 0, 3).is_err());
}

/// μ = −1/P is the end of the path of δ = 0, and refused without a trace.
#[test]
fn a_refused_step_changes_nothing() {
    let b = Heap::<f64>::new();
    let shape = Images::new(2, 4, 3);
    let (start, _, anchor) = problem::<f64>(shape);
    let none = anchor.scaled(0.0);
    for side in SIDES {
        let mut tangent = shape.tangent::<f64>(side, &start, &none, &anchor);
        let mut layer = start.batches::<f64>();
        let mut inverse = start.weight.log_abs_det_and_inverse().1.batch();
        assert_eq!(tangent.log_det_change(&b, -0.25), Ok(None));
        let refused = tangent.step(&b, -0.25, &mut layer, Some(&mut inverse));
        assert_eq!(refused, Err(Error::Singular));
        assert_eq!(Layer::from_batches(&layer), start);
        let change = tangent.log_det_change(&b, -0.24).unwrap().unwrap();
        assert!((change - 12.0 * 0.04_f64.ln()).abs() < 1e4 * f64::EPSILON);
    }
}
