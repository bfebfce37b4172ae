//! Elementwise passes and what they sum: the same bits as the reference.

use detfree_core::{Activation, Adam, BaseDensity, Shape, Store};

use crate::operands::{
    Complete, SHAPES, compare, dirty, except, full, numbers, only, ranges, read, read_rows,
    row_results,
};

const EXACT: f64 = 0.0;

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

pub(crate) fn sum_rows_agrees<B: Complete, R: Complete<Scalar = B::Scalar>>(b: &B, reference: &R) {
    for shape in SHAPES {
        let sum = Shape::new(1, shape.dim);
        for store in [Store::Set, Store::Add] {
            for rows in ranges(shape.rows) {
                let case = format!("sum_rows {shape:?} {store:?} {rows:?}");
                compare!(case, EXACT, b, reference, |on| {
                    let mut g = match store {
                        Store::Set => dirty(on, sum),
                        Store::Add => full(on, sum, 2),
                    };
                    let x = only(on, shape, 1, &rows);
                    on.sum_rows(rows.clone(), 0.7, &x, store, &mut g).unwrap();
                    read(on, &g)
                });
            }
        }
    }
}

pub(crate) fn hadamard_agrees<B: Complete, R: Complete<Scalar = B::Scalar>>(b: &B, reference: &R) {
    for shape in SHAPES {
        for store in [Store::Set, Store::Add] {
            for rows in ranges(shape.rows) {
                let case = format!("hadamard {shape:?} {store:?} {rows:?}");
                compare!(case, EXACT, b, reference, |on| {
                    let x = only(on, shape, 1, &rows);
                    let y = only(on, shape, 2, &rows);
                    let mut out = match store {
                        Store::Set => except(on, shape, 3, &rows),
                        Store::Add => full(on, shape, 3),
                    };
                    on.hadamard(rows.clone(), &x, &y, store, &mut out).unwrap();
                    read(on, &out)
                });
            }
        }
    }
}

pub(crate) fn scale_shift_agrees<B: Complete, R: Complete<Scalar = B::Scalar>>(
    b: &B,
    reference: &R,
) {
    for shape in SHAPES {
        for shifted in [false, true] {
            for rows in ranges(shape.rows) {
                let case = format!("scale_shift {shape:?} {shifted} {rows:?}");
                compare!(case, EXACT, b, reference, |on| {
                    let scale = only(on, shape, 1, &rows);
                    let shift = shifted.then(|| only(on, shape, 2, &rows));
                    let mut x = full(on, shape, 3);
                    on.scale_shift(rows.clone(), &scale, shift.as_ref(), &mut x)
                        .unwrap();
                    read(on, &x)
                });
            }
        }
    }
}

pub(crate) fn add_bias_agrees<B: Complete, R: Complete<Scalar = B::Scalar>>(b: &B, reference: &R) {
    for shape in SHAPES {
        compare!(format!("add_bias {shape:?}"), EXACT, b, reference, |on| {
            let bias = full(on, Shape::new(1, shape.dim), 1);
            let mut x = full(on, shape, 2);
            on.add_bias(&bias, &mut x).unwrap();
            read(on, &x)
        });
    }
}

pub(crate) fn bias_activate_agrees<B: Complete, R: Complete<Scalar = B::Scalar>>(
    b: &B,
    reference: &R,
) {
    for shape in SHAPES {
        for activation in BIJECTIONS.into_iter().chain(CONTRACTIONS) {
            compare!(
                format!("{activation:?} {shape:?}"),
                EXACT,
                b,
                reference,
                |on| {
                    let bias = full(on, Shape::new(1, shape.dim), 1);
                    let mut h = wide(on, shape);
                    let [mut z, mut d1, mut d2] = [(); 3].map(|()| dirty(on, shape));
                    on.bias_activate(activation, &bias, &mut h, &mut z, &mut d1, &mut d2)
                        .unwrap();
                    [h, z, d1, d2].iter().flat_map(|x| read(on, x)).collect()
                }
            );
        }
    }
}

