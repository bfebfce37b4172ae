//! Matrices in memory of all kinds, and their products against exact sums.

use detfree_x86::{Matmul, Start};
use faer::{Mat, MatMut, MatRef};

/// Half a unit in the last place of 1.
pub(crate) const U: f64 = 1.0 / (1 << 24) as f64;

/// A matrix in other memory than its own: rows or columns in one piece, or neither.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Layout {
    Rows,
    Columns,
    Backwards,
}

pub(crate) use Layout::{Backwards, Columns, Rows};

impl Layout {
    pub(crate) fn of(self, memory: &[f32], rows: usize, columns: usize) -> MatRef<'_, f32> {
        match self {
            Rows => MatRef::from_row_major_slice(memory, rows, columns),
            Columns => MatRef::from_column_major_slice(memory, rows, columns),
            Backwards => {
                MatRef::from_row_major_slice(memory, rows, columns).reverse_rows_and_cols()
            }
        }
    }
}

/// Numbers between -1 and 1, a function of the seed alone.
pub(crate) fn numbers(count: usize, mut seed: u64) -> Vec<f32> {
    let mut next = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((seed >> 40) as f32 / (1 << 23) as f32) - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Σ lhs · rhs and Σ |lhs · rhs| of every element.
pub(crate) fn exact(lhs: MatRef<'_, f32>, rhs: MatRef<'_, f32>) -> [Mat<f64>; 2] {
    [|x: f64| x, f64::abs].map(|of| {
        let wide =
            |x: MatRef<'_, f32>| Mat::from_fn(x.nrows(), x.ncols(), |i, j| of(x[(i, j)].into()));
        wide(lhs) * wide(rhs)
    })
}

/// Products of so many rows, columns and terms are off by at most `bound(terms)` Σ |lhs · rhs|, and nothing else of
/// the output's memory changes.
pub(crate) fn assert_close(matmul: Matmul, sizes: &[[usize; 3]], bound: fn(usize) -> f64) {
    for (number, [rows, columns, terms]) in sizes.iter().copied().enumerate() {
        let (a, b) = (numbers(rows * terms, 1), numbers(terms * columns, 2));
        let base = numbers(rows * columns, 4);
        let from = |layout: Layout| Start::From(layout.of(&base, rows, columns));
        for (left, right, out, start, alpha) in [
            (Rows, Rows, Rows, Start::Zero, 1.0),
            (Rows, Columns, Rows, Start::Zero, 0.3),
            (Columns, Rows, Rows, Start::Here, -0.7),
            (Columns, Rows, Rows, from(Rows), -0.7),
            (Columns, Columns, Columns, Start::Here, 1.0),
            (Rows, Columns, Columns, Start::Here, 0.3),
            (Rows, Columns, Rows, from(Rows), 0.3),
            (Rows, Columns, Columns, from(Columns), 1.0),
            (Rows, Rows, Columns, from(Rows), 1.0),
            (Backwards, Columns, Rows, Start::Zero, 1.0),
            (Rows, Backwards, Columns, Start::Zero, 1.0),
            (Rows, Rows, Backwards, Start::Here, 1.0),
            (Rows, Rows, Rows, from(Backwards), 1.0),
        ] {
            let (lhs, rhs) = (left.of(&a, rows, terms), right.of(&b, terms, columns));
            let [sums, sizes] = exact(lhs, rhs);
            // Between other numbers, which have to stay.
            let (tall, wide) = (rows + 2, columns + 3);
            let mut memory = numbers(tall * wide, number as u64 + 3);
            let before = memory.clone();
            let whole = match out {
                Columns => MatMut::from_column_major_slice_mut(&mut memory, tall, wide),
                _ => MatMut::from_row_major_slice_mut(&mut memory, tall, wide),
            };
            let whole = if matches!(out, Backwards) {
                whole.reverse_rows_and_cols_mut()
            } else {
                whole
            };
            let mut dst = whole.submatrix_mut(1, 2, rows, columns);
            if !matches!(start, Start::Here) {
                dst.fill(f32::NAN);
            }
            matmul(dst, start, lhs, rhs, alpha);

            let of = |memory: &[f32], i, j| f64::from(out.of(memory, tall, wide)[(i, j)]);
            for i in 0..tall {
                for j in 0..wide {
                    let (got, was) = (of(&memory, i, j), of(&before, i, j));
                    let inside = (1..=rows).contains(&i) && (2..columns + 2).contains(&j);
                    let name = format!(
                        "{rows} × {columns} × {terms}, {left:?} {right:?} {out:?}, {i} {j}"
                    );
                    if !inside {
                        assert!(got == was, "{name}: outside, {was} became {got}");
                        continue;
                    }
                    let alpha = f64::from(alpha);
                    let (sum, size) = (
                        alpha * sums[(i - 1, j - 2)],
                        alpha.abs() * sizes[(i - 1, j - 2)],
                    );
                    let from = match start {
                        Start::Zero => 0.0,
                        Start::Here => was,
                        Start::From(base) => f64::from(base[(i - 1, j - 2)]),
                    };
                    let (sum, size) = (sum + from, size + from.abs());
                    let error = (got - sum).abs();
                    assert!(
                        error <= bound(terms) * size,
                        "{name}: {got} is not {sum}, by {error:e}"
                    );
                }
            }
        }
    }
}
