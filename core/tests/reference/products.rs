//! Products and column sums.

use detfree_core::reference::Heap;
use detfree_core::{DenseBackend, Op, Scalar, Store};

use crate::{SHAPES, at, compare, dirty, normals};

fn products<T: Scalar>() {
    let b = Heap::<T>::new();
    for (rows, inputs, outputs) in SHAPES {
        let (w, x) = (
            normals::<T>(outputs, inputs, 1),
            normals::<T>(rows, inputs, 2),
        );
        let y = normals::<T>(rows, outputs, 3);
        for range in [0..rows, rows / 3..rows - rows / 3, rows..rows] {
            let wx = |r, i| {
                (0..inputs)
                    .map(|j| at(&w, i, j) * at(&x, r, j))
                    .sum::<f64>()
            };
            let wty = |r, j| {
                (0..outputs)
                    .map(|i| at(&w, i, j) * at(&y, r, i))
                    .sum::<f64>()
            };
            let mut out = dirty(rows, outputs);
            b.apply(range.clone(), &w, Op::Plain, &x, Store::Set, &mut out)
                .unwrap();
            compare("apply", &out, range.clone(), inputs, wx);
            b.apply(range.clone(), &w, Op::Plain, &x, Store::Add, &mut out)
                .unwrap();
            compare("apply +", &out, range.clone(), inputs, |r, i| {
                2.0 * wx(r, i)
            });
            let mut out = dirty(rows, inputs);
            b.apply(range.clone(), &w, Op::Transposed, &y, Store::Set, &mut out)
                .unwrap();
            compare("applyᵀ", &out, range.clone(), outputs, wty);
            b.apply(range.clone(), &w, Op::Transposed, &y, Store::Add, &mut out)
                .unwrap();
            compare("applyᵀ +", &out, range.clone(), outputs, |r, j| {
                2.0 * wty(r, j)
            });

            let a = -0.75;
            let yx = |i, j| {
                let range = range.clone();
                a * range.map(|r| at(&y, r, i) * at(&x, r, j)).sum::<f64>()
            };
            let mut g = dirty(outputs, inputs);
            b.outer(range.clone(), a, &y, &x, Store::Set, &mut g)
                .unwrap();
            compare("outer", &g, 0..outputs, rows, yx);
            b.outer(range.clone(), a, &y, &x, Store::Add, &mut g)
                .unwrap();
            compare("outer +", &g, 0..outputs, rows, |i, j| 2.0 * yx(i, j));
            let column = |_, j| a * range.clone().map(|r| at(&x, r, j)).sum::<f64>();
            let mut g = dirty(1, inputs);
            b.sum_rows(range.clone(), a, &x, Store::Set, &mut g)
                .unwrap();
            compare("sum", &g, 0..1, rows, column);
            b.sum_rows(range.clone(), a, &x, Store::Add, &mut g)
                .unwrap();
            compare("sum +", &g, 0..1, rows, |_, j| 2.0 * column(0, j));
        }
        let mut transposed = dirty(inputs, rows);
        b.transpose(&x, &mut transposed).unwrap();
        compare("transpose", &transposed, 0..inputs, 0, |r, c| at(&x, c, r));
    }
}

#[test]
fn products_match_loops() {
    products::<f32>();
    products::<f64>();
}
