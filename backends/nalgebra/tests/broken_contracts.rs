//! Operands that break the contract give unspecified numbers, and never a panic.

use std::convert::Infallible;
use std::ops::Range;

use detfree_core::{Activation, Adam, Allocate, BaseDensity, DenseBackend, FlowBackend};
use detfree_core::{Backend, Fill, Op, Shape, Store};
use detfree_nalgebra::{Nalgebra, columns, columns_mut};

type Batch = <Nalgebra<f64> as Backend>::Batch;

/// The ranges and shapes of a slip; what is this crate's own also withstands absurd ones.
const SHAPES: [(usize, usize); 6] = [(0, 0), (1, 3), (3, 1), (4, 4), (20, 20), (7, 40)];

#[test]
fn shapes_and_ranges_that_do_not_fit_do_not_panic() {
    let absurd = [(0, usize::MAX), (usize::MAX, 0)];
    #[expect(clippy::reversed_empty_ranges, reason = "a broken contract")]
    let ranges = [0..2, 3..9, 2..1, usize::MAX - 1..usize::MAX, 0..usize::MAX];
    let shapes: Vec<_> = SHAPES.into_iter().chain(absurd).collect();
    for_all(&shapes, |b, x, y, out| {
        factorisations(b, x, out)?;
        ranges
            .iter()
            .try_for_each(|rows| products(b, rows, x, y, out))
    });
    for_all(&SHAPES, |b, x, y, out| {
        whole(b, x, y, out)?;
        passes(b, &(0..2), x, y, out)?;
        passes(b, &(3..9), x, y, out)
    });
}

fn for_all(
    shapes: &[(usize, usize)],
    pass: impl Fn(&Nalgebra<f64>, &Batch, &Batch, &mut Batch) -> Result<(), Infallible>,
) {
    let b = Nalgebra::<f64>::new();
    let batch = |&(rows, dim): &(usize, usize)| b.batch(Shape::new(rows, dim)).unwrap();
    for x in shapes {
        for y in shapes {
            for out in shapes {
                let Ok(()) = pass(&b, &batch(x), &batch(y), &mut batch(out));
            }
        }
    }
}

#[test]
fn an_empty_batch_is_an_empty_matrix() {
    let b = Nalgebra::<f32>::new();
    let mut empty = b.batch(Shape::new(0, usize::MAX)).unwrap();
    assert_eq!(columns(&empty).shape(), (0, 0));
    assert_eq!(columns_mut(&mut empty).shape(), (0, 0));
}

fn products(
    b: &Nalgebra<f64>,
    rows: &Range<usize>,
    x: &Batch,
    y: &Batch,
    out: &mut Batch,
) -> Result<(), Infallible> {
    for store in [Store::Set, Store::Add] {
        for op in [Op::Plain, Op::Transposed] {
            b.apply(rows.clone(), x, op, y, store, out)?;
        }
        b.outer(rows.clone(), 1.0, x, y, store, out)?;
    }
    Ok(())
}

fn factorisations(b: &Nalgebra<f64>, x: &Batch, out: &mut Batch) -> Result<(), Infallible> {
    for op in [Op::Plain, Op::Transposed] {
        b.solve(&mut x.clone(), op, out)?;
    }
    b.log_abs_det(&mut x.clone())?;
    b.is_positive_definite(&mut x.clone())?;
    Ok(())
}

fn passes(
    b: &Nalgebra<f64>,
    rows: &Range<usize>,
    x: &Batch,
    y: &Batch,
    out: &mut Batch,
) -> Result<(), Infallible> {
    let mut results = b.rows(3)?;
    b.axpy(rows.clone(), 1.0, x, out)?;
    b.dot_rows(rows.clone(), 1.0, x, y, &mut results)?;
    b.sum_rows(rows.clone(), 1.0, x, Store::Set, out)?;
    b.hadamard(rows.clone(), x, y, Store::Add, out)?;
    b.scale_shift(rows.clone(), x, Some(y), out)
}

fn whole(b: &Nalgebra<f64>, x: &Batch, y: &Batch, out: &mut Batch) -> Result<(), Infallible> {
    let activation = Activation::LeakySoftplus { alpha: 0.3 };
    let (mut x2, mut y2, mut results) = (x.clone(), y.clone(), b.rows(3)?);
    b.fill(Fill::Basis(9), out)?;
    b.copy(x, out)?;
    b.scale_rows(&results, out)?;
    b.add_bias(x, out)?;
    b.transpose(x, out)?;
    b.bias_activate(activation, x, &mut y.clone(), &mut x2, &mut y2, out)?;
    b.bijection(
        activation,
        x,
        &mut y.clone(),
        &mut x2,
        &mut y2,
        out,
        Some(&mut results),
    )?;
    b.inverse_bijection(activation, x, out)?;
    b.base_density(BaseDensity::Normal, x, out, &mut results)?;
    b.adam(&Adam::new(0.1, 1), x, &mut x2, &mut y2, out)
}
