//! Fills: bit for bit what [`Key`] says, but normals to a few units in the last place.

use detfree_core::{Allocate, Fill, Key, Scalar, Shape};

use crate::failure::{Computed, near};
use crate::operands::{SHAPES, dirty, read};
use crate::{Outcome, Plain};

const EXACT: f64 = 0.0;
const KEY: Key = Key::new(11);
/// Beyond 32 bits, where a device that counts rows in them starts over.
const FIRST_ROW: u64 = (1 << 33) - 2;
const SCALE: f64 = 0.3;

fn filled<B: Allocate>(b: &B, what: Fill, shape: Shape) -> Computed<B, Plain> {
    let mut x = dirty(b, shape)?;
    b.fill(what, &mut x)?;
    read(b, &x)
}

fn check<B: Allocate>(b: &B, what: Fill, tolerance: f64, at: impl Fn(u64, u32) -> f64) -> Outcome {
    for shape in SHAPES {
        let want = Plain::new(shape.rows, shape.dim, |r, c| at(r as u64, c as u32));
        let got = filled(b, what, shape)?;
        let want = want.rounded::<B::Scalar>();
        near(format!("{what:?} {shape:?}"), &got, &want, tolerance)?;
    }
    Ok(())
}

pub(crate) fn constants<B: Allocate>(b: &B) -> Outcome {
    for x in [0.1, -0.1, 0.0] {
        check(b, Fill::Constant(x), EXACT, |_, _| x)?;
    }
    Ok(())
}

pub(crate) fn unit_vectors<B: Allocate>(b: &B) -> Outcome {
    let one_where = |holds: bool| f64::from(u8::from(holds));
    check(b, Fill::Identity, EXACT, |r, c| {
        one_where(r == u64::from(c))
    })?;
    for column in [0, 3, 32] {
        check(b, Fill::Basis(column), EXACT, |_, c| {
            one_where(c as usize == column)
        })?;
    }
    Ok(())
}

pub(crate) fn signs<B: Allocate>(b: &B) -> Outcome {
    for first_row in [0, FIRST_ROW] {
        let fill = Fill::Rademacher {
            key: KEY,
            first_row,
            scale: SCALE,
        };
        check(b, fill, EXACT, |r, c| {
            SCALE * f64::from(KEY.sign(first_row + r, c))
        })?;
    }
    Ok(())
}

pub(crate) fn walsh<B: Allocate>(b: &B) -> Outcome {
    for index in [0, 5, 77, 333] {
        let fill = Fill::Walsh {
            key: KEY,
            first_row: FIRST_ROW,
            index,
            scale: SCALE,
        };
        check(b, fill, EXACT, |r, c| {
            let sign = f64::from(KEY.sign(FIRST_ROW + r, c));
            let walsh = 1 - 2 * ((index & c).count_ones() & 1) as i8;
            SCALE * sign * f64::from(walsh)
        })?;
    }
    Ok(())
}

/// Normals are computed in `f64` whatever the data type, and another library's logarithm and
/// cosine are a few ulp off.
pub(crate) fn normals<B: Allocate>(b: &B) -> Outcome {
    for first_row in [0, FIRST_ROW] {
        let fill = Fill::Gaussian {
            key: KEY,
            first_row,
            scale: SCALE,
        };
        let tolerance = 4.0 * B::Scalar::EPSILON;
        check(b, fill, tolerance, |r, c| {
            SCALE * KEY.normal(first_row + r, c)
        })?;
    }
    Ok(())
}
