//! One sample at a time on arrays, without an allocator: what firmware does.

use detfree_core::reference::{Arrays, Heap};
use detfree_core::{
    Affine, Dense, DenseBackend, DenseRelative, Key, Op, RelativeGradient, Shape, Side, Store,
};

use crate::plain::{Layer, Plain};

const DIM: usize = 3;
const STEPS: u64 = 3000;

type Board = Arrays<f32, 9, DIM>;

fn batch(rows: usize, dim: usize) -> Dense<[f32; 9]> {
    Dense::new(Shape::new(rows, dim), [0.0; 9]).unwrap()
}

/// Every sensor hears every source.
fn mixing() -> Plain {
    let rows = [[1.0, 0.6, 0.3], [0.4, 1.0, 0.6], [0.6, -0.3, 1.0]];
    Plain::new(DIM, DIM, |i, j| rows[i][j])
}

/// The largest share of a foreign source in a sensor or in an output, relative to its own.
fn cross_talk(system: &Plain) -> f64 {
    let share = |i, j| (system.at(i, j) / system.at(i, i)).abs();
    let pairs = (0..DIM * DIM)
        .map(|k| (k / DIM, k % DIM))
        .filter(|(i, j)| i != j);
    pairs.map(|(i, j)| share(i, j)).fold(0.0, f64::max)
}

fn sources(key: Key, step: u64, mixing: &Plain) -> Plain {
    Plain::normal(key.fold_in(step), 1, DIM, 1.0)
        .map(|s| 0.6 * s * s.abs())
        .times(mixing)
}

/// Unmixes sources sample by sample; returns W, b, W⁻¹ and the tracked log|det W|.
macro_rules! unmix {
    ($b:expr, $tangent:expr, $batch:expr, $side:expr) => {{
        let (b, mut tangent, batch, side) = ($b, $tangent, $batch, $side);
        let key = Key::new(0x0b0a);
        let mixing = mixing();
        let mut layer = Affine {
            weight: batch(DIM, DIM),
            bias: batch(1, DIM),
        };
        let mut inverse = batch(DIM, DIM);
        for i in 0..DIM {
            layer.weight.row_mut(i)[i] = 1.0;
            inverse.row_mut(i)[i] = 1.0;
        }
        let (mut z, mut y, mut delta) = (batch(1, DIM), batch(1, DIM), batch(1, DIM));
        let mut log_det = 0.0;
        for step in 0..STEPS {
            let sample = sources(key.fold_in(1), step, &mixing);
            for (z, &sample) in z.as_mut_slice().iter_mut().zip(&sample.data) {
                *z = sample as f32;
            }
            y.as_mut_slice().copy_from_slice(layer.bias.as_slice());
            b.apply(0..1, &layer.weight, Op::Plain, &z, Store::Add, &mut y)
                .unwrap();
            for (delta, y) in delta.as_mut_slice().iter_mut().zip(y.as_slice()) {
                *delta = -y.tanh();
            }
            let anchor = if side == Side::Plain { &y } else { &z };
            tangent.linearise(&b, side, &layer, &delta, anchor).unwrap();
            let guarded = tangent
                .guard(&b, 0.02 / (1.0 + step as f64 / 500.0))
                .unwrap()
                .unwrap();
            tangent
                .step(&b, guarded.mu, &mut layer, Some(&mut inverse))
                .unwrap();
            log_det += guarded.log_det_change;
        }
        let plain = |x: &[f32], rows| Plain::new(rows, DIM, |i, j| f64::from(x[i * DIM + j]));
        (
            Layer {
                weight: plain(layer.weight.as_slice(), DIM),
                bias: plain(layer.bias.as_slice(), 1),
            },
            plain(inverse.as_slice(), DIM),
            log_det,
        )
    }};
}

fn on_arrays(side: Side) -> (Layer, Plain, f64) {
    let b = Board::new();
    let tangent = DenseRelative::new(
        &b,
        [(); 3].map(|()| batch(1, DIM)),
        [(); 2].map(|()| batch(1, 1)),
        batch(1, 1),
        [(); 2].map(|()| batch(1, DIM)),
        [DIM, 1].map(|rows| Dense::new(Shape::new(rows, 1), [0.0; DIM]).unwrap()),
    )
    .unwrap();
    unmix!(b, tangent, batch, side)
}

fn on_the_heap(side: Side) -> (Layer, Plain, f64) {
    let b = Heap::<f32>::new();
    let tangent = DenseRelative::allocate(&b, 1, DIM).unwrap();
    let batch = |rows, dim| Dense::on_heap(Shape::new(rows, dim));
    unmix!(b, tangent, batch, side)
}

#[test]
fn unmixes_online_on_arrays() {
    for side in [Side::Plain, Side::Transposed] {
        let (layer, inverse, log_det) = on_arrays(side);
        // The same code, so the same bits.
        assert_eq!((layer.clone(), inverse.clone(), log_det), on_the_heap(side));

        let (exact, _) = layer.weight.log_abs_det_and_inverse();
        let residual = inverse
            .times(&layer.weight)
            .plus(-1.0, &Plain::identity(DIM));
        // Rounding of 3,000 steps in f32 leaves 6e-6.
        assert!((log_det - exact).abs() < 3e-5);
        assert!(residual.largest() < 3e-5);
        // And it does what it is for: cross-talk was 0.6, and 0.06 is left.
        assert!(cross_talk(&mixing().t()) > 0.5);
        assert!(cross_talk(&layer.weight.times(&mixing().t())) < 0.15);
    }
}
