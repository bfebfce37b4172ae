//! Products against exact sums, within the bound that the crate states. On a processor without the unit there is
//! nothing to test, and nothing is, but for the feature `emulation`.

use detfree_amx::Amx;
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};

/// Half a unit in the last place of 1.
const U: f64 = 1.0 / (1 << 24) as f64;

/// Rows, columns and terms: less than a tile, a tile, one more; two, three, four and five panels; two blocks
/// of terms; more panels than are kept.
const SIZES: [[usize; 3]; 14] = [
    [1, 1, 1],
    [3, 5, 17],
    [16, 16, 32],
    [17, 15, 33],
    [33, 40, 31],
    [48, 130, 16],
    [64, 31, 100],
    [65, 100, 64],
    [80, 81, 15],
    [5, 200, 1024],
    [130, 20, 1025],
    [33, 18, 2100],
    [200, 190, 1000],
    [600, 650, 700],
];

/// A matrix in other memory than its own: rows or columns in one piece, or neither.
#[derive(Clone, Copy, Debug)]
enum Layout {
    Rows,
    Columns,
    Backwards,
}

use Layout::{Backwards, Columns, Rows};

impl Layout {
    fn of(self, memory: &[f32], rows: usize, columns: usize) -> MatRef<'_, f32> {
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
fn numbers(count: usize, mut seed: u64) -> Vec<f32> {
    let mut next = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((seed >> 40) as f32 / (1 << 23) as f32) - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Σ lhs · rhs and Σ |lhs · rhs| of every element.
fn exact(lhs: MatRef<'_, f32>, rhs: MatRef<'_, f32>) -> [Mat<f64>; 2] {
    [|x: f64| x, f64::abs].map(|of| {
        let wide =
            |x: MatRef<'_, f32>| Mat::from_fn(x.nrows(), x.ncols(), |i, j| of(x[(i, j)].into()));
        wide(lhs) * wide(rhs)
    })
}

/// 6⌈k/32⌉ + 17 roundings of a sum, 3 for what is left out, and at most 3 for blocks, `alpha` and what it is added to.
fn bound(terms: usize) -> f64 {
    (6 * terms.div_ceil(32) + 23) as f64 * U
}

#[test]
fn products_of_all_layouts_stay_within_the_bound() {
    let Some(amx) = Amx::detect() else { return };
    for (number, [rows, columns, terms]) in SIZES.into_iter().enumerate() {
        let (a, b) = (numbers(rows * terms, 1), numbers(terms * columns, 2));
        for (left, right, out, accum, alpha) in [
            (Rows, Rows, Rows, Accum::Replace, 1.0),
            (Rows, Columns, Rows, Accum::Replace, 0.3),
            (Columns, Rows, Rows, Accum::Add, -0.7),
            (Columns, Columns, Columns, Accum::Add, 1.0),
            (Rows, Columns, Columns, Accum::Add, 0.3),
            (Backwards, Columns, Rows, Accum::Replace, 1.0),
            (Rows, Backwards, Columns, Accum::Replace, 1.0),
            (Rows, Rows, Backwards, Accum::Add, 1.0),
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
            if matches!(accum, Accum::Replace) {
                dst.fill(f32::NAN);
            }
            amx.matmul(dst, accum, lhs, rhs, alpha);

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
                    let (sum, size) = match accum {
                        Accum::Replace => (sum, size),
                        Accum::Add => (sum + was, size + was.abs()),
                    };
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

/// Of the six sums only the last is rounded at the size of the product, the others at 2⁻⁷ of it; 2 are left out.
#[test]
fn a_product_of_two_numbers_is_off_by_three_roundings() {
    let Some(amx) = Amx::detect() else { return };
    let size = 300;
    let (a, b) = (numbers(size, 13), numbers(size, 14));
    let mut out = Mat::zeros(size, size);
    let (lhs, rhs) = (Rows.of(&a, size, 1), Rows.of(&b, 1, size));
    amx.matmul(out.as_mut(), Accum::Replace, lhs, rhs, 1.0);
    for i in 0..size {
        for j in 0..size {
            let exact = f64::from(a[i]) * f64::from(b[j]);
            let error = (f64::from(out[(i, j)]) - exact).abs() / exact.abs();
            assert!(
                error <= 3.1 * U,
                "{} · {} is off by {:.2} U",
                a[i],
                b[j],
                error / U
            );
        }
    }
}

#[test]
fn errors_are_no_larger_than_those_of_vector_units() {
    let Some(amx) = Amx::detect() else { return };
    let size = 500;
    let (a, b) = (numbers(size * size, 5), numbers(size * size, 6));
    let (lhs, rhs) = (Rows.of(&a, size, size), Rows.of(&b, size, size));
    let [sums, _] = exact(lhs, rhs);
    let error = |product: &dyn Fn(MatMut<'_, f32>)| {
        let mut out = Mat::zeros(size, size);
        product(out.as_mut());
        let errors = (0..size * size).map(|at| {
            let at = (at / size, at % size);
            (f64::from(out[at]) - sums[at]).powi(2)
        });
        errors.sum::<f64>().sqrt()
    };
    let tiles = error(&|out| amx.matmul(out, Accum::Replace, lhs, rhs, 1.0));
    let vectors = error(&|out| matmul(out, Accum::Replace, lhs, rhs, 1.0, Par::Seq));
    // Two of three parts would give 2⁻¹⁷ of each product, some 30 times as much.
    assert!(tiles <= vectors, "{tiles:e} is more than {vectors:e}");
}

#[test]
fn what_is_not_finite_stays_in_its_row() {
    let Some(amx) = Amx::detect() else { return };
    for wrong in [
        f32::NAN,
        f32::from_bits(0xffff_ffff),
        f32::INFINITY,
        f32::NEG_INFINITY,
    ] {
        let (rows, columns, terms) = (40, 50, 70);
        let (mut a, b) = (numbers(rows * terms, 7), numbers(terms * columns, 8));
        a[20 * terms + 33] = wrong;
        let mut out = Mat::zeros(rows, columns);
        let (lhs, rhs) = (Rows.of(&a, rows, terms), Rows.of(&b, terms, columns));
        amx.matmul(out.as_mut(), Accum::Replace, lhs, rhs, 1.0);
        for i in 0..rows {
            for j in 0..columns {
                assert!(
                    out[(i, j)].is_finite() == (i != 20),
                    "{wrong}: {} in row {i}",
                    out[(i, j)]
                );
            }
        }
    }
}

#[test]
fn tiny_and_huge_numbers_lose_what_is_below_the_smallest_normal_one() {
    let Some(amx) = Amx::detect() else { return };
    let (size, tiny, huge) = (40, 1e-37_f32, 1e36_f32);
    let scaled = |by: f32, seed| {
        numbers(size * size, seed)
            .iter()
            .map(|x| x * by)
            .collect::<Vec<_>>()
    };
    let (a, b) = (scaled(tiny, 9), scaled(huge, 10));
    let (lhs, rhs) = (Rows.of(&a, size, size), Rows.of(&b, size, size));
    let [sums, sizes] = exact(lhs, rhs);
    let mut out = Mat::zeros(size, size);
    amx.matmul(out.as_mut(), Accum::Replace, lhs, rhs, 1.0);
    for i in 0..size {
        for j in 0..size {
            let lost = size as f64 * 2.0 * f64::from(f32::MIN_POSITIVE) * f64::from(huge);
            let error = (f64::from(out[(i, j)]) - sums[(i, j)]).abs();
            let most = bound(size) * sizes[(i, j)] + lost;
            assert!(error <= most, "{error:e} is more than {most:e}");
        }
    }
}

#[test]
fn no_terms_are_zero() {
    let Some(amx) = Amx::detect() else { return };
    for (accum, want) in [(Accum::Replace, 0.0), (Accum::Add, 7.0)] {
        let mut out = Mat::full(3, 4, 7.0);
        amx.matmul(
            out.as_mut(),
            accum,
            Mat::zeros(3, 0).as_ref(),
            Mat::zeros(0, 4).as_ref(),
            1.0,
        );
        assert!((0..3).all(|i| (0..4).all(|j| out[(i, j)] == want)));
    }
}

#[test]
fn threads_have_tiles_of_their_own() {
    let Some(amx) = Amx::detect() else { return };
    let size = 100;
    let (a, b) = (numbers(size * size, 11), numbers(size * size, 12));
    let product = || {
        let mut out = Mat::zeros(size, size);
        for _ in 0..50 {
            let (lhs, rhs) = (Rows.of(&a, size, size), Columns.of(&b, size, size));
            amx.matmul(out.as_mut(), Accum::Add, lhs, rhs, 1.0);
        }
        out
    };
    let alone = product();
    std::thread::scope(|scope| {
        let others: Vec<_> = (0..3).map(|_| scope.spawn(product)).collect();
        for other in others {
            assert!(other.join().unwrap() == alone);
        }
    });
}
