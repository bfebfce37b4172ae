//! On a processor without such vectors there is nothing to test, and nothing is.

use detfree_x86::Start;
use detfree_x86::avx512;
use faer::Mat;

use crate::layouts::{Columns, Rows, U, assert_close, numbers};

/// Rows, columns and terms: less than a tile of either loop and one of every height and width; part of a vector
/// in the end, and several panels; several blocks of terms and of rows; as many rows as make a panel worth copying.
const SIZES: [[usize; 3]; 19] = [
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
            let dst = faer::MatMut::from_row_major_slice_mut(&mut out, rows, columns);
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
