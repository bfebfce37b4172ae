//! Products on the matrix unit of Intel's processors (AMX, from Sapphire Rapids on) under Linux, with the accuracy
//! of `f32`.
//!
//! The unit multiplies `bfloat16` numbers of 8 bits and sums in `f32`, at 16 times the rate of the vector
//! units. A number of `f32` has 24 bits, so it is the sum of three `bfloat16` numbers, each at most 2⁻⁸ of
//! the one before: a = a₁ + a₂ + a₃. Of the nine products of two such sums
//!
//! ab ≈ a₃b₁ + a₂b₂ + a₁b₃ + a₂b₁ + a₁b₂ + a₁b₁
//!
//! leaves out three, together at most 2⁻²³(1 + 2⁻⁹) |ab|. (Henry, Tang and Heinecke, *Leveraging the bfloat16
//! Artificial Intelligence Datatype for Higher-Precision Computations*, ARITH 2019.) The unit adds up 16
//! products and 16 others, and gives to the sum only their total: a sum of `k` products is rounded
//! 6⌈k/32⌉ + 17 times at most, and from k = 32 on its error bound is below the `k` 2⁻²⁴ Σ|ab| of a plain sum.
//!
//! What is not finite stays so, though an infinity can become NaN, and numbers from 3.39·10³⁸ on count as
//! infinite. Parts and sums below 2⁻¹²⁶ count as zero.

mod blocks;
mod permission;
mod side;
mod sums;
mod tile;
mod vector;

use faer::{MatMut, MatRef};

use side::Side;
use vector::MOST;

use crate::output::Output;
use crate::{Start, by_faer};

/// Terms from which the output is not most of the work.
const TERMS: usize = 64;

/// Rows and columns from which the other side is worth its packing.
const LINES: usize = 16;

/// Multiply-adds from which the rest is worth its tiles: some ten microseconds of the vector units.
const PRODUCTS: usize = 3 << 19;

/// Whether the processor has a unit that knows `bfloat16`, and the system lets it be used.
#[must_use]
pub fn is_there() -> bool {
    permission::granted()
}

/// Whether there is one, and it was faster at such products than the vector units, where that was measured.
#[must_use]
pub fn gains(dst: MatRef<'_, f32>, lhs: MatRef<'_, f32>, _rhs: MatRef<'_, f32>) -> bool {
    let (rows, columns, terms) = (dst.nrows(), dst.ncols(), lhs.ncols());
    let products = rows.saturating_mul(columns).saturating_mul(terms);
    rows.min(columns) >= LINES && terms >= TERMS && products >= PRODUCTS && is_there()
}

/// `dst ← start + alpha · lhs · rhs` on this thread; faer does it where there is no unit, or neither rows nor columns
/// of `dst` lie in one piece, or others than those of the start.
///
/// Memory to pack into, at most 1.3 MiB, is kept by the thread for its next product.
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
    let (rows, columns, terms) = (dst.nrows(), dst.ncols(), lhs.ncols());
    let fits = (lhs.nrows(), rhs.nrows(), rhs.ncols()) == (rows, terms, columns);
    let near = [lhs, rhs.transpose()].iter().all(|side| {
        let strides = [side.row_stride(), side.col_stride()];
        strides.iter().all(|stride| stride.unsigned_abs() <= MOST)
    });
    let in_one_piece = dst.row_stride() == 1 || dst.col_stride() == 1;
    let takes = fits && near && in_one_piece && terms > 0 && is_there();
    let Some(out) = Output::new(dst.as_mut(), start, alpha).filter(|_| takes) else {
        return by_faer(dst, start, lhs, rhs, alpha);
    };
    // How many numbers do not lie along vectors, as the product stands and transposed.
    let across = |[left, right, out]: [isize; 3]| {
        let numbers = |stride, numbers| if stride == 1 { 0 } else { numbers };
        numbers(left, rows * terms) + numbers(right, columns * terms) + numbers(out, rows * columns)
    };
    let here = across([lhs.col_stride(), rhs.col_stride(), dst.col_stride()]);
    let transposed = across([lhs.row_stride(), rhs.row_stride(), dst.row_stride()]);
    let (out, lhs, rhs) = if here <= transposed {
        (out, lhs, rhs)
    } else {
        (out.transpose(), rhs.transpose(), lhs.transpose())
    };
    let sides = [Side::left(lhs), Side::right(rhs)];
    // SAFETY: the unit is granted, and faer's matrices vouch for their memory.
    unsafe { blocks::product(sides, out) }
}
