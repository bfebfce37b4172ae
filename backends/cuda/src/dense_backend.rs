//! Products, factorisations and the passes of a multilayer perceptron.

use core::ops::Range;
use std::sync::PoisonError;

use detfree_core::{Activation, Backend, DenseBackend, Link, Op, Scalar, Shape, Store};

use crate::launch::{self, Argument, Grid};
use crate::passes::{fit, word};
use crate::product::Product;
use crate::products::{Onto, warp_grid};
use crate::scalar::DeviceScalar;
use crate::{Cuda, CudaError, DeviceBatch};

impl<T: DeviceScalar> DenseBackend for Cuda<T> {
    fn apply(
        &self,
        rows: Range<usize>,
        w: &DeviceBatch<T>,
        op: Op,
        x: &DeviceBatch<T>,
        store: Store,
        out: &mut DeviceBatch<T>,
    ) -> Result<(), CudaError> {
        let Shape { rows: outputs, dim } = w.shape;
        let product = Product::apply(rows.len(), [outputs, dim], op);
        fit(
            x.shape.dim == product.k
                && out.shape.dim == product.n
                && x.has(&rows)
                && out.has(&rows),
            "apply",
            format_args!(
                "rows {rows:?}, {op:?} w {:?}, x {:?}, out {:?}",
                w.shape, x.shape, out.shape
            ),
        )?;
        let addresses = [
            x.row(rows.start, &self.stream),
            w.row(0, &self.stream),
            out.row(rows.start, &self.stream),
        ];
        self.multiply(&product, T::one(), addresses, onto(store))
    }