pub(crate) fn transpose_agrees<B: Complete, R: Complete<Scalar = B::Scalar>>(b: &B, reference: &R) {
    for shape in SHAPES {
        compare!(format!("transpose {shape:?}"), EXACT, b, reference, |on| {
            let mut out = dirty(on, Shape::new(shape.dim, shape.rows));
            on.transpose(&full(on, shape, 1), &mut out).unwrap();
            read(on, &out)
        });
    }
}

pub(crate) fn bijection_agrees<B: Complete, R: Complete<Scalar = B::Scalar>>(b: &B, reference: &R) {
    for shape in SHAPES {
        for activation in BIJECTIONS {
            compare!(
                format!("{activation:?} {shape:?}"),
                EXACT,
                b,
                reference,
                |on| {
                    let bias = full(on, Shape::new(1, shape.dim), 1);
                    let mut y = wide(on, shape);
                    let [mut z, mut d1, mut score] = [(); 3].map(|()| dirty(on, shape));
                    let mut log = row_results(on, &numbers(shape, 3)[..shape.rows]);
                    on.bijection(
                        activation, &bias, &mut y, &mut z, &mut d1, &mut score, &mut log,
                    )
                    .unwrap();
                    let mut all = read_rows(on, &log);
                    all.extend([y, z, d1, score].iter().flat_map(|x| read(on, x)));
                    all
                }
            );
        }
    }
}

pub(crate) fn inverse_bijection_agrees<B: Complete, R: Complete<Scalar = B::Scalar>>(
    b: &B,
    reference: &R,
) {
    for shape in SHAPES {
        for activation in BIJECTIONS {
            compare!(
                format!("{activation:?}⁻¹ {shape:?}"),
                EXACT,
                b,
                reference,
                |on| {
                    let bias = full(on, Shape::new(1, shape.dim), 1);
                    let mut z = wide(on, shape);
                    on.inverse_bijection(activation, &bias, &mut z).unwrap();
                    read(on, &z)
                }
            );
        }
    }
}

pub(crate) fn base_density_agrees<B: Complete, R: Complete<Scalar = B::Scalar>>(
    b: &B,
    reference: &R,
) {
    for shape in SHAPES {
        for base in [
            BaseDensity::Normal,
            BaseDensity::HyperbolicSecant,
            BaseDensity::Logistic,
        ] {
            compare!(format!("{base:?} {shape:?}"), EXACT, b, reference, |on| {
                let mut score = dirty(on, shape);
                let mut log = row_results(on, &numbers(shape, 3)[..shape.rows]);
                on.base_density(base, &wide(on, shape), &mut score, &mut log)
                    .unwrap();
                let mut all = read_rows(on, &log);
                all.extend(read(on, &score));
                all
            });
        }
    }
}

pub(crate) fn adam_agrees<B: Complete, R: Complete<Scalar = B::Scalar>>(b: &B, reference: &R) {
    for shape in SHAPES {
        compare!(format!("adam {shape:?}"), EXACT, b, reference, |on| {
            let mut w = full(on, shape, 1);
            let [mut m, mut v] = [(); 2].map(|()| full(on, shape, 2));
            on.fill(detfree_core::Fill::Constant(0.0), &mut m).unwrap();
            on.fill(detfree_core::Fill::Constant(0.0), &mut v).unwrap();
            for t in 1..4 {
                let g = full(on, shape, 2 + t);
                on.adam(&Adam::new(1e-2, t), &g, &mut m, &mut v, &mut w)
                    .unwrap();
            }
            [w, m, v].iter().flat_map(|x| read(on, x)).collect()
        });
    }
}

/// Numbers in [−20, 20]: both tails of every activation and density.
fn wide<B: Complete>(on: &B, shape: Shape) -> B::Batch {
    let host: Vec<f64> = numbers(shape, 4).iter().map(|x| 20.0 * x).collect();
    crate::operands::batch(on, shape, &host)
}
