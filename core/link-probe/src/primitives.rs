//! Every primitive of the reference backend on shapes and row ranges that nobody has checked: a
//! broken contract may give any numbers, but no panic.

use detfree_core::{
    Activation, Adam, Backend, BaseDensity, DenseBackend, Fill, FlowBackend, Key, Op, Scalar, Store,
};

use crate::{Host, batch, normal, rows};

/// Two shapes and a row range, none of which need fit the others.
#[repr(C)]
pub struct Operands {
    rows: [usize; 2],
    dims: [usize; 2],
    start: usize,
    end: usize,
    fill: u32,
    seed: u64,
}

#[unsafe(no_mangle)]
extern "C" fn detfree_primitives_f32(operands: &Operands) -> f64 {
    primitives::<f32>(operands).unwrap_or(f64::NAN)
}

#[unsafe(no_mangle)]
extern "C" fn detfree_primitives_f64(operands: &Operands) -> f64 {
    primitives::<f64>(operands).unwrap_or(f64::NAN)
}

/// A sum over what the primitives left; NaN where a shape does not fit the storage.
fn primitives<T: Scalar>(operands: &Operands) -> Option<f64> {
    let &Operands {
        rows: [rows_x, rows_y],
        dims: [dim_x, dim_y],
        start,
        end,
        fill,
        seed,
    } = operands;
    let b = Host::<T>::new();
    let key = Key::new(seed);
    let range = || start..end;
    let mut x = normal::<T>(rows_x, dim_x, key.fold_in(0), 1.0)?;
    let mut y = normal::<T>(rows_y, dim_y, key.fold_in(1), 1.0)?;
    let mut z = normal::<T>(rows_y, dim_x, key.fold_in(2), 1.0)?;
    let mut w = batch::<T>(rows_x, dim_y)?;
    let (mut log, mut host) = (rows(rows_y)?, [0.0; 8]);

    b.fill(what(fill, key, seed), &mut x).ok()?;
    b.copy(&x, &mut w).ok()?;
    b.axpy(range(), 0.5, &x, &mut y).ok()?;
    b.dot_rows(range(), 0.5, &x, &y, &mut log).ok()?;
    b.scale_rows(&log, &mut z).ok()?;
    b.upload(y.row(start), &mut x).ok()?;
    b.download(&z, y.row_mut(end)).ok()?;
    b.download_rows(&log, &mut host).ok()?;
    b.upload_rows(&host, &mut log).ok()?;

    for op in [Op::Plain, Op::Transposed] {
        b.apply(range(), &x, op, &y, Store::Add, &mut z).ok()?;
        b.solve(&mut w, op, &mut y).ok()?;
    }
    b.outer(range(), 0.5, &x, &y, Store::Set, &mut z).ok()?;
    b.sum_rows(range(), 0.5, &z, Store::Set, &mut y).ok()?;
    b.hadamard(range(), &x, &y, Store::Add, &mut z).ok()?;
    b.scale_shift(range(), &x, Some(&y), &mut z).ok()?;
    b.add_bias(&x, &mut z).ok()?;
    b.transpose(&x, &mut w).ok()?;
    let (sign, size) = b.log_abs_det(&mut w).ok()?;
    let definite = b.is_positive_definite(&mut w).ok()?;

    let sigma = Activation::LeakySoftplus { alpha: 0.3 };
    b.bias_activate(sigma, &x.clone(), &mut x, &mut y, &mut z, &mut w)
        .ok()?;
    b.bijection(
        sigma,
        &y.clone(),
        &mut x,
        &mut y,
        &mut z,
        &mut w,
        Some(&mut log),
    )
    .ok()?;
    b.inverse_bijection(sigma, &x, &mut z).ok()?;
    b.base_density(BaseDensity::Logistic, &x, &mut y, &mut log)
        .ok()?;
    b.adam(&Adam::new(1e-3, seed), &x, &mut y, &mut z, &mut w)
        .ok()?;

    let batches = [x, y, z, w];
    let entries = batches.iter().flat_map(|x| x.as_slice());
    let sum: f64 = entries.map(|x| x.to_f64()).sum();
    let logs: f64 = log.as_slice().iter().sum();
    Some(sum + logs + sign + size + f64::from(u8::from(definite)))
}

fn what(kind: u32, key: Key, seed: u64) -> Fill {
    let (first_row, scale) = (seed, 0.5);
    match kind {
        0 => Fill::Constant(scale),
        1 => Fill::Identity,
        2 => Fill::Basis(seed as usize),
        3 => Fill::Rademacher {
            key,
            first_row,
            scale,
        },
        4 => Fill::Gaussian {
            key,
            first_row,
            scale,
        },
        _ => Fill::Walsh {
            key,
            first_row,
            index: kind,
            scale,
        },
    }
}
