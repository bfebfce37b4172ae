//! The unit of processors that have one, under Linux.

mod blocks;
mod output;
mod permission;
mod side;
mod sums;
mod tile;
mod vector;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use output::Output;
use side::Side;
use vector::MOST;

/// The matrix unit of this processor, with the system's leave to use it.
#[derive(Clone, Copy, Debug)]
pub struct Amx(());

/// Terms from which the output is not most of the work.
const TERMS: usize = 64;

/// Rows and columns from which the other side is worth its packing.
const LINES: usize = 16;

/// Multiply-adds from which the rest is worth its tiles: some ten microseconds of the vector units.
const PRODUCTS: usize = 3 << 19;

impl Amx {
    /// `None` where the processor has none with `bfloat16`, or the system does not let it be used.
    #[must_use]
    pub fn detect() -> Option<Self> {
        permission::granted().then_some(Self(()))
    }

    /// Whether a product of `rows` × `terms` and `terms` × `columns` numbers was faster here than in the vector
    /// units, where that was measured.
    #[must_use]
    pub fn gains(self, rows: usize, columns: usize, terms: usize) -> bool {
        let products = rows.saturating_mul(columns).saturating_mul(terms);
        rows.min(columns) >= LINES && terms >= TERMS && products >= PRODUCTS
    }

    /// `dst ← [dst +] alpha · lhs · rhs` on this thread, as faer's [`matmul`]; that does it where neither rows nor
    /// columns of `dst` lie in one piece.
    ///
    /// Memory to pack into, at most 1.3 MiB, is kept by the thread for its next product.
    ///
    /// # Panics
    /// As faer's, where the shapes do not fit.
    pub fn matmul(
        self,
        dst: MatMut<'_, f32>,
        accum: Accum,
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
        if !fits || !near || !in_one_piece || terms == 0 {
            return matmul(dst, accum, lhs, rhs, alpha, Par::Seq);
        }
        // How many numbers do not lie along vectors, as the product stands and transposed.
        let across = |[left, right, out]: [isize; 3]| {
            let numbers = |stride, numbers| if stride == 1 { 0 } else { numbers };
            numbers(left, rows * terms)
                + numbers(right, columns * terms)
                + numbers(out, rows * columns)
        };
        let here = across([lhs.col_stride(), rhs.col_stride(), dst.col_stride()]);
        let transposed = across([lhs.row_stride(), rhs.row_stride(), dst.row_stride()]);
        let (dst, lhs, rhs) = if here <= transposed {
            (dst, lhs, rhs)
        } else {
            (dst.transpose_mut(), rhs.transpose(), lhs.transpose())
        };
        let sides = [Side::left(lhs), Side::right(rhs)];
        // SAFETY: `self` says that it is granted, and faer's matrices vouch for their memory.
        unsafe { blocks::product(sides, Output::new(dst, accum, alpha)) }
    }
}
