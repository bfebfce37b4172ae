//! tr J of nets with one or two hidden layers, without a probe.

use detfree_core::{
    Affine, Allocate, Backend, BilinearGradient, DenseBackend, Error, Fill, FirstTrace, Op,
    Operator, Shape, Store,
};

use super::{Mlp, MlpGradient, MlpOperator};

/// What the closed form of the trace keeps of the weights; refreshed once per weight update.
///
/// | hidden layers | tr J_r | kept |
/// |---|---|---|
/// | one: J = W₂ D₁ W₁ | d1ᵀ κ | κ = diag(W₁ W₂) |
/// | two: J = W₃ D₂ W₂ D₁ W₁ | d2ᵀ M d1 | M = W₂ ∘ (W₁ W₃)ᵀ |
#[derive(Debug)]
pub struct TraceTape<B: Backend> {
    /// W₁ᵀ, [D, h₁].
    first_transposed: B::Batch,
    kept: Kept<B>,
}

#[derive(Debug)]
enum Kept<B: Backend> {
    One {
        /// κ, [1, h].
        diagonal: B::Batch,
        /// Scratch for dκ, [1, h].
        diagonal_gradient: B::Batch,
        /// Ones, [1, D].
        ones: B::Batch,
        /// Scratch, [D, h].
        product: B::Batch,
        /// Scratch for dW₁, [h, D].
        product_transposed: B::Batch,
    },
    Two {
        /// W₃ᵀ, [h₂, D].
        last_transposed: B::Batch,
        /// (W₁ W₃)ᵀ, [h₂, h₁].
        outer: B::Batch,
        /// M, [h₂, h₁].
        middle: B::Batch,
        /// Scratch for dM and P, [h₂, h₁].
        gradient: B::Batch,
    },
}

impl<B: DenseBackend + Allocate> TraceTape<B> {
    /// Memory for `net`, with [`Self::refresh`] already done.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless the net has one or two hidden layers and as many outputs as inputs;
    /// the device's.
    pub fn new(b: &B, net: &Mlp<B>) -> Result<Self, Error<B::Error>> {
        let widths = net.widths(b);
        let (dim, kept) = match *widths.as_slice() {
            [dim, hidden, out] if dim == out => {
                let mut ones = b.batch(Shape::new(1, dim))?;
                b.fill(Fill::Constant(1.0), &mut ones)?;
                let kept = Kept::One {
                    diagonal: b.batch(Shape::new(1, hidden))?,
                    diagonal_gradient: b.batch(Shape::new(1, hidden))?,
                    ones,
                    product: b.batch(Shape::new(dim, hidden))?,
                    product_transposed: b.batch(Shape::new(hidden, dim))?,
                };
                (dim, kept)
            }
            [dim, first, second, out] if dim == out => {
                let square = Shape::new(second, first);
                let kept = Kept::Two {
                    last_transposed: b.batch(Shape::new(second, dim))?,
                    outer: b.batch(square)?,
                    middle: b.batch(square)?,
                    gradient: b.batch(square)?,
                };
                (dim, kept)
            }
            _ => {
                return Err(Error::Invalid(
                    "a trace in closed form is that of a net with one or two hidden layers and as many \
                     outputs as inputs: take such a net, or an estimator that needs no exact trace",
                ));
            }
        };
        let hidden = widths.get(1).copied().unwrap_or(0);
        let mut tape = Self {
            first_transposed: b.batch(Shape::new(dim, hidden))?,
            kept,
        };
        tape.refresh(b, net)?;
        Ok(tape)
    }
}