    fn chain<'a>(
        &self,
        rows: Range<usize>,
        x: &'a DeviceBatch<T>,
        links: impl IntoIterator<Item = Link<'a, DeviceBatch<T>>>,
    ) -> Result<(), CudaError>
    where
        DeviceBatch<T>: 'a,
    {
        self.run_chain(&rows, x, links)
    }

    fn outer(
        &self,
        rows: Range<usize>,
        a: f64,
        s: &DeviceBatch<T>,
        v: &DeviceBatch<T>,
        store: Store,
        g: &mut DeviceBatch<T>,
    ) -> Result<(), CudaError> {
        self.sum_of_outer(rows, a, [s, v], onto(store), g)
    }

    fn outer_onto(
        &self,
        rows: Range<usize>,
        a: f64,
        s: &DeviceBatch<T>,
        v: &DeviceBatch<T>,
        base: &DeviceBatch<T>,
        g: &mut DeviceBatch<T>,
    ) -> Result<(), CudaError> {
        fit(
            base.shape == g.shape,
            "outer_onto",
            format_args!("base {:?}, g {:?}", base.shape, g.shape),
        )?;
        if self.blas.is_some() {
            self.copy(base, g)?;
            return self.sum_of_outer(rows, a, [s, v], Onto::Output, g);
        }
        self.sum_of_outer(rows, a, [s, v], Onto::Base(base.row(0, &self.stream)), g)
    }

    fn sum_rows(
        &self,
        rows: Range<usize>,
        a: f64,
        x: &DeviceBatch<T>,
        store: Store,
        g: &mut DeviceBatch<T>,
    ) -> Result<(), CudaError> {
        let dim = x.shape.dim;
        fit(
            g.shape == Shape::new(1, dim) && x.has(&rows),
            "sum_rows",
            format_args!("rows {rows:?}, x {:?}, g {:?}", x.shape, g.shape),
        )?;
        let [from, to] = [x.row(rows.start, &self.stream), g.row(0, &self.stream)];
        let shape = Shape::new(rows.len(), dim);
        self.add_rows(shape, T::from_f64(a), from, onto(store), to)
    }

    fn hadamard(
        &self,
        rows: Range<usize>,
        x: &DeviceBatch<T>,
        y: &DeviceBatch<T>,
        store: Store,
        out: &mut DeviceBatch<T>,
    ) -> Result<(), CudaError> {
        let dim = x.shape.dim;
        fit(
            y.shape.dim == dim
                && out.shape.dim == dim
                && x.has(&rows)
                && y.has(&rows)
                && out.has(&rows),
            "hadamard",
            format_args!(
                "rows {rows:?}, x {:?}, y {:?}, out {:?}",
                x.shape, y.shape, out.shape
            ),
        )?;
        let rest = [
            Argument::Word(u32::from(store == Store::Add)),
            x.argument(rows.start, &self.stream),
            y.argument(rows.start, &self.stream),
            out.argument(rows.start, &self.stream),
        ];
        self.pass(&self.kernels.hadamard, rows.len() * dim, rest)
    }

    fn scale_shift(
        &self,
        rows: Range<usize>,
        scale: &DeviceBatch<T>,
        shift: Option<&DeviceBatch<T>>,
        x: &mut DeviceBatch<T>,
    ) -> Result<(), CudaError> {
        let dim = x.shape.dim;
        let fits = |y: &DeviceBatch<T>| y.shape.dim == dim && y.has(&rows);
        fit(
            fits(scale) && shift.is_none_or(fits) && x.has(&rows),
            "scale_shift",
            format_args!(
                "rows {rows:?}, scale {:?}, shift {:?}, x {:?}",
                scale.shape,
                shift.map(|shift| shift.shape),
                x.shape
            ),
        )?;
        let rest = [
            scale.argument(rows.start, &self.stream),
            shift.map_or(Argument::Long(0), |shift| {
                shift.argument(rows.start, &self.stream)
            }),
            x.argument(rows.start, &self.stream),
        ];
        self.pass(&self.kernels.scale_shift, rows.len() * dim, rest)
    }

    fn add_bias(&self, bias: &DeviceBatch<T>, x: &mut DeviceBatch<T>) -> Result<(), CudaError> {
        let Shape { rows, dim } = x.shape;
        fit(
            bias.shape == Shape::new(1, dim),
            "add_bias",
            format_args!("bias {:?}, x {:?}", bias.shape, x.shape),
        )?;
        let rest = [bias.argument(0, &self.stream), x.argument(0, &self.stream)];
        self.row_pass(&self.kernels.add_bias, 0..rows, dim, rest)
    }

    fn bias_activate(
        &self,
        activation: Activation,
        bias: &DeviceBatch<T>,
        h: &mut DeviceBatch<T>,
        z: &mut DeviceBatch<T>,
        d1: &mut DeviceBatch<T>,
        d2: &mut DeviceBatch<T>,
    ) -> Result<(), CudaError> {
        let shape @ Shape { rows, dim } = h.shape;
        fit(
            bias.shape == Shape::new(1, dim) && [&z, &d1, &d2].iter().all(|x| x.shape == shape),
            "bias_activate",
            format_args!(
                "bias {:?}, h {shape:?}, z {:?}, d1 {:?}, d2 {:?}",
                bias.shape, z.shape, d1.shape, d2.shape
            ),
        )?;
        let [kind, alpha, beta] = activation_arguments::<T>(activation);
        let rest = [
            kind,
            alpha,
            beta,
            bias.argument(0, &self.stream),
            h.argument(0, &self.stream),
            z.argument(0, &self.stream),
            d1.argument(0, &self.stream),
            d2.argument(0, &self.stream),
        ];
        self.row_pass(&self.kernels.bias_activate, 0..rows, dim, rest)
    }

    fn transpose(&self, x: &DeviceBatch<T>, out: &mut DeviceBatch<T>) -> Result<(), CudaError> {
        let Shape { rows, dim } = x.shape;
        let tiles = rows
            .div_ceil(TRANSPOSED)
            .checked_mul(dim.div_ceil(TRANSPOSED));
        let tiles = tiles.and_then(|tiles| i32::try_from(tiles).ok());
        fit(
            out.shape == Shape::new(dim, rows) && tiles.is_some(),
            "transpose",
            format_args!("x {:?}, out {:?}", x.shape, out.shape),
        )?;
        let grid = Grid {
            blocks: [tiles.unwrap_or(0) as u32, 1],
            threads: 256,
        };
        let arguments = [
            word(rows),
            word(dim),
            x.argument(0, &self.stream),
            out.argument(0, &self.stream),
        ];
        launch::launch(
            &self.stream,
            &self.kernels.transpose,
            grid,
            &[&arguments, &[]],
        )
    }

    fn log_abs_det(&self, a: &mut DeviceBatch<T>) -> Result<(f64, f64), CudaError> {
        self.factorise("log_abs_det", a, Op::Plain, None)
    }

    fn solve(
        &self,
        a: &mut DeviceBatch<T>,
        op: Op,
        x: &mut DeviceBatch<T>,
    ) -> Result<bool, CudaError> {
        let (sign, _) = self.factorise("solve", a, op, Some(x))?;
        Ok(sign != 0.0)
    }

    fn is_positive_definite(&self, a: &mut DeviceBatch<T>) -> Result<bool, CudaError> {
        let n = square("is_positive_definite", a)?;
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let arguments = [
            word(n),
            Argument::Double(<T as Scalar>::EPSILON),
            a.argument(0, &self.stream),
            Argument::Long(launch::address(&outcome, &self.stream)),
        ];
        let kernel = &self.kernels.is_definite;
        launch::launch(&self.stream, kernel, one_block(n), &[&arguments, &[]])?;
        let [definite, _] = self.answer(&outcome)?;
        Ok(definite == 1.0)
    }
}

