//! Fills and elementwise passes: the same bits as the reference.

use std::ops::Range;

use detfree_core::reference::Heap;
use detfree_core::{
    Activation, Adam, Allocate, BaseDensity, Fill, FlowBackend, Key, Scalar, Shape, Store,
};
use detfree_faer::Faer;
use detfree_testsuite::{SHAPES, ranges};

use crate::{normals, read};

const BIJECTIONS: [Activation; 3] = [
    Activation::Identity,
    Activation::LeakySoftplus { alpha: 0.3 },
    Activation::TanhLinear {
        alpha: 1.0,
        beta: 0.1,
    },
];

const CONTRACTIONS: [Activation; 4] = [
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

#[test]
fn passes_give_the_bits_of_the_reference() {
    same_bits(&Faer::<f32>::sequential(), &Heap::<f32>::new());
    same_bits(&Faer::<f64>::sequential(), &Heap::<f64>::new());
    same_bits(&Faer::<f32>::new(2).unwrap(), &Heap::<f32>::new());
}

/// Large enough for two threads, and cut where a vector is not full.
const LARGE: Shape = Shape {
    rows: 150,
    dim: 501,
};

fn same_bits<B: FlowBackend + Allocate, R: FlowBackend + Allocate>(b: &B, reference: &R) {
    for shape in SHAPES.into_iter().chain([LARGE]) {
        assert_same(shape, fills(b, shape), fills(reference, shape));
        assert_same(shape, of_all_rows(b, shape), of_all_rows(reference, shape));
        for rows in &ranges(shape.rows) {
            let got = of_some_rows(b, shape, rows);
            assert_same(shape, got, of_some_rows(reference, shape, rows));
        }
    }
}

#[track_caller]
fn assert_same(shape: Shape, got: Results, want: Results) {
    let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    for ((name, got), (_, want)) in got.iter().zip(&want) {
        let differ = bits(got).iter().zip(bits(want)).position(|(x, y)| *x != y);
        assert_eq!(differ, None, "{name} {shape:?}: where the bits differ");
    }
}

/// The reference's row results start from these.
fn results<B: Allocate>(b: &B, rows: usize) -> B::Rows {
    let mut results = b.rows(rows).unwrap();
    let host: Vec<f64> = (0..rows as u64).map(|r| Key::new(3).normal(r, 0)).collect();
    b.upload_rows(&host, &mut results).unwrap();
    results
}

fn read_rows<B: Allocate>(b: &B, rows: &B::Rows) -> Vec<f64> {
    let mut host = vec![f64::NAN; b.row_count(rows)];
    b.download_rows(rows, &mut host).unwrap();
    host
}

fn fills<B: Allocate>(b: &B, shape: Shape) -> Results {
    let (key, first_row, scale) = (Key::new(11), 1 << 33, 0.3);
    #[rustfmt::skip]
    let fills = [
        Fill::Constant(0.1),
        Fill::Identity,
        Fill::Basis(3),
        Fill::Rademacher { key, first_row, scale },
        Fill::Gaussian { key, first_row, scale },
        Fill::Walsh { key, first_row, index: 5, scale },
    ];
    let mut x = b.batch(shape).unwrap();
    let fill = |what: Fill| {
        b.fill(what, &mut x).unwrap();
        (format!("{what:?}"), read(b, &x))
    };
    fills.into_iter().map(fill).collect()
}

fn of_some_rows<B: FlowBackend + Allocate>(b: &B, shape: Shape, rows: &Range<usize>) -> Results {
    let [x, y] = [1, 2].map(|seed| normals(b, shape, seed, 1.0));
    let mut list = Vec::new();
    let mut done = |name: &str, out: Vec<f64>| list.push((format!("{name} {rows:?}"), out));
    let fresh = || normals(b, shape, 3, 1.0);

    let mut out = fresh();
    b.axpy(rows.clone(), 0.7, &x, &mut out).unwrap();
    done("axpy", read(b, &out));

    let mut out = normals(b, shape, 3, B::Scalar::TINY.to_f64());
    b.flush_tiny(rows.clone(), &mut out).unwrap();
    done("flush_tiny", read(b, &out));

    let mut out = results(b, shape.rows);
    b.dot_rows(rows.clone(), -0.7, &x, &y, &mut out).unwrap();
    done("dot_rows", read_rows(b, &out));

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
    let [mut z, mut d1, mut d2] = [5, 6, 7].map(|seed| normals(b, shape, seed, 1.0));
    let mut list = Vec::new();
    let mut done = |name: String, out: &[&B::Batch], rows: &[f64]| {
        let numbers = out.iter().flat_map(|x| read(b, x));
        list.push((name, numbers.chain(rows.iter().copied()).collect()));
    };

    b.copy(&wide(), &mut z).unwrap();
    done("copy".into(), &[&z], &[]);

    let mut x = wide();
    b.scale_rows(&results(b, shape.rows), &mut x).unwrap();
    b.add_bias(&bias, &mut x).unwrap();
    done("scale_rows, add_bias".into(), &[&x], &[]);

    let mut out = b.batch(Shape::new(shape.dim, shape.rows)).unwrap();
    b.transpose(&x, &mut out).unwrap();
    done("transpose".into(), &[&out], &[]);

    for activation in BIJECTIONS.into_iter().chain(CONTRACTIONS) {
        let mut h = wide();
        b.bias_activate(activation, &bias, &mut h, &mut z, &mut d1, &mut d2)
            .unwrap();
        done(
            format!("bias_activate {activation:?}"),
            &[&h, &z, &d1, &d2],
            &[],
        );
    }
    for activation in BIJECTIONS {
        let (mut y, mut log) = (wide(), results(b, shape.rows));
        b.bijection(
            activation,
            &bias,
            &mut y,
            &mut z,
            &mut d1,
            &mut d2,
            Some(&mut log),
        )
        .unwrap();
        let log = read_rows(b, &log);
        done(
            format!("bijection {activation:?}"),
            &[&y, &z, &d1, &d2],
            &log,
        );

        b.inverse_bijection(activation, &bias, &mut z).unwrap();
        done(format!("inverse_bijection {activation:?}"), &[&z], &[]);
    }
    for base in BASES {
        let mut log = results(b, shape.rows);
        b.base_density(base, &wide(), &mut d1, &mut log).unwrap();
        let log = read_rows(b, &log);
        done(format!("base_density {base:?}"), &[&d1], &log);
    }

    let [mut m, mut v, mut w] = [1, 1, 2].map(|seed| normals(b, shape, seed, 1.0));
    for moment in [&mut m, &mut v] {
        b.fill(Fill::Constant(0.0), moment).unwrap();
    }
    for t in 1..4 {
        let g = normals(b, shape, 2 + t, 1.0);
        b.adam(&Adam::new(1e-2, t), &g, &mut m, &mut v, &mut w)
            .unwrap();
    }
    done("adam".into(), &[&m, &v, &w], &[]);
    list
}
