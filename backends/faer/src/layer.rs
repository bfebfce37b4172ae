//! Layers of flows: the activation behind any product, and layers of at most 4 dimensions forward, 3
//! backward, as a whole: with a call for each of their parts most of the time would go into calls.

use core::iter;

use detfree_core::{Activation, Affine, Dense, Op, Scalar, Shape};
use pulp::Arch;

use crate::rows::block_length;
use crate::slices::{SLOW, Slices};
use crate::tiny::{add_product, matrix, total};
use crate::{Batch, Faer, Number, loops};

/// Rows whose sums are added side by side: the widest vector of `f32`.
const LANES: usize = 16;

/// y as `enter` makes it of rows that are read, then what the activation gives there.
pub(crate) fn activate<T: Number, const R: usize>(
    b: &Faer<T>,
    activation: Activation,
    dim: usize,
    read: [&[T]; R],
    write: [&mut Batch<T>; 4],
    log: Option<&mut Dense<Vec<f64>>>,
    enter: impl Fn([&[T]; R], &mut [T]) + Copy + Send,
) {
    let arch = b.arch;
    let [y, z, d1, score] = write;
    let write = [
        y.as_mut_slice(),
        z.as_mut_slice(),
        d1.as_mut_slice(),
        score.as_mut_slice(),
    ];
    let results: &mut [f64] = log.map_or(&mut [], Dense::as_mut_slice);
    let pass = move |mut read: [&[T]; R], mut write: [&mut [T]; 4], mut logs: &mut [f64]| {
        let block = block_length(dim);
        while let Some(length) = write.first().map(|y| y.len().min(block))
            && length > 0
        {
            let read = read.each_mut().map(|x| take(x, length));
            let [y, z, d1, score] = write.each_mut().map(|x| take_mut(x, length));
            let rows = logs.len().min(block / dim.max(1));
            let logs = take_mut(&mut logs, rows);
            arch.dispatch(
                #[inline(always)]
                move || {
                    // Moved out, or the closure could run twice and would not be compiled for wide vectors.
                    let (y, logs) = (y, logs);
                    enter(read, y);
                    activation.scores(y, z, d1, score);
                    Activation::add_log_slopes(d1, logs);
                },
            );
        }
    };
    if b.threads.pool().is_none() {
        return pass(read, write, results);
    }
    b.threads.run(Slices {
        dim,
        cost: SLOW,
        read,
        write,
        results,
        pass,
    });
}

/// A layer forward; `false` where it is too large.
pub(crate) fn forward<T: Number>(
    b: &Faer<T>,
    activation: Activation,
    layer: &Affine<Batch<T>>,
    x: &Batch<T>,
    write: [&mut Batch<T>; 4],
    log: Option<&mut Dense<Vec<f64>>>,
) -> bool {
    let dim = layer.weight.shape().dim;
    if !fits(layer, iter::once(x).chain(write.iter().map(|x| &**x))) {
        return false;
    }
    let run = match dim {
        1 => forward_in::<T, 1>,
        2 => forward_in::<T, 2>,
        3 => forward_in::<T, 3>,
        4 => forward_in::<T, 4>,
        _ => return false,
    };
    run(b, activation, layer, x, write, log);
    true
}

fn forward_in<T: Number, const D: usize>(
    b: &Faer<T>,
    activation: Activation,
    layer: &Affine<Batch<T>>,
    x: &Batch<T>,
    write: [&mut Batch<T>; 4],
    log: Option<&mut Dense<Vec<f64>>>,
) {
    let w = matrix::<T, D>(layer.weight.as_slice(), Op::Plain);
    let bias = first_row::<T, D>(&layer.bias);
    let enter = move |[x]: [&[T]; 1], y: &mut [T]| {
        for (x, y) in iter::zip(x.as_chunks::<D>().0, y.as_chunks_mut::<D>().0) {
            *y = add_product(bias, &w, x);
        }
    };
    activate(b, activation, D, [x.as_slice()], write, log, enter);
}

/// A layer backward from its δ, y and the slopes and scores below; `false` where it is too large.
pub(crate) fn backward<T: Scalar>(
    arch: Arch,
    layer: &Affine<Batch<T>>,
    read: [&Batch<T>; 4],
    below: &mut Batch<T>,
    gram: &mut Batch<T>,
    bias: &mut Batch<T>,
) -> bool {
    let dim = layer.weight.shape().dim;
    let sums_fit = gram.shape() == layer.weight.shape() && bias.shape() == layer.bias.shape();
    if !sums_fit || !fits(layer, read.into_iter().chain([&*below])) {
        return false;
    }
    let run = match dim {
        1 => backward_in::<T, 1>,
        2 => backward_in::<T, 2>,
        3 => backward_in::<T, 3>,
        // Of 4 the compiler makes loads of single numbers, which take longer than the calls.
        _ => return false,
    };
    let below = below.as_mut_slice();
    run(arch, layer, read.map(Dense::as_slice), below, gram, bias);
    true
}

