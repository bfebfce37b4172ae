//! Matrices in double precision and plain loops: what results are compared with.

use std::ops::Range;

use detfree_core::{Key, Op, Scalar, Shape};

/// A row-major matrix in `f64`.
///
/// ```
/// use detfree_testsuite::Plain;
/// let a = Plain::new(2, 2, |i, j| [[2.0, 0.0], [1.0, -3.0]][i][j]);
/// let (sign, log_det, inverse) = a.invert();
/// assert_eq!((sign, log_det), (-1.0, 6.0_f64.ln()));
/// assert_eq!(a.times(&inverse), Plain::identity(2));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Plain {
    shape: Shape,
    data: Vec<f64>,
}

impl Plain {
    /// The matrix with element `at(i, j)` in row i, column j.
    #[must_use]
    pub fn new(rows: usize, dim: usize, at: impl Fn(usize, usize) -> f64) -> Self {
        let data = (0..rows * dim).map(|i| at(i / dim, i % dim)).collect();
        Self {
            shape: Shape::new(rows, dim),
            data,
        }
    }

    /// I
    #[must_use]
    pub fn identity(dim: usize) -> Self {
        Self::new(dim, dim, |i, j| f64::from(u8::from(i == j)))
    }

    /// A D×D matrix of normals scaled to the Frobenius norm `norm`, which bounds its operator norm.
    #[must_use]
    pub fn contraction(dim: usize, norm: f64, seed: u64) -> Self {
        let normals = Self::normal(Key::new(seed), dim, dim);
        normals.scaled(norm / normals.squared_norm().sqrt())
    }

    /// Rows and columns.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// The elements, row after row.
    #[must_use]
    pub fn as_slice(&self) -> &[f64] {
        &self.data
    }

    /// The element in row i, column j.
    #[must_use]
    pub fn at(&self, i: usize, j: usize) -> f64 {
        self.data[i * self.shape.dim + j]
    }

    /// The product of two matrices.
    #[must_use]
    pub fn times(&self, other: &Self) -> Self {
        let inner = 0..self.shape.dim;
        Self::new(self.shape.rows, other.shape.dim, |i, j| {
            inner.clone().map(|k| self.at(i, k) * other.at(k, j)).sum()
        })
    }

    /// (sign of the determinant, log|det|, inverse) by Gauss–Jordan elimination with row pivoting.
    #[must_use]
    pub fn invert(&self) -> (f64, f64, Self) {
        let dim = self.shape.dim;
        let mut a = self.clone();
        let mut inverse = Self::identity(dim);
        let (mut sign, mut log) = (1.0, 0.0);
        for k in 0..dim {
            let larger = |&i: &usize, &j: &usize| a.at(i, k).abs().total_cmp(&a.at(j, k).abs());
            let pivot = (k..dim).max_by(larger).unwrap_or(k);
            let diagonal = a.at(pivot, k);
            log += diagonal.abs().ln();
            sign *= diagonal.signum() * if pivot == k { 1.0 } else { -1.0 };
            for m in [&mut a, &mut inverse] {
                for j in 0..dim {
                    m.data.swap(k * dim + j, pivot * dim + j);
                    m.data[k * dim + j] /= diagonal;
                }
            }
            for i in (0..dim).filter(|&i| i != k) {
                let factor = a.at(i, k);
                for m in [&mut a, &mut inverse] {
                    for j in 0..dim {
                        m.data[i * dim + j] -= factor * m.data[k * dim + j];
                    }
                }
            }
        }
        (sign, log, inverse)
    }

    pub(crate) fn from_vec(shape: Shape, data: Vec<f64>) -> Self {
        Self { shape, data }
    }

    pub(crate) fn filled(shape: Shape, x: f64) -> Self {
        Self::from_vec(shape, vec![x; shape.rows * shape.dim])
    }

    /// What an operand that is only written may hold before.
    pub(crate) fn dirty(shape: Shape) -> Self {
        Self::filled(shape, f64::NAN)
    }

