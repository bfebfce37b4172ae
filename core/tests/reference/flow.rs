//! The fused passes of a flow and of training.

use detfree_core::reference::Heap;
use detfree_core::{
    Activation, Adam, Allocate, Backend, BaseDensity, Dense, DenseBackend, FlowBackend, Shape,
};

use crate::{at, compare, dirty, normals};

/// The passes of a flow and of training: each row on its own, through the slice functions.
#[test]
fn flow_passes_go_row_by_row() {
    let b = Heap::<f64>::new();
    let (rows, dim) = (3, 9);
    let activation = Activation::LeakySoftplus { alpha: 0.3 };
    let (h, bias) = (normals::<f64>(rows, dim, 1), normals::<f64>(1, dim, 2));
    let mut y = h.clone();
    let [mut z, mut d1, mut d2] = [(); 3].map(|()| dirty::<f64>(rows, dim));
    let mut log = b.rows(rows).unwrap();
    b.fill_rows(1.0, &mut log).unwrap();
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
    for r in 0..rows {
        let shifted: Vec<f64> = h
            .row(r)
            .iter()
            .zip(bias.row(0))
            .map(|(h, b)| h + b)
            .collect();
        let mut expected = [(); 3].map(|()| vec![0.0; dim]);
        let [ez, e1, es] = &mut expected;
        let sum = activation.bijection(&shifted, ez, e1, es);
        assert_eq!((y.row(r), z.row(r)), (&shifted[..], &ez[..]));
        assert_eq!((d1.row(r), d2.row(r)), (&e1[..], &es[..]));
        assert_eq!(log.row(r)[0], 1.0 + sum);
    }
    let mut back = z.clone();
    b.inverse_bijection(activation, &bias, &mut back).unwrap();
    compare("inverse", &back, 0..rows, 4, |r, c| at(&h, r, c));

    let mut again = h.clone();
    let [mut z2, mut first, mut second] = [(); 3].map(|()| dirty::<f64>(rows, dim));
    b.bias_activate(
        activation,
        &bias,
        &mut again,
        &mut z2,
        &mut first,
        &mut second,
    )
    .unwrap();
    assert_eq!(
        (again.as_slice(), z2.as_slice()),
        (y.as_slice(), z.as_slice())
    );
    compare("σ''", &second, 0..rows, 8, |r, c| {
        at(&first, r, c) * at(&d2, r, c)
    });

    let mut score = dirty::<f64>(rows, dim);
    b.base_density(BaseDensity::Normal, &z, &mut score, &mut log)
        .unwrap();
    compare("score", &score, 0..rows, 1, |r, c| -at(&z, r, c));

    // Two Adam steps against the published update with explicit bias corrections.
    let [g1, g2] = [5, 6].map(|seed| normals::<f64>(rows, dim, seed));
    let mut w = normals::<f64>(rows, dim, 7);
    let start = w.clone();
    let [mut m, mut v] = [(); 2].map(|()| Dense::on_heap(Shape::new(rows, dim)));
    for (t, g) in [(1, &g1), (2, &g2)] {
        b.adam(&Adam::new(0.01, t), g, &mut m, &mut v, &mut w)
            .unwrap();
    }
    compare("Adam", &w, 0..rows, 8, |r, c| {
        let (mut m, mut v, mut w) = (0.0_f64, 0.0_f64, at(&start, r, c));
        for (t, g) in [(1, at(&g1, r, c)), (2, at(&g2, r, c))] {
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            let (m, v) = (m / (1.0 - 0.9_f64.powi(t)), v / (1.0 - 0.999_f64.powi(t)));
            w += 0.01 * m / (v.sqrt() + 1e-8);
        }
        w
    });
}