impl<B: DenseBackend> TraceTape<B> {
    /// Recomputes what depends on the weights alone; to be called after they change.
    ///
    /// # Errors
    /// The device's.
    pub fn refresh(&mut self, b: &B, net: &Mlp<B>) -> Result<(), B::Error> {
        let (Some(first), Some(last)) = (net.layers.first(), net.layers.last()) else {
            return Ok(());
        };
        let dim = b.shape(&self.first_transposed).rows;
        b.transpose(&first.weight, &mut self.first_transposed)?;
        let first = &self.first_transposed;
        match &mut self.kept {
            Kept::One {
                diagonal, product, ..
            } => {
                b.hadamard(0..dim, first, &last.weight, Store::Set, product)?;
                b.sum_rows(0..dim, 1.0, product, Store::Set, diagonal)
            }
            Kept::Two {
                last_transposed,
                outer,
                middle,
                ..
            } => {
                let Some(Affine { weight, .. }) = net.layers.get(1) else {
                    return Ok(());
                };
                b.transpose(&last.weight, last_transposed)?;
                b.outer(0..dim, 1.0, &last.weight, first, Store::Set, outer)?;
                let rows = 0..b.shape(weight).rows;
                b.hadamard(rows, weight, outer, Store::Set, middle)
            }
        }
    }
}

impl<'a, B: DenseBackend> MlpOperator<'a, B> {
    /// The same operator with its trace in closed form.
    pub fn with_trace<'t>(self, trace: &'t mut TraceTape<B>) -> TracedMlp<'a, 't, B> {
        TracedMlp {
            operator: self,
            trace,
        }
    }
}

/// A linearised net with one or two hidden layers, and its trace in closed form.
pub struct TracedMlp<'a, 't, B: Backend> {
    operator: MlpOperator<'a, B>,
    trace: &'t mut TraceTape<B>,
}

impl<B: DenseBackend> Operator<B> for TracedMlp<'_, '_, B> {
    fn shape(&self, b: &B) -> Shape {
        self.operator.shape(b)
    }

    fn jvp(
        &mut self,
        b: &B,
        rows: core::ops::Range<usize>,
        v: &B::Batch,
        out: &mut B::Batch,
    ) -> Result<(), B::Error> {
        self.operator.jvp(b, rows, v, out)
    }

    fn vjp(
        &mut self,
        b: &B,
        rows: core::ops::Range<usize>,
        w: &B::Batch,
        out: &mut B::Batch,
    ) -> Result<(), B::Error> {
        self.operator.vjp(b, rows, w, out)
    }
}

impl<B: DenseBackend> BilinearGradient<B> for TracedMlp<'_, '_, B> {
    type Gradient = MlpGradient<B>;

    fn accumulate(
        &mut self,
        b: &B,
        s: &B::Batch,
        v: &B::Batch,
        gradient: &mut MlpGradient<B>,
    ) -> Result<(), B::Error> {
        self.operator.accumulate(b, s, v, gradient)
    }

    fn finish(&mut self, b: &B, gradient: &mut MlpGradient<B>) -> Result<(), B::Error> {
        self.operator.finish(b, gradient)
    }
}

impl<B: DenseBackend> FirstTrace<B> for TracedMlp<'_, '_, B> {
    fn trace(&mut self, b: &B, a: f64, out: &mut B::Rows) -> Result<(), B::Error> {
        let all = 0..self.operator.shape(b).rows;
        b.fill_rows(0.0, out)?;
        match (
            &mut self.trace.kept,
            self.operator.tape.hidden.as_mut_slice(),
        ) {
            (Kept::One { diagonal, .. }, [hidden]) => {
                let broadcast = &mut hidden.scratch;
                b.fill(Fill::Constant(0.0), broadcast)?;
                b.add_bias(diagonal, broadcast)?;
                b.dot_rows(all, a, &hidden.d1, broadcast, out)
            }
            (Kept::Two { middle, .. }, [first, second]) => {
                let product = &mut second.scratch;
                b.apply(
                    all.clone(),
                    middle,
                    Op::Plain,
                    &first.d1,
                    Store::Set,
                    product,
                )?;
                b.dot_rows(all, a, &second.d1, product, out)
            }
            _ => Ok(()),
        }
    }