    /// Numbers in [−1, 1] as `T` holds them, a function of the seed alone.
    pub(crate) fn random<T: Scalar>(shape: Shape, seed: u64) -> Self {
        let key = Key::new(seed);
        Self::new(shape.rows, shape.dim, |r, c| {
            2.0 * key.uniform(r as u64, c as u32) - 1.0
        })
        .rounded::<T>()
    }

    /// Independent normals.
    pub(crate) fn normal(key: Key, rows: usize, dim: usize) -> Self {
        Self::new(rows, dim, |i, j| key.normal(i as u64, j as u32))
    }

    /// 1.3 I plus normals of standard deviation 0.3/√D: its singular values stay near [0.7, 1.9].
    pub(crate) fn well_conditioned(key: Key, dim: usize) -> Self {
        let noise = 0.3 / (dim as f64).sqrt();
        Self::identity(dim)
            .scaled(1.3)
            .plus(noise, &Self::normal(key, dim, dim))
    }

    pub(crate) fn rounded<T: Scalar>(&self) -> Self {
        self.map(|x| T::from_f64(x).to_f64())
    }

    pub(crate) fn row(&self, r: usize) -> &[f64] {
        &self.data[r * self.shape.dim..(r + 1) * self.shape.dim]
    }

    /// Row r as a batch of its own.
    pub(crate) fn one_row(&self, r: usize) -> Self {
        Self::from_vec(Shape::new(1, self.shape.dim), self.row(r).to_vec())
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f64] {
        &mut self.data
    }

    /// NaN outside the rows of a range: those may not be read.
    pub(crate) fn only(mut self, rows: &Range<usize>) -> Self {
        let dim = self.shape.dim;
        self.data[..rows.start * dim].fill(f64::NAN);
        self.data[rows.end * dim..].fill(f64::NAN);
        self
    }

    /// NaN in the rows of a range: those are written before they are read.
    pub(crate) fn except(mut self, rows: &Range<usize>) -> Self {
        let dim = self.shape.dim;
        self.data[rows.start * dim..rows.end * dim].fill(f64::NAN);
        self
    }

    /// The same with row r in the range replaced by `row(r, column)`.
    pub(crate) fn with_rows(
        mut self,
        rows: &Range<usize>,
        at: impl Fn(usize, usize) -> f64,
    ) -> Self {
        for r in rows.clone() {
            for c in 0..self.shape.dim {
                self.data[r * self.shape.dim + c] = at(r, c);
            }
        }
        self
    }

    pub(crate) fn t(&self) -> Self {
        Self::new(self.shape.dim, self.shape.rows, |i, j| self.at(j, i))
    }

    /// op(self)
    pub(crate) fn op(&self, op: Op) -> Self {
        match op {
            Op::Plain => self.clone(),
            Op::Transposed => self.t(),
        }
    }

    pub(crate) fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self::from_vec(self.shape, self.data.iter().map(|&x| f(x)).collect())
    }

    pub(crate) fn scaled(&self, a: f64) -> Self {
        self.map(|x| a * x)
    }

    /// self + a other; an `other` of one row is added to every row.
    pub(crate) fn plus(&self, a: f64, other: &Self) -> Self {
        Self::new(self.shape.rows, self.shape.dim, |i, j| {
            self.at(i, j) + a * other.at(i.min(other.shape.rows - 1), j)
        })
    }

    /// The mean of the rows, as one row.
    pub(crate) fn mean_row(&self) -> Self {
        Self::new(1, self.shape.rows, |_, _| 1.0 / self.shape.rows as f64).times(self)
    }

    pub(crate) fn trace(&self) -> f64 {
        (0..self.shape.dim).map(|i| self.at(i, i)).sum()
    }

    pub(crate) fn squared_norm(&self) -> f64 {
        self.data.iter().map(|x| x * x).sum()
    }
}
