//! Fills and elementwise passes: the bits of the reference.

use std::ops::Range;

use detfree_core::reference::Heap;
use detfree_core::{Activation, Adam, Allocate, BaseDensity, Fill, FlowBackend, Key, Shape, Store};
use detfree_cuda::DeviceScalar;
use detfree_testsuite::{SHAPES, ranges};

use crate::{common, dirty, near, normals, read, read_rows, same_bits};

const ACTIVATIONS: [Activation; 7] = [
    Activation::Identity,
    Activation::LeakySoftplus { alpha: 0.3 },
    Activation::TanhLinear {
        alpha: 1.0,
        beta: 0.1,
    },
    Activation::Tanh,
    Activation::Elu,
    Activation::Sine,
    Activation::LipSwish { beta: 1.5 },
];

const BASES: [BaseDensity; 3] = [
    BaseDensity::Normal,
    BaseDensity::HyperbolicSecant,
    BaseDensity::Logistic,
];

/// What passes gave, each under its name.
type Results = Vec<(String, Vec<f64>)>;

pub(crate) fn bits<T: DeviceScalar>() {
    let (b, reference) = (common::own::<T>().unwrap(), Heap::<T>::new());
    for shape in SHAPES {
        same(fills(&b, shape), fills(&reference, shape));
        same(of_all_rows(&b, shape), of_all_rows(&reference, shape));
        for rows in &ranges(shape.rows) {
            let got = of_some_rows(&b, shape, rows);
            same(got, of_some_rows(&reference, shape, rows));
        }
        // The logarithms of products of slopes have another order, and a few ε of a sum of `dim`.
        let tolerance = 16.0 * f64::EPSILON * shape.dim as f64;
        for ((name, got), (_, want)) in sums(&b, shape).iter().zip(sums(&reference, shape)) {
            near(name, got, &want, tolerance);
        }
    }
}

#[track_caller]
fn same(got: Results, want: Results) {
    for ((name, got), (_, want)) in got.iter().zip(&want) {
        same_bits(name, got, want);
    }
}

fn fills<B: Allocate>(b: &B, shape: Shape) -> Results {
    let (key, first_row, scale) = (Key::new(0x1234_5678_9ABC_DEF0), (1 << 33) - 1, 0.3);
    #[rustfmt::skip]
    let fills = [
        Fill::Constant(0.1),
        Fill::Identity,
        Fill::Basis(3),
        Fill::Rademacher { key, first_row, scale },
        Fill::Walsh { key, first_row, index: 5, scale },
        Fill::Walsh { key, first_row, index: 1024 + 128, scale },
    ];
    let mut x = dirty(b, shape);
    let fill = |what: Fill| {
        b.fill(what, &mut x).unwrap();
        (format!("{what:?} {shape:?}"), read(b, &x))
    };
    let mut list: Results = fills.into_iter().map(fill).collect();
    let mut rows = b.rows(shape.rows).unwrap();
    b.fill_rows(0.1, &mut rows).unwrap();
    list.push((format!("fill_rows {shape:?}"), read_rows(b, &rows)));
    list
}

fn of_some_rows<B: FlowBackend + Allocate>(b: &B, shape: Shape, rows: &Range<usize>) -> Results {
    let [x, y] = [1, 2].map(|seed| normals(b, shape, seed, 1.0));
    let mut list = Vec::new();
    let mut done = |name: &str, out: Vec<f64>| {
        list.push((format!("{name} of rows {rows:?} of {shape:?}"), out));
    };
    let fresh = || normals(b, shape, 3, 1.0);

    let mut out = fresh();
    b.axpy(rows.clone(), 0.7, &x, &mut out).unwrap();
    done("axpy", read(b, &out));
    for shift in [None, Some(&y)] {
        let mut out = fresh();
        b.scale_shift(rows.clone(), &x, shift, &mut out).unwrap();
        done("scale_shift", read(b, &out));
    }
    for store in [Store::Set, Store::Add] {
        let mut out = fresh();
        b.hadamard(rows.clone(), &x, &y, store, &mut out).unwrap();
        done("hadamard", read(b, &out));
    }
    list
}

