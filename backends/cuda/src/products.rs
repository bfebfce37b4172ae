//! Matrix products on the device: by cuBLAS or by our kernels.

use std::sync::PoisonError;

use detfree_core::Shape;

use crate::launch::{self, Argument, Grid};
use crate::passes::{THREADS, fit, word};
use crate::product::{Cut, Product};
use crate::scalar::DeviceScalar;
use crate::{Cuda, CudaError};

/// Threads of a block that computes a tile.
pub(crate) const TILE_THREADS: u32 = 256;

/// No address: no base to add to, no scale.
pub(crate) const NONE: u64 = 0;

/// What a product is added to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Onto {
    Nothing,
    /// What the output holds.
    Output,
    /// What is at this address, of the output's shape.
    Base(u64),
}

impl<T: DeviceScalar> Cuda<T> {
    /// out ← [onto +] a left rightᵀ. The addresses are those of left, right and out, which have the
    /// extents of `product`.
    pub(crate) fn multiply(
        &self,
        product: &Product,
        a: T,
        addresses: [u64; 3],
        onto: Onto,
    ) -> Result<(), CudaError> {
        self.multiply_scaled(product, a, addresses, onto, NONE)
    }

    /// The same times what is at the address `scale`, element by element; [`NONE`] is no factor.
    pub(crate) fn multiply_scaled(
        &self,
        product: &Product,
        a: T,
        [left, right, out]: [u64; 3],
        onto: Onto,
        scale: u64,
    ) -> Result<(), CudaError> {
        let Product { m, n, k, layouts } = *product;
        if m == 0 || n == 0 {
            return Ok(());
        }
        // An empty sum and a base elsewhere are for our kernels: cuBLAS would need a copy or a fill.
        let beta = match onto {
            Onto::Nothing => Some(T::zero()),
            Onto::Output => Some(T::one()),
            Onto::Base(_) => None,
        };
        if let (Some(blas), Some(beta), Some(call)) = (&self.blas, beta, product.column_major())
            && k > 0
        {
            let blas = blas.lock().unwrap_or_else(PoisonError::into_inner);
            let bound = self.stream.context().bind_to_thread();
            bound.map_err(|status| CudaError::of(status, "multiplying matrices"))?;
            launch::multiply(&blas, &call, a, beta, [right, left, out])?;
            return match scale {
                NONE => Ok(()),
                scale => self.scale(m * n, scale, out),
            };
        }

        let scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let cut = product.cut(scratch.len());
        let base = match onto {
            Onto::Nothing => NONE,
            Onto::Output => out,
            Onto::Base(base) => base,
        };
        let steps =
            |layout: crate::product::Layout, outer| layout.steps(outer, k).map(Argument::count);
        let [left_outer, left_depth] = steps(layouts[0], m);
        let [right_outer, right_depth] = steps(layouts[1], n);
        let parts_only = cut.parts > 1;
        let parts = launch::address(&scratch, &self.stream);
        let (factor, base_now, scale_now, out_now) = match parts_only {
            true => (T::one(), NONE, NONE, parts),
            false => (a, base, scale, out),
        };
        let arguments = [
            word(m),
            word(n),
            word(k),
            word(cut.chunk),
            factor.argument(),
            Argument::Long(left),
            left_outer,
            left_depth,
            Argument::Long(right),
            right_outer,
            right_depth,
            Argument::Long(base_now),
            Argument::Long(scale_now),
            Argument::Long(out_now),
        ];
        let kernel = match cut.large {
            true => &self.kernels.product_large,
            false => &self.kernels.product_small,
        };
        launch::launch(&self.stream, kernel, tile_grid(&cut)?, &[&arguments, &[]])?;
        if parts_only {
            self.fold(m * n, cut.parts, a, [parts, base, scale, out])?;
        }
        Ok(())
    }

    /// out ← [base +] a Σ of parts of `count` numbers each, [times scale]. The addresses are those of
    /// the parts, base, scale and out.
    fn fold(&self, count: usize, parts: usize, a: T, addresses: [u64; 4]) -> Result<(), CudaError> {
        let [from, base, scale, out] = addresses.map(Argument::Long);
        let rest = [word(parts), a.argument(), from, base, scale, out];
        self.pass(&self.kernels.fold, count, rest)
    }

    /// out ← scale ∘ out, of `count` numbers.
    fn scale(&self, count: usize, scale: u64, out: u64) -> Result<(), CudaError> {
        let rest = [scale, NONE, out].map(Argument::Long);
        self.pass(&self.kernels.scale_shift, count, rest)
    }

    /// out ← [out +] a Σ of `rows` rows of `dim` numbers at `x`.
    pub(crate) fn add_rows(
        &self,
        Shape { rows, dim }: Shape,
        a: T,
        x: u64,
        onto: Onto,
        out: u64,
    ) -> Result<(), CudaError> {
        let scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let (parts, chunk) = crate::product::cut_rows(rows, dim, scratch.len());
        let base = match onto {
            Onto::Nothing => NONE,
            Onto::Output => out,
            Onto::Base(base) => base,
        };
        let partial = launch::address(&scratch, &self.stream);
        let (factor, base_now, out_now) = match parts > 1 {
            true => (T::one(), NONE, partial),
            false => (a, base, out),
        };
        let arguments = [
            Argument::count(rows),
            word(dim),
            Argument::count(chunk),
            factor.argument(),
            Argument::Long(x),
            Argument::Long(base_now),
            Argument::Long(out_now),
        ];
        let grid = Grid {
            blocks: [dim.div_ceil(COLUMNS) as u32, parts as u32],
            threads: TILE_THREADS,
        };
        launch::launch(
            &self.stream,
            &self.kernels.sum_rows,
            grid,
            &[&arguments, &[]],
        )?;
        if parts > 1 {
            self.fold(dim, parts, a, [partial, base, NONE, out])?;
        }
        Ok(())
    }
}

/// Columns of a block of `sum_rows`.
const COLUMNS: usize = 32;

/// A block for every tile of every part.
pub(crate) fn tile_grid(cut: &Cut) -> Result<Grid, CudaError> {
    let tiles = i32::try_from(cut.tiles);
    fit(
        tiles.is_ok(),
        "a product",
        format_args!("{} tiles, more than a device counts", cut.tiles),
    )?;
    Ok(Grid {
        blocks: [tiles.unwrap_or(0) as u32, cut.parts as u32],
        threads: TILE_THREADS,
    })
}

/// Blocks of one warp for each of `rows` rows.
pub(crate) fn warp_grid(rows: usize) -> Grid {
    Grid {
        blocks: [crate::passes::blocks(rows.saturating_mul(32)), 1],
        threads: THREADS as u32,
    }
}
