//! The reference backend with one thing wrong.

mod dense;
mod flow;

use std::convert::Infallible;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use detfree_core::reference::Heap;
use detfree_core::{Allocate, Backend, Dense, Fill, Shape};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mutation {
    /// Nothing: what passes everything.
    None,
    ConstantsInSinglePrecision,
    UploadLosesTheLast,
    DotRowsDependsOnTiming,
    FillIgnoresFirstRow,
    FillIgnoresScale,
    FillFlipsSigns,
    FillCountsRowsIn32Bits,
    WalshIgnoresIndex,
    BasisIsTheFirst,
    NormalsInSinglePrecision,
    CopyLeavesTheLastRow,
    AxpyOverAllRows,
    AxpySkipsTheLastRow,
    AxpyWithoutA,
    DotRowsOverwrites,
    DotRowsIn32Bits,
    DotRowsOffByOne,
    ScaleRowsByTheFirst,
    ScaleRowsIgnored,
    FillRowsLeavesTheLast,
    ShardsBackwardsAndTwice,
    ApplyIgnoresOp,
    ApplyAddsAsSet,
    ApplyReadsWhatItWrites,
    ApplyOverAllRows,
    ApplyDependsOnTiming,
    OuterSwapsItsOperands,
    OuterOverAllRows,
    OuterIgnoresA,
    SumRowsIgnoresA,
    SumRowsReadsWhatItWrites,
    HadamardSets,
    ScaleShiftWithoutShift,
    AddBiasToTheFirstRow,
    TransposeCopies,
    LogDetWithoutSign,
    LogDetOfSingularIsFinite,
    SolveIgnoresOp,
    SolveAcceptsSingular,
    DefiniteByDeterminant,
    DefiniteByOneTriangle,
    ActivateWithoutBias,
    ActivateHalvesTheSecondDerivative,
    BijectionLogNotAccumulated,
    BijectionScoreIsSecondDerivative,
    InverseWithoutBias,
    DensityLogNotAccumulated,
    DensityScoreOfOtherSign,
    AdamWithoutEpsilon,
    AdamDescends,
}

use Mutation::*;

type Batch = Dense<Vec<f64>>;
type Done = Result<(), Infallible>;

/// [`Heap`], but for one mutation.
#[derive(Debug)]
pub(crate) struct Wrong {
    right: Heap<f64>,
    mutation: Mutation,
    calls: AtomicU32,
}

impl Wrong {
    pub(crate) const fn with(mutation: Mutation) -> Self {
        Self {
            right: Heap::new(),
            mutation,
            calls: AtomicU32::new(0),
        }
    }

    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == mutation
    }

    /// As a sum whose order the threads decide: the last bits come out another way.
    fn jitter(&self, row: &mut [f64]) {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) % 7 / 6;
        row[0] *= 1.0 + f64::from(call) * f64::EPSILON;
    }

    /// All rows of x where the mutation is this one.
    fn widened(&self, mutation: Mutation, rows: Range<usize>, x: &Batch) -> Range<usize> {
        if self.is(mutation) {
            0..x.shape().rows
        } else {
            rows
        }
    }
}

fn last_row(x: &mut Batch) -> &mut [f64] {
    let last = x.shape().rows - 1;
    x.row_mut(last)
}

fn without_bias(bias: &Batch) -> Batch {
    Dense::on_heap(bias.shape())
}

impl Allocate for Wrong {
    fn batch(&self, shape: Shape) -> Result<Batch, Infallible> {
        self.right.batch(shape)
    }

    fn rows(&self, rows: usize) -> Result<Batch, Infallible> {
        self.right.rows(rows)
    }
}

impl Backend for Wrong {
    type Scalar = f64;
    type Batch = Batch;
    type Rows = Batch;
    type Error = Infallible;

    fn shape(&self, x: &Batch) -> Shape {
        self.right.shape(x)
    }

    fn row_count(&self, rows: &Batch) -> usize {
        self.right.row_count(rows)
    }

