//! Products and steps of several panels, on one, two and three threads: what the reference gives, to
//! rounding.
//!
//! A sum of K products takes K roundings of partial sums of order √K, whose errors, of either sign,
//! add up to √K times one of them: K ε, four times that for the unlucky element of thousands.

use detfree_core::reference::Heap;
use detfree_core::{Adam, Allocate, Fill, FlowBackend, Op, Scalar, Shape, Store};
use detfree_faer::Faer;

use crate::{normals, read};

#[test]
fn panels_and_threads_add_up() {
    let of_all = |inputs| products(&Heap::<f32>::new(), inputs);
    let on_reference = [of_all(FEW), of_all(MANY), step(&Heap::<f32>::new())];
    for threads in [1, 2, 3] {
        let b = Faer::<f32>::new(threads).unwrap();
        let on_threads = [products(&b, FEW), products(&b, MANY), step(&b)];
        for (want, got) in on_reference.iter().zip(on_threads) {
            for ((name, depth, want), (_, _, got)) in want.iter().zip(got) {
                let tolerance = 4.0 * <f32 as Scalar>::EPSILON * (depth + 1) as f64;
                for (i, (want, got)) in want.iter().zip(got).enumerate() {
                    assert!(
                        (want - got).abs() <= tolerance * want.abs().max(1.0),
                        "{name}, {threads} threads: element {i} is {got:e}, not {want:e}"
                    );
                }
            }
        }
    }
}

/// Inputs of weights: fewer than a matrix unit is asked for, and enough for one where there is one.
const FEW: usize = 45;
const MANY: usize = 131;

/// Name, products to a sum, and the sums.
type Sums = Vec<(&'static str, usize, Vec<f64>)>;

/// Each of at least 2²⁰ multiply-adds, with outputs for three panels; cut along rows and outputs.
fn products<B: FlowBackend + Allocate>(b: &B, inputs: usize) -> Sums {
    let outputs = 900;
    let w = normals(b, Shape::new(outputs, inputs), 1, 1.0);
    let [few, many] =
        [(30, 2), (1000, 3)].map(|(rows, seed)| normals(b, Shape::new(rows, inputs), seed, 1.0));
    let [mut y_few, mut y_many] =
        [30, 1000].map(|rows| b.batch(Shape::new(rows, outputs)).unwrap());
    let out = [&mut y_few, &mut y_many];
    b.apply_to_both(&w, Op::Plain, [&few, &many], out).unwrap();
    let mut sums = vec![
        ("apply_to_both, few rows", inputs, read(b, &y_few)),
        ("apply_to_both, many rows", inputs, read(b, &y_many)),
    ];
    for (name, x, y) in [
        ("apply, few rows", &few, &mut y_few),
        ("apply, many rows", &many, &mut y_many),
    ] {
        b.apply(0..b.shape(x).rows, &w, Op::Plain, x, Store::Set, y)
            .unwrap();
        sums.push((name, inputs, read(b, y)));
    }
    let mut g = b.batch(Shape::new(outputs, inputs)).unwrap();
    b.outer(0..1000, 0.03, &y_many, &many, Store::Set, &mut g)
        .unwrap();
    sums.push(("outer", 1000, read(b, &g)));
    // Two blocks of rows on a thread.
    let mut onto = b.batch(Shape::new(outputs, outputs)).unwrap();
    let base = normals(b, Shape::new(outputs, outputs), 4, 1.0);
    let [s, v] = [5, 6].map(|seed| normals(b, Shape::new(30, outputs), seed, 1.0));
    b.outer_onto(0..30, 0.3, &s, &v, &base, &mut onto).unwrap();
    sums.push(("outer_onto", 30, read(b, &onto)));
    sums
}

/// A weight of many panels, the last one shorter, of rows that are no whole vectors, and of more multiply-adds than
/// are worth threads.
fn step<B: FlowBackend + Allocate>(b: &B) -> Sums {
    let (rows, dim) = (3, 403);
    let [left, right] = [1, 2].map(|seed| normals(b, Shape::new(rows, dim), seed, 1.0));
    let square = Shape::new(dim, dim);
    let [mut w, mut m, mut v] = [3, 4, 5].map(|seed| normals(b, square, seed, 1.0));
    // A second moment far from zero: the quotient takes errors as they are.
    b.fill(Fill::Constant(1.0), &mut v).unwrap();
    let mut scratch = b.batch(b.relative_adam_scratch(dim)).unwrap();
    b.fill(Fill::Constant(f64::NAN), &mut scratch).unwrap();
    b.relative_adam(
        &Adam::new(0.1, 3),
        0.3,
        &left,
        &right,
        &mut scratch,
        &mut m,
        &mut v,
        &mut w,
    )
    .unwrap();
    let moments = [("w", &w), ("m", &m), ("v", &v)];
    moments.map(|(name, x)| (name, rows, read(b, x))).into()
}
