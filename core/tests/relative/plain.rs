//! Matrices in double precision and plain loops: what the relative gradient is compared with.

use detfree_core::reference::Heap;
use detfree_core::{Affine, Dense, DenseRelative, Key, RelativeGradient, Scalar, Shape, Side};

/// A row-major matrix.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plain {
    pub(crate) shape: Shape,
    pub(crate) data: Vec<f64>,
}

impl Plain {
    pub(crate) fn new(rows: usize, dim: usize, at: impl Fn(usize, usize) -> f64) -> Self {
        let data = (0..rows * dim).map(|i| at(i / dim, i % dim)).collect();
        Self {
            shape: Shape::new(rows, dim),
            data,
        }
    }

    pub(crate) fn identity(dim: usize) -> Self {
        Self::new(dim, dim, |i, j| f64::from(u8::from(i == j)))
    }

    /// Independent normals.
    pub(crate) fn normal(key: Key, rows: usize, dim: usize, scale: f64) -> Self {
        Self::new(rows, dim, |i, j| {
            scale * key.normal(i as u64, u32::try_from(j).unwrap())
        })
    }

    /// 1.3 I plus normals of standard deviation 0.3/√D: its singular values stay near [0.7, 1.9].
    pub(crate) fn well_conditioned(key: Key, dim: usize) -> Self {
        Self::identity(dim)
            .scaled(1.3)
            .plus(1.0, &Self::normal(key, dim, dim, 0.3 / (dim as f64).sqrt()))
    }

    pub(crate) fn at(&self, i: usize, j: usize) -> f64 {
        self.data[i * self.shape.dim + j]
    }

    pub(crate) fn t(&self) -> Self {
        Self::new(self.shape.dim, self.shape.rows, |i, j| self.at(j, i))
    }

    pub(crate) fn scaled(&self, a: f64) -> Self {
        Self::new(self.shape.rows, self.shape.dim, |i, j| a * self.at(i, j))
    }

    /// self + a other; an `other` of one row is added to every row.
    pub(crate) fn plus(&self, a: f64, other: &Self) -> Self {
        Self::new(self.shape.rows, self.shape.dim, |i, j| {
            self.at(i, j) + a * other.at(i.min(other.shape.rows - 1), j)
        })
    }

    pub(crate) fn times(&self, other: &Self) -> Self {
        assert_eq!(self.shape.dim, other.shape.rows);
        Self::new(self.shape.rows, other.shape.dim, |i, j| {
            (0..self.shape.dim)
                .map(|k| self.at(i, k) * other.at(k, j))
                .sum()
        })
    }

