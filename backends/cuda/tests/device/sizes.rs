//! Products and sums of sizes that tiles, parts and warps cut up: what the reference gives, to
//! rounding.
//!
//! A sum of K products takes K roundings of partial sums of order √K, whose errors, of either sign,
//! add up to √K times one of them: K ε, four times that for the unlucky element of thousands.

use detfree_core::reference::Heap;
use detfree_core::{
    Adam, Allocate, Backend, DenseBackend, Fill, FlowBackend, Link, Op, Shape, Store,
};
use detfree_cuda::{Cuda, DeviceBatch, DeviceScalar};

use crate::{common, dirty, near, normals, read, same_bits};

/// (rows, outputs, inputs): no tile full; sums in parts, the last one shorter.
const SIZES: [[usize; 3]; 4] = [[1, 1, 1], [17, 33, 15], [70, 5, 49], [9, 3, 1111]];

/// With large tiles, the last ones not full, once for every one of the three.
const LARGE: [[usize; 3]; 3] = [[513, 520, 5], [513, 5, 520], [5, 513, 520]];

pub(crate) fn products<T: DeviceScalar>() {
    let (b, reference) = (common::own::<T>().unwrap(), Heap::<T>::new());
    for [rows, outputs, inputs] in SIZES {
        // As a weight's inputs, its outputs and the rows of a batch: each is once the depth.
        compare(&b, &reference, [rows, outputs, inputs]);
        compare(&b, &reference, [rows, inputs, outputs]);
        compare(&b, &reference, [inputs, outputs, rows]);
    }
    for extents in LARGE {
        compare(&b, &reference, extents);
    }
}

fn compare<B, R>(b: &B, reference: &R, extents: [usize; 3])
where
    B: FlowBackend + Allocate,
    R: FlowBackend<Scalar = B::Scalar> + Allocate,
{
    let (got, want) = (products_of(b, extents), products_of(reference, extents));
    for ((name, depth, got), (_, _, want)) in got.iter().zip(&want) {
        let tolerance = 4.0 * epsilon::<B>() * (depth + 1) as f64;
        near(&format!("{name} of {extents:?}"), got, want, tolerance);
    }
    // And the same again, bit by bit.
    for ((name, _, again), (_, _, got)) in products_of(b, extents).iter().zip(&got) {
        same_bits(&format!("{name} of {extents:?} again"), again, got);
    }
}

fn epsilon<B: FlowBackend>() -> f64 {
    <B::Scalar as detfree_core::Scalar>::EPSILON
}

