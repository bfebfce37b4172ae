//! Operands that break the contract give unspecified numbers, and never a panic.

use detfree_core::{Activation, Adam, Allocate, BaseDensity, DenseBackend, FlowBackend};
use detfree_core::{Backend, Fill, Op, Shape, Store};
use detfree_faer::Faer;

#[test]
fn shapes_and_ranges_that_do_not_fit_do_not_panic() {
    let b = Faer::<f64>::sequential();
    let shapes = [(0, 0), (1, 3), (3, 1), (4, 4), (20, 20), (7, 40)];
    let batches = || shapes.map(|(rows, dim)| b.batch(Shape::new(rows, dim)).unwrap());
    let (left, right) = (batches(), batches());
    for rows in [0..2, 3..9, usize::MAX - 1..usize::MAX, 0..usize::MAX] {
        for x in &left {
            for y in &right {
                for out in &mut batches() {
                    passes(&b, rows.clone(), x, y, out).unwrap();
                }
            }
        }
    }
}

fn passes(
    b: &Faer<f64>,
    range: std::ops::Range<usize>,
    x: &<Faer<f64> as Backend>::Batch,
    y: &<Faer<f64> as Backend>::Batch,
    out: &mut <Faer<f64> as Backend>::Batch,
) -> Result<(), core::convert::Infallible> {
    let (rows, activation) = (|| range.clone(), Activation::LeakySoftplus { alpha: 0.3 });
    let (mut x2, mut y2, mut results) = (x.clone(), y.clone(), b.rows(3)?);
    b.fill(Fill::Basis(9), out)?;
    b.copy(x, out)?;
    b.axpy(rows(), 1.0, x, out)?;
    b.scale_rows(&results, out)?;
    b.sum_rows(rows(), 1.0, x, Store::Set, out)?;
    b.hadamard(rows(), x, y, Store::Add, out)?;
    b.scale_shift(rows(), x, Some(y), out)?;
    b.add_bias(x, out)?;
    b.transpose(x, out)?;
    for op in [Op::Plain, Op::Transposed] {
        b.apply(rows(), x, op, y, Store::Set, out)?;
        b.solve(&mut x.clone(), op, out)?;
    }
    b.outer(rows(), 1.0, x, y, Store::Set, out)?;
    b.outer_onto(rows(), 1.0, x, y, &x.clone(), out)?;
    b.log_abs_det(&mut x.clone())?;
    b.is_positive_definite(&mut x.clone())?;
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
