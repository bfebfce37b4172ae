//! The leading singular vectors of a weight, followed while it is trained.

use alloc::vec::Vec;

use detfree_core::{Allocate, Backend, DenseBackend, Fill, Key, Op, Scalar, Shape, Store};

/// How many are followed. A training step moves a few singular values beyond a limit at once.
const FOLLOWED: usize = 8;

/// Subtracting all of a singular value σ but `limit` leaves rounding of εσ, beside which `limit` shall be this
/// large.
const DIGITS: f64 = 1000.0;

/// A subspace iteration (Golub and Van Loan 2013, section 8.2.4), one round a step.
pub(super) struct Leading<B: Backend> {
    /// Orthonormal rows, [k, in].
    pub(super) vectors: B::Batch,
    /// W times each, [k, out].
    images: B::Batch,
    squares: B::Rows,
    staging: Vec<B::Scalar>,
    basis: Vec<f64>,
    lengths: Vec<f64>,
    dim: usize,
}

impl<B: DenseBackend + Allocate> Leading<B> {
    pub(super) fn new(b: &B, shape: Shape) -> Result<Self, B::Error> {
        let count = FOLLOWED.min(shape.rows).min(shape.dim);
        let mut vectors = b.batch(Shape::new(count, shape.dim))?;
        let normal = Fill::Gaussian {
            key: Key::new(0),
            first_row: 0,
            scale: 1.0,
        };
        b.fill(normal, &mut vectors)?;
        Ok(Self {
            vectors,
            images: b.batch(Shape::new(count, shape.rows))?,
            squares: b.rows(count)?,
            staging: alloc::vec![B::Scalar::default(); count * shape.dim],
            basis: alloc::vec![0.0; count * shape.dim],
            lengths: alloc::vec![0.0; count],
            dim: shape.dim,
        })
    }
}

impl<B: DenseBackend> Leading<B> {
    /// Shortens W along every followed vector whose image is longer than `limit`:
    /// W ← W (I − Σ_i f_i v_i v_iᵀ) with 1 − f_i = limit/‖W v_i‖. The other directions keep what they
    /// have, where scaling W would take from all of them. No norm grows, whatever the vectors are.
    ///
    /// Returns whether every followed vector was too long: others that are not followed then are, too. Leaves W
    /// as it is, and returns nothing, where one is so long that it would be lost in rounding.
    pub(super) fn shrink(
        &mut self,
        b: &B,
        weight: &mut B::Batch,
        limit: f64,
    ) -> Result<Option<bool>, B::Error> {
        let all = 0..self.lengths.len();
        let (vectors, images) = (&mut self.vectors, &mut self.images);
        b.apply(all.clone(), weight, Op::Plain, vectors, Store::Set, images)?;
        b.apply(
            all.clone(),
            weight,
            Op::Transposed,
            images,
            Store::Set,
            vectors,
        )?;
        self.orthonormalise(b)?;
        let (vectors, images) = (&self.vectors, &mut self.images);
        b.apply(all.clone(), weight, Op::Plain, vectors, Store::Set, images)?;
        b.fill_rows(0.0, &mut self.squares)?;
        b.dot_rows(all.clone(), 1.0, images, images, &mut self.squares)?;
        b.download_rows(&self.squares, &mut self.lengths)?;
        let mut longer = false;
        for length in &mut self.lengths {
            let norm = libm::sqrt(*length);
            if norm * B::Scalar::EPSILON * DIGITS > limit {
                return Ok(None);
            }
            *length = if norm > limit {
                limit / norm - 1.0
            } else {
                0.0
            };
            longer |= *length < 0.0;
        }
        if longer {
            b.upload_rows(&self.lengths, &mut self.squares)?;
            b.scale_rows(&self.squares, images)?;
            b.outer(all, 1.0, images, vectors, Store::Add, weight)?;
        }
        Ok(Some(self.lengths.iter().all(|&factor| factor < 0.0)))
    }

    /// By Gram and Schmidt, twice for what the first round leaves; a vector that vanishes, or is lost,
    /// starts anew.
    fn orthonormalise(&mut self, b: &B) -> Result<(), B::Error> {
        let dim = self.dim.max(1);
        b.download(&self.vectors, &mut self.staging)?;
        for (to, from) in self.basis.iter_mut().zip(&self.staging) {
            *to = from.to_f64();
        }
        for i in 0..self.lengths.len() {
            let Some((before, rest)) = self.basis.split_at_mut_checked(i * dim) else {
                break;
            };
            let Some(x) = rest.get_mut(..dim) else { break };
            let scale = length(x);
            if !(scale > 0.0 && scale.is_finite()) {
                for (j, x) in x.iter_mut().enumerate() {
                    *x = Key::new(1).normal(i as u64, j as u32);
                }
            }
            for _ in 0..2 {
                for y in before.chunks_exact(dim) {
                    let product: f64 = x.iter().zip(y).map(|(x, y)| x * y).sum();
                    x.iter_mut().zip(y).for_each(|(x, y)| *x -= product * y);
                }
                let length = length(x);
                if length > 0.0 {
                    x.iter_mut().for_each(|x| *x /= length);
                }
            }
        }
        for (to, &from) in self.staging.iter_mut().zip(&self.basis) {
            *to = Scalar::from_f64(from);
        }
        b.upload(&self.staging, &mut self.vectors)
    }
}

fn length(x: &[f64]) -> f64 {
    libm::sqrt(x.iter().map(|x| x * x).sum())
}
