//! Wrong operators.

use std::convert::Infallible;
use std::ops::Range;

use detfree_core::{Matrix, Operator, Shape};
use detfree_testsuite::{Plain, adjoint, linearises};

use crate::assert_rejected;
use crate::host::{Batch, Host, batch};

/// An operator whose products are those of the inner one, or not.
struct Crooked {
    inner: Matrix<Batch>,
    how: How,
}

#[derive(Clone, Copy)]
enum How {
    /// jvp and vjp exchanged.
    Swapped,
    /// vjp is jvp.
    OneForBoth,
    /// Every product over all rows.
    AllRows,
}

impl Operator<Host> for Crooked {
    fn shape(&self, b: &Host) -> Shape {
        self.inner.shape(b)
    }

    fn jvp(
        &mut self,
        b: &Host,
        rows: Range<usize>,
        v: &Batch,
        out: &mut Batch,
    ) -> Result<(), Infallible> {
        match self.how {
            How::Swapped => self.inner.vjp(b, rows, v, out),
            How::OneForBoth => self.inner.jvp(b, rows, v, out),
            How::AllRows => self.inner.jvp(b, 0..out.shape().rows, v, out),
        }
    }

    fn vjp(
        &mut self,
        b: &Host,
        rows: Range<usize>,
        w: &Batch,
        out: &mut Batch,
    ) -> Result<(), Infallible> {
        match self.how {
            How::Swapped | How::OneForBoth => self.inner.jvp(b, rows, w, out),
            How::AllRows => self.inner.vjp(b, 0..out.shape().rows, w, out),
        }
    }
}

#[test]
fn operators() {
    let b = Host::new();
    let w = Plain::contraction(5, 0.9, 2);
    let crooked = |how| Crooked {
        inner: Matrix::new(&b, batch(&w), 4).unwrap(),
        how,
    };
    // A swap keeps every trace and the adjoint identity, and only the Jacobian tells.
    assert_eq!(adjoint(&b, &mut crooked(How::Swapped)), Ok(()));
    assert_rejected(
        linearises(&b, &mut crooked(How::Swapped), |_| w.clone(), 0.0),
        "J v",
    );
    assert_rejected(adjoint(&b, &mut crooked(How::OneForBoth)), "⟨w, J v⟩");
    assert_rejected(adjoint(&b, &mut crooked(How::AllRows)), "jvp of rows");
}
