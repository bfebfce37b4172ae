//! Products in a chain, against plain loops in `f64`.

use std::ops::Range;

use detfree_core::{Allocate, DenseBackend, Link, Op, Scalar, Shape};

use crate::failure::{Computed, near};
use crate::operands::{batch, ranges, read};
use crate::{Failure, Outcome, Plain};

/// Rows, and the numbers of x and of every link's result: one link to six, of few numbers, of up to
/// 128, where a backend may keep what lies between, and of more; square weights; sums of hundreds; more links
/// than one would count with.
const CHAINS: [(usize, &[usize]); 10] = [
    (1, &[1, 1]),
    (5, &[3, 17]),
    (9, &[64, 128, 64]),
    (40, &[5, 33, 33, 1, 16]),
    (17, &[2, 128, 127, 31, 2]),
    (7, &[8, 3, 9, 2, 5, 16, 4]),
    (6, &[130, 130, 20, 129, 128, 7]),
    (3, &[128, 129, 20, 600, 4]),
    (70, &[120, 130, 70]),
    (40, &[60, 62, 58, 64, 60, 57, 63, 61, 59, 60, 64]),
];

/// Bit l is set where link l is with the transpose, and where it has a scale.
const PATTERNS: [(u32, u32); 4] = [
    (0b00_0000, 0b01_0111),
    (0b11_1111, 0b11_1111),
    (0b00_1010, 0b11_1010),
    (0b10_0101, 0b00_0000),
];

/// A link on the host, and what it gives in every row.
struct Step {
    weight: Plain,
    op: Op,
    scale: Option<Plain>,
    out: Plain,
}

impl Step {
    /// To results of order 1, as x is.
    fn random<T: Scalar>(x: &Plain, to: usize, (op, scaled): (Op, bool), seed: u64) -> Self {
        let Shape { rows, dim } = x.shape();
        let shape = match op {
            Op::Plain => Shape::new(to, dim),
            Op::Transposed => Shape::new(dim, to),
        };
        // Numbers in [−1, 1] have a variance of 1/3, those of a scale, too. A power of two rounds nothing.
        let factor = if scaled { 9.0 } else { 3.0 };
        let size = (factor / dim as f64).sqrt().log2().round().exp2();
        let weight = Plain::random::<T>(shape, seed).scaled(size);
        let scale = scaled.then(|| Plain::random::<T>(Shape::new(rows, to), seed + 1));
        let product = x.times(&weight.op(op).t());
        let out = match &scale {
            Some(scale) => Plain::new(rows, to, |r, c| scale.at(r, c) * product.at(r, c)),
            None => product,
        };
        Self {
            weight,
            op,
            scale,
            out,
        }
    }
}

pub(crate) fn of_products<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    for (count, dims) in CHAINS {
        for (transposed, scaled) in PATTERNS {
            let x = Plain::random::<B::Scalar>(Shape::new(count, dims[0]), 1);
            let mut steps: Vec<Step> = Vec::new();
            for (l, &to) in dims[1..].iter().enumerate() {
                let op = match transposed >> l & 1 {
                    0 => Op::Plain,
                    _ => Op::Transposed,
                };
                let how = (op, scaled >> l & 1 == 1);
                let from = steps.last().map_or(&x, |step| &step.out);
                let step = Step::random::<B::Scalar>(from, to, how, 2 + 2 * l as u64);
                steps.push(step);
            }
            // The errors of every link's sums, as of one product's, and results of order 1 between.
            let products: usize = dims.iter().map(|dim| dim + 1).sum();
            let tolerance = 4.0 * B::Scalar::EPSILON * products as f64;
            for rows in ranges(count) {
                let case = format!(
                    "chain {dims:?} of rows {rows:?}, transposed {transposed:b}, scaled {scaled:b}"
                );
                judge(b, &rows, &x, &steps, tolerance).map_err(|failure| failure.of(case))?;
            }
        }
    }
    Ok(())
}

/// Between the links nothing is specified but that rows outside the range stay.
fn judge<B: DenseBackend + Allocate>(
    b: &B,
    rows: &Range<usize>,
    x: &Plain,
    steps: &[Step],
    tolerance: f64,
) -> Result<(), Failure> {
    let got = run(b, rows, x, steps)?;
    for (l, (got, step)) in got.into_iter().zip(steps).enumerate() {
        let before = before(step);
        if l + 1 < steps.len() {
            let (got, want) = (got.except(rows), before.except(rows));
            near(format!("link {l}, other rows"), &got, &want, 0.0)?;
        } else {
            let want = before.with_rows(rows, |r, c| step.out.at(r, c));
            near("the last link", &got, &want, tolerance)?;
        }
    }
    Ok(())
}

/// What a link's output holds at first, outside the range.
fn before(step: &Step) -> Plain {
    step.out.map(|_| 0.5)
}

/// What every link's output holds afterwards.
fn run<B: DenseBackend + Allocate>(
    b: &B,
    rows: &Range<usize>,
    x: &Plain,
    steps: &[Step],
) -> Computed<B, Vec<Plain>> {
    let x = batch(b, &x.clone().only(rows))?;
    let mut operands = Vec::new();
    for step in steps {
        let scale = step.scale.clone().map(|scale| batch(b, &scale.only(rows)));
        let out = batch(b, &before(step).except(rows))?;
        operands.push((batch(b, &step.weight)?, step.op, scale.transpose()?, out));
    }
    let links = operands.iter_mut().map(|(weight, op, scale, out)| Link {
        weight,
        op: *op,
        scale: scale.as_ref(),
        out,
    });
    b.chain(rows.clone(), &x, links)?;
    operands.iter().map(|(.., out)| read(b, out)).collect()
}
