//! Dense products on row ranges, by columns: nalgebra's matrices lie column after column.

use core::ops::Range;

use detfree_core::{Dense, Op, Scalar, Storage, Store};
use nalgebra::{RealField, one};

use crate::view::{columns, range, range_mut, range_of_rows};

/// Up to this many rows, inputs or outputs, inner products with the rows of a weight beat a
/// transposed copy of it and nalgebra's blocked product.
const FEW: usize = 6;

/// `out_r ← [out_r +] op(W) x_r` for r in `rows`.
pub(crate) fn apply<S: Storage<Item: RealField>>(
    rows: Range<usize>,
    w: &Dense<S>,
    op: Op,
    x: &Dense<S>,
    store: Store,
    out: &mut Dense<S>,
) -> Option<()> {
    let transposed = columns(w);
    let (x, mut out) = (range(x, rows.clone())?, range_mut(out, rows)?);
    let (inputs, outputs) = transposed.shape();
    let (from, to) = match op {
        Op::Plain => (inputs, outputs),
        Op::Transposed => (outputs, inputs),
    };
    if (x.nrows(), out.nrows()) != (from, to) {
        return None;
    }
    let kept = kept(store);
    match op {
        Op::Transposed => out.gemm(one(), &transposed, &x, kept),
        Op::Plain if inputs.min(outputs).min(x.ncols()) <= FEW => {
            out.gemm_tr(one(), &transposed, &x, kept);
        }
        Op::Plain => out.gemm(one(), &transposed.transpose(), &x, kept),
    }
    Some(())
}

/// `G ← [G +] a Σ_{r in rows} s_r v_rᵀ`
pub(crate) fn outer<S: Storage<Item: RealField>>(
    rows: Range<usize>,
    a: f64,
    s: &Dense<S>,
    v: &Dense<S>,
    store: Store,
    g: &mut Dense<S>,
) -> Option<()> {
    let (s, v) = (range_of_rows(s, rows.clone())?, range(v, rows)?);
    let g_rows = 0..g.shape().rows;
    let mut transposed = range_mut(g, g_rows)?;
    if transposed.shape() != (v.nrows(), s.ncols()) {
        return None;
    }
    transposed.gemm(S::Item::from_f64(a), &v, &s, kept(store));
    Some(())
}

/// What the old output is multiplied by; nalgebra does not read it where that is zero.
fn kept<T: Scalar>(store: Store) -> T {
    match store {
        Store::Set => T::zero(),
        Store::Add => T::one(),
    }
}
