//! faer's explicit inverse, on one thread like the backend's factorisations.

use detfree::Error;
use detfree::faer::Faer;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::lu::partial_pivoting::{factor, inverse};
use faer::perm::PermRef;
use faer::{MatMut, Par};

use crate::ordinary::InverseTransposed;

/// faer's own threads would bring in thirty crates.
const PAR: Par = Par::Seq;

/// LU, the inverses of both factors, and their product.
pub struct ByInverse {
    factors: Vec<f32>,
    permutation: [Vec<usize>; 2],
    memory: MemBuffer,
}

impl ByInverse {
    /// Memory for weights of `dim` × `dim`.
    #[must_use]
    pub fn new(dim: usize) -> Self {
        let lu = factor::lu_in_place_scratch::<usize, f32>(dim, dim, PAR, Default::default());
        let scratch = lu.or(inverse::inverse_scratch::<usize, f32>(dim, PAR));
        Self {
            factors: vec![0.0; dim * dim],
            permutation: [vec![0; dim], vec![0; dim]],
            memory: MemBuffer::new(scratch),
        }
    }
}

impl InverseTransposed<Faer<f32>> for ByInverse {
    fn of(
        &mut self,
        _: &Faer<f32>,
        weight: &detfree::faer::Batch<f32>,
        out: &mut detfree::faer::Batch<f32>,
    ) -> Result<(), Error<core::convert::Infallible>> {
        self.factors.copy_from_slice(weight.as_slice());
        let n = weight.shape().dim;
        // Read by columns, where faer is quickest, row-major W is Wᵀ. Its inverse goes out by rows.
        let mut lu = MatMut::from_column_major_slice_mut(&mut self.factors, n, n);
        let [forward, backward] = &mut self.permutation;
        let stack = MemStack::new(&mut self.memory);
        let _ = factor::lu_in_place(
            lu.as_mut(),
            forward,
            backward,
            PAR,
            stack,
            Default::default(),
        );
        let stack = MemStack::new(&mut self.memory);
        inverse::inverse(
            MatMut::from_row_major_slice_mut(out.as_mut_slice(), n, n),
            lu.as_ref(),
            lu.as_ref(),
            PermRef::new_checked(forward, backward, n),
            PAR,
            stack,
        );
        Ok(())
    }
}