    pub(crate) fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self::new(self.shape.rows, self.shape.dim, |i, j| f(self.at(i, j)))
    }

    /// The mean of the rows, as one row.
    pub(crate) fn mean_row(&self) -> Self {
        Self::new(1, self.shape.rows, |_, _| 1.0 / self.shape.rows as f64).times(self)
    }

    pub(crate) fn squared_norm(&self) -> f64 {
        self.data.iter().map(|x| x * x).sum()
    }

    pub(crate) fn largest(&self) -> f64 {
        self.data
            .iter()
            .fold(0.0, |largest, x| x.abs().max(largest))
    }

    /// log|det| and the inverse, by Gauss–Jordan elimination with row pivoting.
    pub(crate) fn log_abs_det_and_inverse(&self) -> (f64, Self) {
        let dim = self.shape.dim;
        let mut a = self.clone();
        let mut inverse = Self::identity(dim);
        let mut log = 0.0;
        for k in 0..dim {
            let pivot = (k..dim)
                .max_by(|&i, &j| a.at(i, k).abs().total_cmp(&a.at(j, k).abs()))
                .unwrap();
            for m in [&mut a, &mut inverse] {
                for j in 0..dim {
                    m.data.swap(k * dim + j, pivot * dim + j);
                }
            }
            let diagonal = a.at(k, k);
            log += diagonal.abs().ln();
            for m in [&mut a, &mut inverse] {
                for j in 0..dim {
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
        (log, inverse)
    }

    /// The same numbers as a batch of `T`.
    pub(crate) fn batch<T: Scalar>(&self) -> Dense<Vec<T>> {
        let data = self.data.iter().map(|&x| T::from_f64(x)).collect();
        Dense::new(self.shape, data).unwrap()
    }

    pub(crate) fn from_batch<T: Scalar>(x: &Dense<Vec<T>>) -> Self {
        Self {
            shape: x.shape(),
            data: x.as_slice().iter().map(|x| x.to_f64()).collect(),
        }
    }

    /// What the numbers become in a batch of `T`.
    pub(crate) fn rounded<T: Scalar>(&self) -> Self {
        Self::from_batch(&self.batch::<T>())
    }
}

/// W and b.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layer {
    pub(crate) weight: Plain,
    pub(crate) bias: Plain,
}

impl Layer {
    pub(crate) fn random(key: Key, dim: usize) -> Self {
        Self {
            weight: Plain::well_conditioned(key.fold_in(0), dim),
            bias: Plain::normal(key.fold_in(1), 1, dim, 1.0),
        }
    }

    /// y_r = W z_r + b
    pub(crate) fn forward(&self, z: &Plain) -> Plain {
        z.times(&self.weight.t()).plus(1.0, &self.bias)
    }

    pub(crate) fn plus(&self, a: f64, other: &Self) -> Self {
        Self {
            weight: self.weight.plus(a, &other.weight),
            bias: self.bias.plus(a, &other.bias),
        }
    }

    pub(crate) fn squared_norm(&self) -> f64 {
        self.weight.squared_norm() + self.bias.squared_norm()
    }

    pub(crate) fn largest(&self) -> f64 {
        self.weight.largest().max(self.bias.largest())
    }

    pub(crate) fn batches<T: Scalar>(&self) -> Affine<Dense<Vec<T>>> {
        Affine {
            weight: self.weight.batch(),
            bias: self.bias.batch(),
        }
    }

    pub(crate) fn from_batches<T: Scalar>(layer: &Affine<Dense<Vec<T>>>) -> Self {
        Self {
            weight: Plain::from_batch(&layer.weight),
            bias: Plain::from_batch(&layer.bias),
        }
    }

    pub(crate) fn rounded<T: Scalar>(&self) -> Self {
        Self::from_batches(&self.batches::<T>())
    }
}

/// A tangent linearised at a layer. Its buffers are NaN before.
pub(crate) fn tangent<T: Scalar>(
    side: Side,
    layer: &Layer,
    delta: &Plain,
    anchor: &Plain,
) -> DenseRelative<Heap<T>> {
    let b = Heap::<T>::new();
    let mut tangent = nan_tangent(delta.shape);
    tangent
        .linearise(&b, side, &layer.batches(), &delta.batch(), &anchor.batch())
        .unwrap();
    tangent
}

/// A tangent over buffers that hold NaN.
pub(crate) fn nan_tangent<T: Scalar>(Shape { rows, dim }: Shape) -> DenseRelative<Heap<T>> {
    let nan = |rows, dim| Plain::new(rows, dim, |_, _| f64::NAN).batch::<T>();
    let smaller = rows.min(dim);
    DenseRelative::new(
        &Heap::new(),
        [(); 3].map(|()| nan(rows, dim)),
        [(); 2].map(|()| nan(smaller, smaller)),
        nan(rows, 1),
        [(); 2].map(|()| nan(1, dim)),
        [dim, smaller].map(|rows| Plain::new(rows, 1, |_, _| f64::NAN).batch()),
    )
    .unwrap()
}

/// (ΔW, Δb), in batches that were NaN before.
pub(crate) fn direction<T: Scalar>(tangent: &mut DenseRelative<Heap<T>>, layer: &Layer) -> Layer {
    let mut out = Layer {
        weight: layer.weight.map(|_| f64::NAN),
        bias: layer.bias.map(|_| f64::NAN),
    }
    .batches::<T>();
    tangent
        .direction(&Heap::new(), &layer.batches(), &mut out)
        .unwrap();
    Layer::from_batches(&out)
}