    fn fill(&self, mut what: Fill, x: &mut Batch) -> Done {
        if let Fill::Rademacher {
            first_row, scale, ..
        }
        | Fill::Gaussian {
            first_row, scale, ..
        }
        | Fill::Walsh {
            first_row, scale, ..
        } = &mut what
        {
            match self.mutation {
                FillIgnoresFirstRow => *first_row = 0,
                FillCountsRowsIn32Bits => *first_row &= u64::from(u32::MAX),
                FillIgnoresScale => *scale = 1.0,
                _ => {}
            }
        }
        match &mut what {
            Fill::Constant(a) if self.is(ConstantsInSinglePrecision) => *a = f64::from(*a as f32),
            Fill::Rademacher { scale, .. } if self.is(FillFlipsSigns) => *scale = -*scale,
            Fill::Walsh { index, .. } if self.is(WalshIgnoresIndex) => *index = 0,
            Fill::Basis(column) if self.is(BasisIsTheFirst) => *column = 0,
            _ => {}
        }
        self.right.fill(what, x)?;
        if self.is(NormalsInSinglePrecision) && matches!(what, Fill::Gaussian { .. }) {
            for x in x.as_mut_slice() {
                *x = f64::from(*x as f32);
            }
        }
        Ok(())
    }

    fn copy(&self, x: &Batch, y: &mut Batch) -> Done {
        let before = last_row(y).to_vec();
        self.right.copy(x, y)?;
        if self.is(CopyLeavesTheLastRow) {
            last_row(y).copy_from_slice(&before);
        }
        Ok(())
    }

    fn axpy(&self, rows: Range<usize>, a: f64, x: &Batch, y: &mut Batch) -> Done {
        let a = if self.is(AxpyWithoutA) { 1.0 } else { a };
        let mut rows = self.widened(AxpyOverAllRows, rows, x);
        if self.is(AxpySkipsTheLastRow) && !rows.is_empty() {
            rows.end -= 1;
        }
        self.right.axpy(rows, a, x, y)
    }

    fn dot_rows(&self, rows: Range<usize>, a: f64, x: &Batch, y: &Batch, out: &mut Batch) -> Done {
        match self.mutation {
            DotRowsOverwrites => {
                for r in rows.clone() {
                    out.row_mut(r).fill(0.0);
                }
            }
            DotRowsIn32Bits => {
                for r in rows {
                    let pairs = x.row(r).iter().zip(y.row(r));
                    let dot: f32 = pairs.map(|(x, y)| (*x as f32) * (*y as f32)).sum();
                    out.row_mut(r)[0] += a * f64::from(dot);
                }
                return Ok(());
            }
            DotRowsDependsOnTiming => {
                self.right.dot_rows(rows.clone(), a, x, y, out)?;
                return rows.take(1).try_for_each(|r| {
                    self.jitter(out.row_mut(r));
                    Ok(())
                });
            }
            DotRowsOffByOne if rows.start > 0 => {
                return self
                    .right
                    .dot_rows(rows.start - 1..rows.end - 1, a, x, y, out);
            }
            _ => {}
        }
        self.right.dot_rows(rows, a, x, y, out)
    }

    fn scale_rows(&self, c: &Batch, x: &mut Batch) -> Done {
        if self.is(ScaleRowsIgnored) {
            return Ok(());
        }
        if self.is(ScaleRowsByTheFirst) {
            let first = c.as_slice()[0];
            for x in x.as_mut_slice() {
                *x *= first;
            }
            return Ok(());
        }
        self.right.scale_rows(c, x)
    }

    fn fill_rows(&self, a: f64, out: &mut Batch) -> Done {
        let before = last_row(out).to_vec();
        self.right.fill_rows(a, out)?;
        if self.is(FillRowsLeavesTheLast) {
            last_row(out).copy_from_slice(&before);
        }
        Ok(())
    }

    fn upload(&self, host: &[f64], x: &mut Batch) -> Done {
        if self.is(UploadLosesTheLast) {
            return self.right.upload(&host[..host.len() - 1], x);
        }
        self.right.upload(host, x)
    }

    fn download(&self, x: &Batch, host: &mut [f64]) -> Done {
        self.right.download(x, host)
    }

    fn upload_rows(&self, host: &[f64], out: &mut Batch) -> Done {
        self.right.upload_rows(host, out)
    }

    fn download_rows(&self, rows: &Batch, host: &mut [f64]) -> Done {
        self.right.download_rows(rows, host)
    }

    fn each_shard<S: Send>(
        &self,
        shards: &mut [S],
        work: impl Fn(&Self, &mut S) -> Done + Sync,
    ) -> Done {
        if self.is(ShardsBackwardsAndTwice) {
            shards
                .iter_mut()
                .rev()
                .try_for_each(|shard| work(self, shard))?;
        }
        shards.iter_mut().try_for_each(|shard| work(self, shard))
    }
}
