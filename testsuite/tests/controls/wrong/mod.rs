//! The reference backend with one thing wrong.

mod dense;
mod flow;

use std::convert::Infallible;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use detfree_core::reference::Heap;
use detfree_core::{Allocate, Backend, Dense, Fill, Scalar, Shape};

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
    FillFlipsSignsFromColumn512,
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
    AxpyIndexes,
    FlushOverAllRows,
    FlushOfWhatIsNotTiny,
    ScaleRowsByTheFirst,
    ScaleRowsIgnored,
    FillRowsLeavesTheLast,
    FillRowsInSinglePrecision,
    ShardsBackwardsAndTwice,
    ShardErrorsSwallowed,
    ShardsReturnTheLastError,
    ApplyIgnoresOp,
    ApplyAddsAsSet,
    ApplyReadsWhatItWrites,
    ApplyOverAllRows,
    ApplyDependsOnTiming,
    ApplyIndexes,
    ApplyToBothTakesOneTwice,
    ChainWithoutScales,
    ChainScalesByTheFirstRows,
    ChainOverAllRows,
    ChainIgnoresOp,
    OuterSwapsItsOperands,
    OuterOverAllRows,
    OuterIgnoresA,
    SumRowsIgnoresA,
    SumRowsIgnoresTheSign,
    SumRowsReadsWhatItWrites,
    HadamardSets,
    ScaleShiftWithoutShift,
    AddBiasToTheFirstRow,
    TransposeCopies,
    TransposeCopiesSquares,
    LogDetWithoutSign,
    LogDetOfSingularIsFinite,
    LogDetOfTheProductOfPivots,
    LogDetWithoutPivoting,
    SolveIgnoresOp,
    SolveTheFirstOf64,
    SolveAcceptsSingular,
    DefiniteByDeterminant,
    DefiniteByOneTriangle,
    ActivateWithoutBias,
    ActivateClamped,
    BijectionClamped,
    DensityClamped,
    InverseClamped,
    ActivateHalvesTheSecondDerivative,
    BijectionIndexes,
    BijectionLogNotAccumulated,
    BijectionOnlyWithLog,
    BijectionScoreIsSecondDerivative,
    ForwardLayerWithoutBias,
    BackwardLayerWithoutTheLastRow,
    WeightDirectionWithoutTheWeight,
    InverseWithoutBias,
    DensityLogNotAccumulated,
    DensityScoreOfOtherSign,
    AdamWithoutEpsilon,
    AdamWithConstantDecays,
    AdamDescends,
    RelativeAdamWithoutTheWeight,
}

use Mutation::*;

type Batch = Dense<Vec<f64>>;
type Done<T = ()> = Result<T, Refused>;

/// An empty batch, which this backend does not allocate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Refused(Shape);

impl From<Infallible> for Refused {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

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
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        // Without a period, which the number of calls of a run might be a multiple of.
        let call = (call.wrapping_mul(0x9e37_79b9) >> 16) % 3;
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
    let last = x.shape().rows.saturating_sub(1);
    x.row_mut(last)
}

/// As code does that takes slices of what it is given, and panics where they do not exist.
fn index(rows: &Range<usize>, x: &Batch) {
    let elements = &x.as_slice()[rows.start * x.shape().dim..rows.end * x.shape().dim];
    std::hint::black_box(elements);
}

/// Numbers within ±30, as naive exponentials are kept from overflow: a NaN comes out as 30.
#[expect(clippy::manual_clamp, reason = "a NaN would stay one")]
fn clamp(batch: &mut Batch) {
    for x in batch.as_mut_slice() {
        *x = x.min(30.0).max(-30.0);
    }
}

fn without_bias(bias: &Batch) -> Batch {
    Dense::on_heap(bias.shape())
}

impl Allocate for Wrong {
    fn batch(&self, shape: Shape) -> Done<Batch> {
        if shape.rows == 0 || shape.dim == 0 {
            return Err(Refused(shape));
        }
        Ok(self.right.batch(shape)?)
    }

    fn rows(&self, rows: usize) -> Done<Batch> {
        Ok(self.right.rows(rows)?)
    }
}

impl Backend for Wrong {
    type Scalar = f64;
    type Batch = Batch;
    type Rows = Batch;
    type Error = Refused;

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
        if self.is(FillFlipsSignsFromColumn512) && matches!(what, Fill::Rademacher { .. }) {
            for r in 0..x.shape().rows {
                x.row_mut(r).iter_mut().skip(512).for_each(|x| *x = -*x);
            }
        }
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
        if self.is(AxpyIndexes) {
            index(&rows, x);
        }
        let a = if self.is(AxpyWithoutA) { 1.0 } else { a };
        let mut rows = self.widened(AxpyOverAllRows, rows, x);
        if self.is(AxpySkipsTheLastRow) && !rows.is_empty() {
            rows.end -= 1;
        }
        Ok(self.right.axpy(rows, a, x, y)?)
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
                return Ok(self
                    .right
                    .dot_rows(rows.start - 1..rows.end - 1, a, x, y, out)?);
            }
            _ => {}
        }
        Ok(self.right.dot_rows(rows, a, x, y, out)?)
    }

    fn flush_tiny(&self, rows: Range<usize>, x: &mut Batch) -> Done {
        let rows = self.widened(FlushOverAllRows, rows, x);
        if self.is(FlushOfWhatIsNotTiny) {
            for r in rows.clone() {
                for x in x.row_mut(r) {
                    if x.abs() <= f64::TINY {
                        *x = 0.0;
                    }
                }
            }
        }
        Ok(self.right.flush_tiny(rows, x)?)
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
        Ok(self.right.scale_rows(c, x)?)
    }

    fn fill_rows(&self, a: f64, out: &mut Batch) -> Done {
        let before = last_row(out).to_vec();
        let a = if self.is(FillRowsInSinglePrecision) {
            f64::from(a as f32)
        } else {
            a
        };
        self.right.fill_rows(a, out)?;
        if self.is(FillRowsLeavesTheLast) {
            last_row(out).copy_from_slice(&before);
        }
        Ok(())
    }

    fn upload(&self, host: &[f64], x: &mut Batch) -> Done {
        if self.is(UploadLosesTheLast) {
            return Ok(self.right.upload(&host[..host.len() - 1], x)?);
        }
        Ok(self.right.upload(host, x)?)
    }

    fn download(&self, x: &Batch, host: &mut [f64]) -> Done {
        Ok(self.right.download(x, host)?)
    }

    fn upload_rows(&self, host: &[f64], out: &mut Batch) -> Done {
        Ok(self.right.upload_rows(host, out)?)
    }

    fn download_rows(&self, rows: &Batch, host: &mut [f64]) -> Done {
        Ok(self.right.download_rows(rows, host)?)
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
        let mut all = shards.iter_mut().map(|shard| work(self, shard));
        match self.mutation {
            ShardErrorsSwallowed => {
                all.for_each(drop);
                Ok(())
            }
            ShardsReturnTheLastError => all.rev().find(Result::is_err).unwrap_or(Ok(())),
            _ => all.try_for_each(|done| done),
        }
    }
}
