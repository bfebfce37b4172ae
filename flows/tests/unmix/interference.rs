//! How much of the others a source is said to hold, and where no figure is given.

use super::{BATCH, Law, ROWS, draw, found, normal, times_transposed, transposed};

/// Gaussian sources cannot be told apart, nor can those with lighter tails; one of either can be,
/// beside heavier ones. It says which.
#[test]
fn what_cannot_be_told_apart_is_named() {
    use Law::{Gaussian, Laplace, Uniform};
    for (laws, mixed) in [
        ([Laplace, Gaussian, Laplace, Gaussian, Laplace], &[1, 3][..]),
        ([Laplace, Gaussian, Laplace, Laplace, Laplace], &[]),
        ([Laplace, Uniform, Laplace, Uniform, Laplace], &[1, 3]),
        ([Laplace, Uniform, Laplace, Laplace, Laplace], &[]),
    ] {
        let (dim, mixing) = (5, normal(5, 14));
        let rows = times_transposed(&draw(&laws, 4 * ROWS, 14), &mixing, dim);
        let found = found(&rows, dim, &BATCH);
        let product = times_transposed(&found.sources.weight, &transposed(&mixing, dim), dim);
        for (row, source) in product.chunks_exact(dim).zip(&found.sources.each) {
            let largest = (0..dim).max_by(|&a, &b| row[a].abs().total_cmp(&row[b].abs()));
            let named = source.interference.is_none_or(|x| x > 0.03);
            assert_eq!(
                named,
                mixed.contains(&largest.unwrap()),
                "{source:?} {row:?}"
            );
        }
    }
}

/// A Gaussian pair has curvatures about 0, and its interference is a ratio by their square: a figure that
/// can be many times the whole.
#[test]
fn no_interference_is_more_than_half() {
    let interferences = |law| -> Vec<Option<f64>> {
        let pairs = (0..20).map(|seed| found(&draw(&[law; 2], 2000, seed), 2, &BATCH).sources.each);
        pairs.flatten().map(|source| source.interference).collect()
    };
    let gaussian = interferences(Law::Gaussian);
    assert!(gaussian.iter().flatten().all(|&x| x <= 0.5), "{gaussian:?}");
    assert!(gaussian.iter().filter(|x| x.is_none()).count() >= 20);
    let laplace = interferences(Law::Laplace);
    assert!(laplace.iter().all(Option::is_some), "{laplace:?}");
}