/// Name, products to a sum, and the sums.
type Sums = Vec<(&'static str, usize, Vec<f64>)>;

fn products_of<B: FlowBackend + Allocate>(b: &B, [rows, outputs, inputs]: [usize; 3]) -> Sums {
    let w = normals(b, Shape::new(outputs, inputs), 1, 1.0);
    let x = normals(b, Shape::new(rows, inputs), 2, 1.0);
    let y = normals(b, Shape::new(rows, outputs), 3, 1.0);
    let mut list = Sums::new();
    let mut out = dirty(b, Shape::new(rows, outputs));
    let all = || 0..rows;
    b.apply(all(), &w, Op::Plain, &x, Store::Set, &mut out)
        .unwrap();
    list.push(("apply, set", inputs, read(b, &out)));
    b.apply(all(), &w, Op::Plain, &x, Store::Add, &mut out)
        .unwrap();
    list.push(("apply, add", inputs, read(b, &out)));
    let mut out = dirty(b, Shape::new(rows, inputs));
    b.apply(all(), &w, Op::Transposed, &y, Store::Set, &mut out)
        .unwrap();
    list.push(("apply, transposed", outputs, read(b, &out)));
    let mut g = dirty(b, Shape::new(outputs, inputs));
    b.outer(all(), 0.3, &y, &x, Store::Set, &mut g).unwrap();
    list.push(("outer, set", rows, read(b, &g)));
    b.outer(all(), 0.3, &y, &x, Store::Add, &mut g).unwrap();
    list.push(("outer, add", rows, read(b, &g)));
    b.outer(rows / 2..rows / 2, 0.3, &y, &x, Store::Add, &mut g)
        .unwrap();
    list.push(("outer of no rows, add", rows, read(b, &g)));
    b.outer_onto(all(), 0.3, &y, &x, &w, &mut g).unwrap();
    list.push(("outer_onto", rows, read(b, &g)));
    b.outer(0..0, 0.3, &y, &x, Store::Set, &mut g).unwrap();
    list.push(("outer of no rows, set", 0, read(b, &g)));
    list
}

/// (rows, numbers of x and of every link's result): blocks of rows that are not full; links for one
/// kernel and others; sums in parts; large tiles.
const CHAINS: [(usize, &[usize]); 6] = [
    (1, &[1, 1]),
    (17, &[1, 1, 1, 3]),
    (17, &[5, 128, 31, 2, 3, 128, 70]),
    (9, &[100, 129, 128, 127, 130]),
    (5, &[3, 1111, 3]),
    (800, &[7, 520, 3]),
];

/// The bits of products and scales of their own; of infinities too, which zeros that fill a vector up
/// must not turn into NaN.
pub(crate) fn chain<T: DeviceScalar>() {
    let b = common::own::<T>().unwrap();
    let huge = if size_of::<T>() == 4 { 3e38 } else { 1.5e308 };
    for (rows, dims) in CHAINS {
        for (transposed, size) in [(0, 1.0), (!0, 1.0), (0b1010, huge)] {
            let x = normals(&b, Shape::new(rows, dims[0]), 1, size);
            let got = chained(&b, &x, dims, transposed, true);
            let want = chained(&b, &x, dims, transposed, false);
            let case = format!("chain of {rows} × {dims:?}, transposed {transposed:b}");
            same_bits(&case, &got, &want);
        }
    }
}

/// The results of a chain, or of its products one by one. The third link has no scale.
fn chained<T: DeviceScalar>(
    b: &Cuda<T>,
    x: &DeviceBatch<T>,
    dims: &[usize],
    transposed: u32,
    at_once: bool,
) -> Vec<f64> {
    let rows = b.shape(x).rows;
    let range = rows / 3..rows;
    let mut operands: Vec<_> = dims
        .windows(2)
        .zip(2..)
        .map(|(dims, seed)| {
            let (op, shape) = match transposed >> (seed - 2) & 1 {
                0 => (Op::Plain, Shape::new(dims[1], dims[0])),
                _ => (Op::Transposed, Shape::new(dims[0], dims[1])),
            };
            let weight = normals(b, shape, seed, 1.0 / (dims[0] as f64).sqrt());
            let shape = Shape::new(rows, dims[1]);
            let scale = (seed != 4).then(|| normals(b, shape, seed + 10, 1.0));
            (weight, op, scale, dirty(b, shape))
        })
        .collect();
    let links = operands.iter_mut().map(|(weight, op, scale, out)| Link {
        weight,
        op: *op,
        scale: scale.as_ref(),
        out,
    });
    if at_once {
        b.chain(range, x, links).unwrap();
    } else {
        let mut x = x;
        for link in links {
            let (rows, out) = (range.clone(), link.out);
            b.apply(rows, link.weight, link.op, x, Store::Set, out)
                .unwrap();
            if let Some(scale) = link.scale {
                b.scale_shift(range.clone(), scale, None, out).unwrap();
            }
            x = out;
        }
    }
    operands.last().map(|(.., out)| read(b, out)).unwrap()
}

pub(crate) fn sums_of_rows<T: DeviceScalar>() {
    let (b, reference) = (common::own::<T>().unwrap(), Heap::<T>::new());
    for shape in [(1, 1), (7, 33), (515, 5), (2051, 40), (300, 1025)] {
        let shape = Shape::new(shape.0, shape.1);
        let tolerance = 4.0 * T::EPSILON * (shape.rows + 1) as f64;
        let (got, want) = (row_sums(&b, shape), row_sums(&reference, shape));
        near(&format!("sums of {shape:?}"), &got, &want, tolerance);
        same_bits("sums again", &row_sums(&b, shape), &got);
    }
}

fn row_sums<B: FlowBackend + Allocate>(b: &B, shape: Shape) -> Vec<f64> {
    let x = normals(b, shape, 1, 1.0);
    let mut sum = dirty(b, Shape::new(1, shape.dim));
    let (all, middle) = (0..shape.rows, shape.rows / 3..shape.rows);
    b.sum_rows(all, 0.7, &x, Store::Set, &mut sum).unwrap();
    let mut sums = read(b, &sum);
    b.sum_rows(middle, -0.4, &x, Store::Add, &mut sum).unwrap();
    sums.extend(read(b, &sum));
    b.sum_rows(0..0, 1.0, &x, Store::Add, &mut sum).unwrap();
    sums.extend(read(b, &sum));
    b.sum_rows(0..0, 1.0, &x, Store::Set, &mut sum).unwrap();
    sums.extend(read(b, &sum));
    sums
}

pub(crate) fn relative_adam<T: DeviceScalar>() {
    let (b, reference) = (common::own::<T>().unwrap(), Heap::<T>::new());
    // Small tiles and large ones.
    for shape in [(1, 1), (3, 37), (50, 20), (3, 520)] {
        let shape = Shape::new(shape.0, shape.1);
        let tolerance = 4.0 * T::EPSILON * (shape.rows + 1) as f64;
        let (got, want) = (step(&b, shape), step(&reference, shape));
        near(&format!("relative_adam {shape:?}"), &got, &want, tolerance);
    }
}

fn step<B: FlowBackend + Allocate>(b: &B, shape: Shape) -> Vec<f64> {
    let dim = shape.dim;
    let [left, right] = [1, 2].map(|seed| normals(b, shape, seed, 1.0));
    let [mut w, mut m, mut v] = [3, 4, 5].map(|seed| normals(b, Shape::new(dim, dim), seed, 1.0));
    // A second moment far from zero: the quotient takes errors as they are.
    b.fill(Fill::Constant(1.0), &mut v).unwrap();
    let mut scratch = dirty(b, b.relative_adam_scratch(dim));
    b.relative_adam(
        &Adam::new(0.1, 3),
        0.5,
        &left,
        &right,
        &mut scratch,
        &mut m,
        &mut v,
        &mut w,
    )
    .unwrap();
    [&m, &v, &w].into_iter().flat_map(|x| read(b, x)).collect()
}

pub(crate) fn transpose<T: DeviceScalar>() {
    let (b, reference) = (common::own::<T>().unwrap(), Heap::<T>::new());
    for (rows, dim) in [(1, 1), (1, 70), (33, 31), (65, 100)] {
        let shape = Shape::new(rows, dim);
        let got = transposed(&b, shape);
        same_bits("transpose", &got, &transposed(&reference, shape));
    }
}

fn transposed<B: FlowBackend + Allocate>(b: &B, shape: Shape) -> Vec<f64> {
    let x = normals(b, shape, 1, 1.0);
    let mut out = dirty(b, Shape::new(shape.dim, shape.rows));
    b.transpose(&x, &mut out).unwrap();
    read(b, &out)
}