    /// With two hidden layers: dM = Σ_r c_r d2 d1ᵀ, P = dM ∘ W₂; dW₂ += dM ∘ (W₁W₃)ᵀ,
    /// dW₁ += Pᵀ W₃ᵀ, dW₃ += W₁ᵀ Pᵀ; ∂/∂h₂ gains c_r σ''(h₂) ∘ M d1, ∂/∂h₁ c_r σ''(h₁) ∘ Mᵀ d2.
    fn accumulate_trace(
        &mut self,
        b: &B,
        weights: Option<&B::Rows>,
        gradient: &mut MlpGradient<B>,
    ) -> Result<(), B::Error> {
        gradient.settle(b)?;
        let all = 0..self.operator.shape(b).rows;
        let dim = b.shape(&self.trace.first_transposed).rows;
        let first_transposed = &self.trace.first_transposed;
        let net = self.operator.net;
        let weigh = |x: &mut B::Batch| weights.map_or(Ok(()), |c| b.scale_rows(c, x));
        let hidden = self.operator.tape.hidden.as_mut_slice();
        match (&mut self.trace.kept, hidden, gradient.layers.as_mut_slice()) {
            (
                Kept::One {
                    diagonal,
                    diagonal_gradient,
                    ones,
                    product,
                    product_transposed,
                },
                [hidden],
                [d_first, d_last],
            ) => {
                // dκ = Σ_r c_r d1_r; dW₂ += W₁ᵀ ∘ dκ, dW₁ᵀ += W₂ ∘ dκ with dκ in every row.
                let weighted = &mut hidden.scratch;
                b.copy(&hidden.d1, weighted)?;
                weigh(weighted)?;
                b.sum_rows(all.clone(), 1.0, weighted, Store::Set, diagonal_gradient)?;
                let last = net.layers.last().map(|layer| &layer.weight);
                b.outer(0..1, 1.0, ones, diagonal_gradient, Store::Set, product)?;
                b.hadamard(
                    0..dim,
                    first_transposed,
                    product,
                    Store::Add,
                    &mut d_last.weight,
                )?;
                if let Some(last) = last {
                    b.scale_shift(0..dim, last, None, product)?;
                }
                b.transpose(product, product_transposed)?;
                let width = 0..b.shape(product_transposed).rows;
                b.axpy(width, 1.0, product_transposed, &mut d_first.weight)?;

                let store = hidden.wait();
                let (through, d2, adjoint) = (&mut hidden.scratch, &hidden.d2, &mut hidden.adjoint);
                b.fill(Fill::Constant(0.0), through)?;
                b.add_bias(diagonal, through)?;
                weigh(through)?;
                b.hadamard(all, d2, through, store, adjoint)?;
            }
            (
                Kept::Two {
                    last_transposed,
                    outer,
                    middle,
                    gradient: scratch,
                },
                [first, second],
                [d_first, d_middle, d_last],
            ) => {
                let weighted = &mut second.scratch;
                b.copy(&second.d1, weighted)?;
                weigh(weighted)?;
                b.outer(all.clone(), 1.0, weighted, &first.d1, Store::Set, scratch)?;
                let rows = 0..b.shape(scratch).rows;
                b.hadamard(
                    rows.clone(),
                    scratch,
                    outer,
                    Store::Add,
                    &mut d_middle.weight,
                )?;
                if let Some(weight) = net.layers.get(1).map(|layer| &layer.weight) {
                    b.scale_shift(rows.clone(), weight, None, scratch)?;
                }
                b.outer(
                    rows,
                    1.0,
                    scratch,
                    last_transposed,
                    Store::Add,
                    &mut d_first.weight,
                )?;
                b.apply(
                    0..dim,
                    scratch,
                    Op::Plain,
                    first_transposed,
                    Store::Add,
                    &mut d_last.weight,
                )?;

                let store = first.wait();
                let (through, d2, adjoint) = (&mut first.scratch, &first.d2, &mut first.adjoint);
                let set = Store::Set;
                b.apply(all.clone(), middle, Op::Transposed, weighted, set, through)?;
                b.hadamard(all.clone(), d2, through, store, adjoint)?;
                let store = second.wait();
                let (through, d2, adjoint) = (&mut second.scratch, &second.d2, &mut second.adjoint);
                b.apply(all.clone(), middle, Op::Plain, &first.d1, set, through)?;
                weigh(through)?;
                b.hadamard(all, d2, through, store, adjoint)?;
            }
            _ => {}
        }
        Ok(())
    }
}