/// The side of a tile of `transpose`.
const TRANSPOSED: usize = 32;

const fn onto(store: Store) -> Onto {
    match store {
        Store::Set => Onto::Nothing,
        Store::Add => Onto::Output,
    }
}

/// What kernels call an activation: its number and two parameters.
pub(crate) fn activation_arguments<T: DeviceScalar>(activation: Activation) -> [Argument; 3] {
    let (kind, alpha, beta) = match activation {
        Activation::Identity => (0, 0.0, 0.0),
        Activation::LeakySoftplus { alpha } => (1, alpha, 0.0),
        Activation::TanhLinear { alpha, beta } => (2, alpha, beta),
        Activation::Tanh => (3, 0.0, 0.0),
        Activation::Elu => (4, 0.0, 0.0),
        Activation::Sine => (5, 0.0, 0.0),
        Activation::LipSwish { beta } => (6, 0.0, beta),
    };
    let [alpha, beta] = [alpha, beta].map(|x| T::from_f64(x).argument());
    [Argument::Word(kind), alpha, beta]
}

/// A block with enough threads for the columns of a matrix, and no more.
fn one_block(n: usize) -> Grid {
    let threads = match n {
        0..=8 => 32,
        9..=32 => 128,
        33..=256 => 256,
        _ => 512,
    };
    Grid {
        blocks: [1, 1],
        threads,
    }
}

fn square<T: DeviceScalar>(
    operation: &'static str,
    a: &DeviceBatch<T>,
) -> Result<usize, CudaError> {
    let Shape { rows, dim } = a.shape;
    fit(rows == dim, operation, format_args!("a {:?}", a.shape))?;
    Ok(rows)
}

impl<T: DeviceScalar> Cuda<T> {
    fn sum_of_outer(
        &self,
        rows: Range<usize>,
        a: f64,
        [s, v]: [&DeviceBatch<T>; 2],
        onto: Onto,
        g: &DeviceBatch<T>,
    ) -> Result<(), CudaError> {
        let dims = [s.shape.dim, v.shape.dim];
        fit(
            g.shape == Shape::new(dims[0], dims[1]) && s.has(&rows) && v.has(&rows),
            "outer",
            format_args!(
                "rows {rows:?}, s {:?}, v {:?}, g {:?}",
                s.shape, v.shape, g.shape
            ),
        )?;
        let addresses = [
            s.row(rows.start, &self.stream),
            v.row(rows.start, &self.stream),
            g.row(0, &self.stream),
        ];
        let product = Product::outer(rows.len(), dims);
        self.multiply(&product, T::from_f64(a), addresses, onto)
    }

    /// (sign, ln|det op(A)|), and x_r ← op(A)⁻¹ x_r where x is given.
    fn factorise(
        &self,
        operation: &'static str,
        a: &DeviceBatch<T>,
        op: Op,
        x: Option<&DeviceBatch<T>>,
    ) -> Result<(f64, f64), CudaError> {
        let n = square(operation, a)?;
        let (count, right) = match x {
            Some(x) => {
                fit(
                    x.shape.dim == n,
                    operation,
                    format_args!("a {:?}, x {:?}", a.shape, x.shape),
                )?;
                (x.shape.rows, x.argument(0, &self.stream))
            }
            None => (0, Argument::Long(0)),
        };
        let [outer, inner] = match op {
            Op::Plain => [n, 1],
            Op::Transposed => [1, n],
        };
        let matrix = [
            word(n),
            Argument::count(outer),
            Argument::count(inner),
            a.argument(0, &self.stream),
            Argument::count(count),
            right,
        ];
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let last = [Argument::Long(launch::address(&outcome, &self.stream))];
        let kernel = &self.kernels.lu;
        launch::launch(&self.stream, kernel, one_block(n), &[&matrix, &last])?;
        if count > 0 {
            // It looks at the outcome on the device: to ask here would wait for it twice.
            let kernel = &self.kernels.solve_triangles;
            launch::launch(&self.stream, kernel, warp_grid(count), &[&matrix, &last])?;
        }
        let [sign, log] = self.answer(&outcome)?;
        Ok((sign, log))
    }

    /// Waits for the device and brings back the two numbers of a factorisation.
    fn answer(&self, outcome: &cudarc::driver::CudaSlice<f64>) -> Result<[f64; 2], CudaError> {
        let mut numbers = [f64::NAN; 2];
        launch::download(&self.stream, outcome, &mut numbers)
            .map_err(|status| CudaError::of(status, "reading what a factorisation answers"))?;
        Ok(numbers)
    }
}
