//! On a processor without such vectors there is nothing to test, and nothing is.

use detfree_x86::Start;
use detfree_x86::avx512;
use faer::{Mat, MatMut};

use crate::layouts::{Columns, Rows, U, assert_close, exact, numbers};

/// Rows, columns and terms: less than a tile of either loop and one of every height and width; part of a vector
/// in the end, and several panels; several blocks of terms and of rows; as many rows as make a panel worth copying, and
/// half as many with a panel in many pages.
const SIZES: [[usize; 3]; 21] = [
    [1, 1, 1],
    [2, 2, 15],
    [3, 3, 16],
    [4, 4, 17],
    [5, 5, 33],
    [6, 6, 31],
    [7, 7, 48],
    [8, 8, 2],
    [9, 15, 100],
    [16, 16, 111],
    [17, 17, 112],
    [23, 47, 113],
    [25, 48, 225],
    [31, 65, 64],
    [12, 100, 1025],
    [40, 20, 1030],
    [120, 33, 50],
    [121, 49, 20],
    [300, 81, 230],
    [530, 20, 30],
    [60, 901, 112],
];

/// A sum of products is rounded once for each, in the end for `alpha` and what it is added to, and once more for
/// every block.
fn bound(terms: usize) -> f64 {
    (terms + terms.div_ceil(100) + 3) as f64 * U
}

#[test]
fn products_of_all_layouts_stay_within_the_bound() {
    if avx512::is_there() {
        assert_close(avx512::matmul, &SIZES, bound);
    }
}

/// Such an output is written past the caches, if its rows begin with cache lines; the last column is no vector.
#[test]
fn a_large_sum_starts_from_another_matrix() {
    if !avx512::is_there() {
        return;
    }
    let (rows, columns, terms, wide) = (1030, 1023, 20, 1024);
    let (a, b) = (numbers(rows * terms, 9), numbers(terms * columns, 10));
    let (lhs, rhs) = (Columns.of(&a, rows, terms), Rows.of(&b, terms, columns));
    let base = numbers(rows * columns, 11);
    let base = Rows.of(&base, rows, columns);
    let [sums, sizes] = exact(lhs, rhs);
    let mut memory = vec![7.0; rows * wide + 16];
    for skipped in [0, 1] {
        memory.fill(7.0);
        let first = memory.as_ptr().align_offset(64) + skipped;
        let whole =
            MatMut::from_row_major_slice_mut(&mut memory[first..][..rows * wide], rows, wide);
        let start = Start::From(base);
        avx512::matmul(whole.subcols_mut(0, columns), start, lhs, rhs, -0.7);
        for (i, row) in memory[first..].chunks_exact(wide).enumerate() {
            assert!(row[columns] == 7.0, "row {i}: {}", row[columns]);
            for (j, &x) in row[..columns].iter().enumerate() {
                let from = f64::from(base[(i, j)]);
                let error = (f64::from(x) - (from - 0.7 * sums[(i, j)])).abs();
                let most = bound(terms) * (from.abs() + 0.7 * sizes[(i, j)]);
                assert!(error <= most, "{i} {j}: off by {error:e}");
            }
        }
    }
}

/// What lies beyond the end of a vector takes no part in the sums.
#[test]
fn what_is_not_finite_stays_in_its_row() {
    if !avx512::is_there() {
        return;
    }
    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for layout in [Rows, Columns] {
            let (rows, columns, terms) = (40, 50, 70);
            let (mut a, b) = (numbers(rows * terms, 7), numbers(terms * columns, 8));
            a[20 * terms + 69] = wrong;
            let (lhs, rhs) = (Rows.of(&a, rows, terms), layout.of(&b, terms, columns));
            let mut out = vec![0.0; rows * columns];
            let dst = MatMut::from_row_major_slice_mut(&mut out, rows, columns);
            avx512::matmul(dst, Start::Zero, lhs, rhs, 1.0);
            for (at, x) in out.iter().enumerate() {
                let row = at / columns;
                assert!(x.is_finite() == (row != 20), "{wrong}: {x} in row {row}");
            }
        }
    }
}

#[test]
fn no_terms_are_zero() {
    for (start, want) in [(Start::Zero, 0.0), (Start::Here, 7.0)] {
        let mut out = Mat::full(3, 4, 7.0);
        let (none, none_of_four) = (Mat::zeros(3, 0), Mat::zeros(0, 4));
        avx512::matmul(
            out.as_mut(),
            start,
            none.as_ref(),
            none_of_four.as_ref(),
            1.0,
        );
        assert!((0..3).all(|i| (0..4).all(|j| out[(i, j)] == want)));
    }
}
