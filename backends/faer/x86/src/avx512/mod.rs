//! Products in vectors of 512 bits, of sides that are read where they lie.
//!
//! Libraries of matrix products first copy a side into an order that suits them, which for a batch of some ten
//! rows takes a good part of the product's own time. Here what the processor would not fetch ahead by itself is
//! asked for instead, a panel before it is needed. Copies are made of one panel at a time, on the stack, where
//! many rows use it.

mod columns;
mod dots;

use faer::{MatMut, MatRef};

use crate::output::Output;
use crate::{Start, by_faer};

/// Rows of a batch from which a copy of what they are multiplied with is worth its time.
const ROWS: usize = 128;

/// Rows that are by far too few for it.
const FEW: usize = 32;

/// Terms from which the sums over vectors' numbers are little beside the products of few rows, and up to which
/// caches hold what a strip of columns is multiplied with, if it is not few rows either.
const TERMS: usize = 256;
const MOST_TERMS: usize = 2048;

/// Products that there is a loop for.
enum Kind {
    /// Of a right side whose rows lie in one piece, as those of the output do.
    Columns,
    /// Of sides whose terms lie in one piece, the output's rows too.
    Dots,
}

impl Kind {
    fn of(dst: MatRef<'_, f32>, lhs: MatRef<'_, f32>, rhs: MatRef<'_, f32>) -> Option<Self> {
        let (rows, columns, terms) = (dst.nrows(), dst.ncols(), lhs.ncols());
        let fits = (lhs.nrows(), rhs.nrows(), rhs.ncols()) == (rows, terms, columns);
        if !fits || dst.col_stride() != 1 {
            None
        } else if rhs.col_stride() == 1 {
            Some(Self::Columns)
        } else {
            (lhs.col_stride() == 1 && rhs.row_stride() == 1).then_some(Self::Dots)
        }
    }
}

/// Whether the processor has such vectors.
#[must_use]
pub fn is_there() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl")
}

/// Whether there are such vectors, and a product is read as it lies and was faster so than faer's, where that was
/// measured.
#[must_use]
pub fn gains(dst: MatRef<'_, f32>, lhs: MatRef<'_, f32>, rhs: MatRef<'_, f32>) -> bool {
    let (rows, terms) = lhs.shape();
    let quicker = match Kind::of(dst, lhs, rhs) {
        // Its rows are those of a batch; faer copies what they are multiplied with.
        Some(Kind::Columns) if lhs.col_stride() == 1 => rows <= ROWS,
        Some(Kind::Columns) => true,
        Some(Kind::Dots) => {
            let least = if rows <= FEW { TERMS } else { 3 * TERMS / 2 };
            let most = if rows <= ROWS / 2 {
                usize::MAX
            } else {
                MOST_TERMS
            };
            rows <= ROWS && (least..=most).contains(&terms)
        }
        None => false,
    };
    quicker && is_there()
}

/// `dst ← start + alpha · lhs · rhs` on this thread; faer does it where there are no such vectors, or numbers do not lie
/// as they are read here.
///
/// # Panics
/// As faer's, where the shapes do not fit.
pub fn matmul(
    mut dst: MatMut<'_, f32>,
    start: Start<'_, f32>,
    lhs: MatRef<'_, f32>,
    rhs: MatRef<'_, f32>,
    alpha: f32,
) {
    let there = lhs.ncols() > 0 && is_there();
    let kind = Kind::of(dst.as_ref(), lhs, rhs).filter(|_| there);
    match kind.zip(Output::new(dst.as_mut(), start, alpha)) {
        // SAFETY: there are such vectors; the shapes fit, with a term, numbers lie side by side where they have to,
        // and faer's matrices vouch for their memory.
        Some((Kind::Columns, out)) => unsafe { columns::product(out, lhs, rhs) },
        // SAFETY: as above.
        Some((Kind::Dots, out)) => unsafe { dots::product(out, lhs, rhs) },
        None => by_faer(dst, start, lhs, rhs, alpha),
    }
}

/// Where the part `index` of `count` parts of a length begins, which differ by one at most.
const fn part(length: usize, index: usize, count: usize) -> usize {
    length * index / count
}