fn of_all_rows<B: FlowBackend + Allocate>(b: &B, shape: Shape) -> Results {
    let bias = normals(b, Shape::new(1, shape.dim), 1, 1.0);
    // Both tails of every activation and density.
    let wide = || normals(b, shape, 4, 10.0);
    let [mut z, mut d1, mut d2] = [(); 3].map(|()| dirty(b, shape));
    let mut list = Vec::new();
    let mut done = |name: String, out: &[&B::Batch]| {
        let numbers = out.iter().flat_map(|x| read(b, x)).collect();
        list.push((format!("{name} {shape:?}"), numbers));
    };

    b.copy(&wide(), &mut z).unwrap();
    done("copy".into(), &[&z]);
    let mut x = wide();
    let mut factors = b.rows(shape.rows).unwrap();
    let host: Vec<f64> = (0..shape.rows as u64)
        .map(|r| Key::new(3).normal(r, 0))
        .collect();
    b.upload_rows(&host, &mut factors).unwrap();
    b.scale_rows(&factors, &mut x).unwrap();
    b.add_bias(&bias, &mut x).unwrap();
    done("scale_rows, add_bias".into(), &[&x]);

    for activation in ACTIVATIONS {
        let mut h = wide();
        b.bias_activate(activation, &bias, &mut h, &mut z, &mut d1, &mut d2)
            .unwrap();
        done(format!("bias_activate {activation:?}"), &[&h, &z, &d1, &d2]);
        if !activation.is_bijection() {
            continue;
        }
        let mut y = wide();
        b.bijection(activation, &bias, &mut y, &mut z, &mut d1, &mut d2, None)
            .unwrap();
        done(format!("bijection {activation:?}"), &[&y, &z, &d1, &d2]);
        b.inverse_bijection(activation, &bias, &mut z).unwrap();
        done(format!("inverse_bijection {activation:?}"), &[&z]);
    }
    b.inverse_bijection(Activation::Tanh, &bias, &mut z)
        .unwrap();
    done("no inverse".into(), &[&z]);

    let [mut m, mut v] = [1, 1].map(|seed| normals(b, shape, seed, 1.0));
    let mut w = normals(b, shape, 2, 1.0);
    for moment in [&mut m, &mut v] {
        b.fill(Fill::Constant(0.0), moment).unwrap();
    }
    for t in 1..4 {
        let g = normals(b, shape, 2 + t, 1.0);
        b.adam(&Adam::new(1e-2, t), &g, &mut m, &mut v, &mut w)
            .unwrap();
    }
    done("adam".into(), &[&m, &v, &w]);
    list
}

/// Row results, and the scores beside them.
fn sums<B: FlowBackend + Allocate>(b: &B, shape: Shape) -> Results {
    let bias = normals(b, Shape::new(1, shape.dim), 1, 1.0);
    let wide = || normals(b, shape, 4, 10.0);
    let [mut z, mut d1, mut score] = [(); 3].map(|()| dirty(b, shape));
    let mut log = b.rows(shape.rows).unwrap();
    let mut list = Vec::new();
    for activation in ACTIVATIONS.into_iter().filter(|sigma| sigma.is_bijection()) {
        b.fill_rows(0.25, &mut log).unwrap();
        let mut y = wide();
        let sums = Some(&mut log);
        b.bijection(activation, &bias, &mut y, &mut z, &mut d1, &mut score, sums)
            .unwrap();
        list.push((format!("{activation:?} {shape:?}"), read_rows(b, &log)));
    }
    for base in BASES {
        b.fill_rows(0.25, &mut log).unwrap();
        b.base_density(base, &wide(), &mut score, &mut log).unwrap();
        list.push((format!("{base:?} {shape:?}"), read_rows(b, &log)));
        list.push((format!("score of {base:?}"), read(b, &score)));
    }
    let [x, y] = [1, 2].map(|seed| normals(b, shape, seed, 1.0));
    b.dot_rows(0..shape.rows, -0.7, &x, &y, &mut log).unwrap();
    list.push((format!("dot_rows {shape:?}"), read_rows(b, &log)));
    list
}

/// Grids end at 2¹³ blocks of 128 threads: beyond, threads take several elements or rows.
pub(crate) fn looped<T: DeviceScalar>() {
    let (b, reference) = (common::own::<T>().unwrap(), Heap::<T>::new());
    let elements = Shape::new(3, 350_001);
    // Eight lanes a row.
    let rows = Shape::new(140_003, 7);
    same(
        looped_passes(&b, elements),
        looped_passes(&reference, elements),
    );
    same(looped_rows(&b, rows), looped_rows(&reference, rows));
}

fn looped_passes<B: FlowBackend + Allocate>(b: &B, shape: Shape) -> Results {
    let (mut x, mut y) = (b.batch(shape).unwrap(), b.batch(shape).unwrap());
    b.fill(Fill::Constant(0.5), &mut x).unwrap();
    b.fill(Fill::Constant(0.25), &mut y).unwrap();
    b.axpy(0..shape.rows, 3.0, &x, &mut y).unwrap();
    vec![("a long axpy".into(), read(b, &y))]
}

fn looped_rows<B: FlowBackend + Allocate>(b: &B, shape: Shape) -> Results {
    let mut x = b.batch(shape).unwrap();
    let fill = Fill::Rademacher {
        key: Key::new(1),
        first_row: 0,
        scale: 0.5,
    };
    b.fill(fill, &mut x).unwrap();
    let mut squares = b.rows(shape.rows).unwrap();
    b.fill_rows(0.125, &mut squares).unwrap();
    b.dot_rows(1..shape.rows, 2.0, &x, &x, &mut squares)
        .unwrap();
    vec![
        ("many rows of signs".into(), read(b, &x)),
        ("many dot products".into(), read_rows(b, &squares)),
    ]
}
