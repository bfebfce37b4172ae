//! Checks of an operator: that its two products belong together, and to the right Jacobian.

use detfree_core::{Allocate, Operator, Scalar};

use crate::failure::{Computed, near};
use crate::operands::{batch, ranges, read};
use crate::{Outcome, Plain};

#[derive(Clone, Copy, Debug)]
enum Product {
    Jvp,
    Vjp,
}

/// Rows in `rows` of J v or Jᵀ v; the rows outside hold NaN in x, and must come back as they are
/// in `out`.
fn product<B: Allocate, O: Operator<B>>(
    b: &B,
    op: &mut O,
    which: Product,
    rows: &std::ops::Range<usize>,
    x: &Plain,
    out: &Plain,
) -> Computed<B, Plain> {
    let x = batch(b, &x.clone().only(rows))?;
    let mut out = batch(b, &out.clone().except(rows))?;
    match which {
        Product::Jvp => op.jvp(b, rows.clone(), &x, &mut out)?,
        Product::Vjp => op.vjp(b, rows.clone(), &x, &mut out)?,
    }
    read(b, &out)
}

fn operands<B: Allocate, O: Operator<B>>(b: &B, op: &O) -> [Plain; 3] {
    let shape = op.shape(b);
    [21, 22, 23].map(|seed| Plain::random::<B::Scalar>(shape, seed))
}

/// Errors of sums of D products, of an operator that takes a dozen of them.
fn tolerance<T: Scalar>(dim: usize) -> f64 {
    64.0 * T::EPSILON * dim as f64
}

/// Passes where ⟨w_r, J_r v_r⟩ = ⟨J_rᵀ w_r, v_r⟩ in every row, for all rows and for parts of them,
/// with rows outside a range neither read nor written.
///
/// Two products that are swapped pass: see [`linearises`].
///
/// # Errors
/// Which row, of which range.
pub fn adjoint<B: Allocate, O: Operator<B>>(b: &B, op: &mut O) -> Outcome {
    let [v, w, out] = operands(b, op);
    let shape = v.shape();
    for rows in ranges(shape.rows) {
        let jv = product(b, op, Product::Jvp, &rows, &v, &out)?;
        let jw = product(b, op, Product::Vjp, &rows, &w, &out)?;
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        let left: Vec<f64> = rows.clone().map(|r| dot(w.row(r), jv.row(r))).collect();
        let right: Vec<f64> = rows.clone().map(|r| dot(jw.row(r), v.row(r))).collect();
        let tolerance = tolerance::<B::Scalar>(shape.dim);
        near(
            format!("⟨w, J v⟩ = ⟨Jᵀ w, v⟩ in rows {rows:?}"),
            &left,
            &right,
            tolerance,
        )?;
        for (name, got) in [("jvp", &jv), ("vjp", &jw)] {
            let outside = (0..shape.rows).filter(|r| !rows.contains(r));
            for r in outside {
                near(
                    format!("{name} of rows {rows:?}: row {r}"),
                    got.row(r),
                    out.row(r),
                    0.0,
                )?;
            }
        }
    }
    Ok(())
}

/// Passes where `jvp` gives J_r v_r, for the Jacobians J_r that `jacobian` states: what tells an
/// operator from its transpose. The stated ones may come from differences of the forward map; then
/// `accuracy` is theirs (0 for exact ones).
///
/// # Errors
/// Which element.
pub fn linearises<B: Allocate, O: Operator<B>>(
    b: &B,
    op: &mut O,
    jacobian: impl Fn(usize) -> Plain,
    accuracy: f64,
) -> Outcome {
    let [v, _, out] = operands(b, op);
    let all = 0..v.shape().rows;
    let got = product(b, op, Product::Jvp, &all, &v, &out)?;
    let tolerance = accuracy + tolerance::<B::Scalar>(v.shape().dim);
    for r in all {
        let j = jacobian(r);
        let want: Vec<f64> = (0..j.shape().rows)
            .map(|i| j.row(i).iter().zip(v.row(r)).map(|(j, v)| j * v).sum())
            .collect();
        near(format!("J v in row {r}"), got.row(r), &want, tolerance)?;
    }
    Ok(())
}
