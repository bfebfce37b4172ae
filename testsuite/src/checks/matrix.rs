//! The operator of one explicit matrix, with the backend's products.

use detfree_core::{Allocate, DenseBackend, Matrix};

use crate::operands::batch;
use crate::{Outcome, Plain, adjoint, linearises};

pub(crate) fn products<B: DenseBackend + Allocate>(b: &B) -> Outcome {
    for (rows, dim) in [(1, 1), (1, 5), (3, 17), (33, 8), (7, 130)] {
        let w = Plain::contraction(dim, 0.9, dim as u64).rounded::<B::Scalar>();
        let mut op = Matrix::new(b, batch(b, &w)?, rows)?;
        adjoint(b, &mut op)?;
        linearises(b, &mut op, |_| w.clone(), 0.0)?;
    }
    Ok(())
}
