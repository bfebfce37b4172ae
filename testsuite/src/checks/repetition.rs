//! Products and factorisations large enough for threads: the same bits from run to run.

use detfree_core::{Allocate, DenseBackend, Op, Shape, Store};

use crate::failure::{Computed, near};
use crate::operands::{batch, dirty, read};
use crate::{Outcome, Plain};

fn random<B: Allocate>(b: &B, rows: usize, dim: usize, seed: u64) -> Computed<B, B::Batch> {
    batch(b, &Plain::random::<B::Scalar>(Shape::new(rows, dim), seed))
}

fn products<B: DenseBackend + Allocate>(b: &B) -> Computed<B, Vec<f64>> {
    let mut numbers = Vec::new();
    for [rows, inputs, outputs] in [[280, 64, 60], [70, 130, 120]] {
        let w = random(b, outputs, inputs, 1)?;
        let x = random(b, rows, inputs, 2)?;
        let mut y = dirty(b, Shape::new(rows, outputs))?;
        let mut g = dirty(b, Shape::new(outputs, inputs))?;
        let mut sum = dirty(b, Shape::new(1, inputs))?;
        b.apply(0..rows, &w, Op::Plain, &x, Store::Set, &mut y)?;
        b.outer(0..rows, 0.5, &y, &x, Store::Set, &mut g)?;
        b.sum_rows(0..rows, 0.5, &x, Store::Set, &mut sum)?;
        for x in [&y, &g, &sum] {
            numbers.extend_from_slice(read(b, x)?.as_slice());
        }
    }
    let (sign, log) = b.log_abs_det(&mut random(b, 130, 130, 3)?)?;
    numbers.extend([sign, log]);
    Ok(numbers)
}

pub(crate) fn of_products<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    let first = products(b)?;
    for _ in 0..3 {
        near("a repetition", &products(b)?, &first, 0.0)?;
    }
    Ok(())
}