fn backward_in<T: Scalar, const D: usize>(
    arch: Arch,
    layer: &Affine<Batch<T>>,
    read: [&[T]; 4],
    below: &mut [T],
    gram: &mut Batch<T>,
    bias: &mut Batch<T>,
) {
    let w = matrix::<T, D>(layer.weight.as_slice(), Op::Transposed);
    let start = first_row::<T, D>(&layer.bias);
    let [delta, y, d1, score] = read.map(|x| x.as_chunks::<D>().0);
    let below = below.as_chunks_mut::<D>().0;
    let mean = T::from_f64(1.0 / delta.len() as f64);
    let (gram, bias) = (gram.as_mut_slice(), bias.as_mut_slice());
    arch.dispatch(
        #[inline(always)]
        move || {
            // Moved out, or the closure could run twice and would not be compiled for wide vectors.
            let (gram, bias) = (gram, bias);
            let slopes = iter::zip(d1, score);
            for ((delta, (d1, score)), below) in delta.iter().zip(slopes).zip(below) {
                let product = add_product([T::zero(); D], &w, delta);
                for i in 0..D {
                    below[i] = product[i] * d1[i] + score[i];
                }
            }
            let mut sums = Sums::<T, D>::new();
            let (blocks, rest) = delta.as_chunks();
            let (blocks_of_y, rest_of_y) = y.as_chunks();
            for (delta, y) in iter::zip(blocks, blocks_of_y) {
                sums.add(&columns(delta), &columns(y));
            }
            for (delta, y) in iter::zip(rest, rest_of_y) {
                sums.add(&delta.map(|x| [x]), &y.map(|x| [x]));
            }
            for (i, (gram, bias)) in iter::zip(gram.chunks_exact_mut(D), bias).enumerate() {
                *bias = start[i] + mean * total(&mut sums.rows[i]);
                for (j, gram) in gram.iter_mut().enumerate() {
                    *gram = mean * total(&mut sums.products[i][j]);
                    *bias += *gram * start[j];
                }
            }
        },
    );
}

/// Sums over rows in lanes.
struct Sums<T, const D: usize> {
    /// Σ_r δ_r y_rᵀ
    products: [[[T; LANES]; D]; D],
    /// Σ_r δ_r
    rows: [[T; LANES]; D],
}

impl<T: Scalar, const D: usize> Sums<T, D> {
    #[inline(always)]
    fn new() -> Self {
        Self {
            products: [[[T::zero(); LANES]; D]; D],
            rows: [[T::zero(); LANES]; D],
        }
    }

    /// Adds some rows, given by columns.
    #[inline(always)]
    fn add<const N: usize>(&mut self, delta: &[[T; N]; D], y: &[[T; N]; D]) {
        for ((delta, products), sums) in delta.iter().zip(&mut self.products).zip(&mut self.rows) {
            loops::add(delta, sums);
            for (y, products) in iter::zip(y, products) {
                loops::multiply_add(delta, y, products);
            }
        }
    }
}

/// Some rows by columns.
#[inline(always)]
fn columns<T: Scalar, const D: usize>(rows: &[[T; D]; LANES]) -> [[T; LANES]; D] {
    let mut columns = [[T::zero(); LANES]; D];
    for (r, row) in rows.iter().enumerate() {
        for (column, &x) in iter::zip(&mut columns, row) {
            column[r] = x;
        }
    }
    columns
}

/// The first elements of a slice, which keeps the others.
#[inline(always)]
fn take<'a, T>(x: &mut &'a [T], length: usize) -> &'a [T] {
    x.split_off(..length).unwrap_or_default()
}

#[inline(always)]
fn take_mut<'a, T>(x: &mut &'a mut [T], length: usize) -> &'a mut [T] {
    x.split_off_mut(..length).unwrap_or_default()
}

/// out = W + gram W; `false` where that is too large.
pub(crate) fn direction<T: Scalar>(gram: &Batch<T>, weight: &Batch<T>, out: &mut Batch<T>) -> bool {
    let dim = weight.shape().dim;
    if [gram, weight, out]
        .iter()
        .any(|x| x.shape() != Shape::new(dim, dim))
    {
        return false;
    }
    let run = match dim {
        1 => direction_in::<T, 1>,
        2 => direction_in::<T, 2>,
        3 => direction_in::<T, 3>,
        4 => direction_in::<T, 4>,
        _ => return false,
    };
    run(gram.as_slice(), weight.as_slice(), out.as_mut_slice());
    true
}

fn direction_in<T: Scalar, const D: usize>(gram: &[T], weight: &[T], out: &mut [T]) {
    let w = matrix::<T, D>(weight, Op::Transposed);
    let rows = iter::zip(gram.as_chunks::<D>().0, weight.as_chunks::<D>().0);
    for ((gram, weight), out) in rows.zip(out.as_chunks_mut::<D>().0) {
        *out = add_product(*weight, &w, gram);
    }
}

fn first_row<T: Scalar, const D: usize>(x: &Batch<T>) -> [T; D] {
    let row = x.as_slice().as_chunks().0.first();
    row.copied().unwrap_or([T::zero(); D])
}

/// Whether the layer is square, and the batches are of one shape that fits it.
fn fits<'a, T: Scalar>(
    layer: &Affine<Batch<T>>,
    batches: impl IntoIterator<Item = &'a Batch<T>>,
) -> bool {
    let dim = layer.weight.shape().dim;
    let square = layer.weight.shape() == Shape::new(dim, dim);
    let mut shapes = batches.into_iter().map(Dense::shape);
    let first = shapes.next().unwrap_or(Shape::new(0, dim));
    square
        && layer.bias.shape() == Shape::new(1, dim)
        && first.dim == dim
        && shapes.all(|shape| shape == first)
}
