//! On a processor without the unit there is nothing to test, and nothing is, but for the feature `emulation`.

use detfree_x86::Start;
use detfree_x86::amx;
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, Par};

use crate::layouts::{Columns, Rows, U, assert_close, exact, numbers};

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

/// 6⌈k/32⌉ + 17 roundings of a sum, 3 for what is left out, and at most 3 for blocks, `alpha` and what it is added to.
fn bound(terms: usize) -> f64 {
    (6 * terms.div_ceil(32) + 23) as f64 * U
}

#[test]
fn products_of_all_layouts_stay_within_the_bound() {
    if amx::is_there() {
        assert_close(amx::matmul, &SIZES, bound);
    }
}

/// Of the six sums only the last is rounded at the size of the product, the others at 2⁻⁷ of it; 2 are left out.
#[test]
fn a_product_of_two_numbers_is_off_by_three_roundings() {
    if !amx::is_there() {
        return;
    }
    let size = 300;
    let (a, b) = (numbers(size, 13), numbers(size, 14));
    let mut out = Mat::zeros(size, size);
    let (lhs, rhs) = (Rows.of(&a, size, 1), Rows.of(&b, 1, size));
    amx::matmul(out.as_mut(), Start::Zero, lhs, rhs, 1.0);
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
    if !amx::is_there() {
        return;
    }
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
    let tiles = error(&|out| amx::matmul(out, Start::Zero, lhs, rhs, 1.0));
    let vectors = error(&|out| matmul(out, Accum::Replace, lhs, rhs, 1.0, Par::Seq));
    // Two of three parts would give 2⁻¹⁷ of each product, some 30 times as much.
    assert!(tiles <= vectors, "{tiles:e} is more than {vectors:e}");
}

#[test]
fn what_is_not_finite_stays_in_its_row() {
    if !amx::is_there() {
        return;
    }
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
        amx::matmul(out.as_mut(), Start::Zero, lhs, rhs, 1.0);
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
    if !amx::is_there() {
        return;
    }
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
    amx::matmul(out.as_mut(), Start::Zero, lhs, rhs, 1.0);
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
    if !amx::is_there() {
        return;
    }
    for (start, want) in [(Start::Zero, 0.0), (Start::Here, 7.0)] {
        let mut out = Mat::full(3, 4, 7.0);
        amx::matmul(
            out.as_mut(),
            start,
            Mat::zeros(3, 0).as_ref(),
            Mat::zeros(0, 4).as_ref(),
            1.0,
        );
        assert!((0..3).all(|i| (0..4).all(|j| out[(i, j)] == want)));
    }
}

#[test]
fn threads_have_tiles_of_their_own() {
    if !amx::is_there() {
        return;
    }
    let size = 100;
    let (a, b) = (numbers(size * size, 11), numbers(size * size, 12));
    let product = || {
        let mut out = Mat::zeros(size, size);
        for _ in 0..50 {
            let (lhs, rhs) = (Rows.of(&a, size, size), Columns.of(&b, size, size));
            amx::matmul(out.as_mut(), Start::Here, lhs, rhs, 1.0);
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
