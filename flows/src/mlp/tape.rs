//! A net linearised at a batch.

use alloc::vec::Vec;
use core::iter;
use core::ops::Range;

use detfree_core::{
    Affine, Allocate, Backend, BilinearGradient, DenseBackend, Error, Link, Op, Operator, Shape,
    Store,
};

use super::{Mlp, MlpGradient, add_outer};

/// The buffers of one hidden layer, each [rows, width].
#[derive(Debug)]
pub(super) struct Hidden<B: Backend> {
    /// h = W z + b
    h: B::Batch,
    /// Of the products.
    pub(super) scratch: B::Batch,
    /// z = σ(h)
    pub(super) z: B::Batch,
    /// σ'(h)
    pub(super) d1: B::Batch,
    /// σ''(h)
    pub(super) d2: B::Batch,
    /// The tangent before the activation, t = W u.
    pub(super) tangent: B::Batch,
    /// The tangent behind it, u = σ'(h) ∘ t.
    pub(super) pushed: B::Batch,
    /// The adjoint of h, as far as it does not come from the layers above.
    pub(super) adjoint: B::Batch,
    /// Whether `adjoint` holds something that waits for the backward pass.
    waiting: bool,
}

impl<B: Backend> Hidden<B> {
    /// How the next contribution to `adjoint` is stored; it then waits.
    pub(super) fn wait(&mut self) -> Store {
        if core::mem::replace(&mut self.waiting, true) {
            Store::Add
        } else {
            Store::Set
        }
    }
}

/// The memory in which a net is linearised, for batches of one number of rows.
#[derive(Debug)]
pub struct MlpTape<B: Backend> {
    pub(super) input: B::Batch,
    pub(super) hidden: Vec<Hidden<B>>,
    /// Scratch of the input's shape.
    pulled: B::Batch,
}

impl<B: DenseBackend + Allocate> MlpTape<B> {
    /// Memory for `net` at batches of `rows` rows.
    ///
    /// # Errors
    /// The device's.
    pub fn new(b: &B, net: &Mlp<B>, rows: usize) -> Result<Self, B::Error> {
        let widths = net.widths(b);
        let input = Shape::new(rows, widths.first().copied().unwrap_or(0));
        let mut hidden = Vec::new();
        for layer in net.layers.iter().rev().skip(1).rev() {
            let shape = Shape::new(rows, b.shape(&layer.weight).rows);
            hidden.push(Hidden {
                h: b.batch(shape)?,
                waiting: false,
                scratch: b.batch(shape)?,
                z: b.batch(shape)?,
                d1: b.batch(shape)?,
                d2: b.batch(shape)?,
                tangent: b.batch(shape)?,
                pushed: b.batch(shape)?,
                adjoint: b.batch(shape)?,
            });
        }
        Ok(Self {
            input: b.batch(input)?,
            hidden,
            pulled: b.batch(input)?,
        })
    }
}

impl<B: DenseBackend> MlpTape<B> {
    /// Linearises `net` at the rows of `x`, and gives g(x) too: out_r ← g(x_r).
    ///
    /// # Errors
    /// [`Error::Shape`] where `x` or `out` does not fit the net or the tape; the device's.
    pub fn linearise<'a>(
        &'a mut self,
        b: &B,
        net: &'a Mlp<B>,
        x: &B::Batch,
        out: &mut B::Batch,
    ) -> Result<MlpOperator<'a, B>, Error<B::Error>> {
        let rows = b.shape(&self.input).rows;
        Error::check_shape("the net's input", b.shape(&self.input), b.shape(x))?;
        b.copy(x, &mut self.input)?;
        let mut z = &self.input;
        let mut layers = net.layers.iter();
        let activations = net.activations.iter();
        for (hidden, &activation) in self.hidden.iter_mut().zip(activations) {
            let Some(layer) = layers.next() else { break };
            let h = &mut hidden.h;
            b.apply(0..rows, &layer.weight, Op::Plain, z, Store::Set, h)?;
            let (value, d1, d2) = (&mut hidden.z, &mut hidden.d1, &mut hidden.d2);
            b.bias_activate(activation, &layer.bias, h, value, d1, d2)?;
            hidden.waiting = false;
            z = &hidden.z;
        }
        if let Some(last) = layers.next() {
            let shape = Shape::new(rows, b.shape(&last.weight).rows);
            Error::check_shape("the net's output", shape, b.shape(out))?;
            b.apply(0..rows, &last.weight, Op::Plain, z, Store::Set, out)?;
            b.add_bias(&last.bias, out)?;
        }
        Ok(MlpOperator { net, tape: self })
    }
}

/// A net linearised at a batch: row r has the Jacobian of g at x_r.
pub struct MlpOperator<'a, B: Backend> {
    pub(super) net: &'a Mlp<B>,
    pub(super) tape: &'a mut MlpTape<B>,
}

impl<B: DenseBackend> Operator<B> for MlpOperator<'_, B> {
    fn shape(&self, b: &B) -> Shape {
        b.shape(&self.tape.input)
    }

    /// out = W_L D_{L−1} … D₁ W₁ v
    fn jvp(
        &mut self,
        b: &B,
        rows: Range<usize>,
        v: &B::Batch,
        out: &mut B::Batch,
    ) -> Result<(), B::Error> {
        let layers = self.net.layers.iter();
        let hidden = self.tape.hidden.iter_mut();
        b.chain(rows, v, links(Op::Plain, layers, hidden, out))
    }

    /// out = W₁ᵀ D₁ … D_{L−1} W_Lᵀ w
    fn vjp(
        &mut self,
        b: &B,
        rows: Range<usize>,
        w: &B::Batch,
        out: &mut B::Batch,
    ) -> Result<(), B::Error> {
        let layers = self.net.layers.iter().rev();
        let hidden = self.tape.hidden.iter_mut().rev();
        b.chain(rows, w, links(Op::Transposed, layers, hidden, out))
    }
}

/// The products with `layers`, each but the last behind a hidden layer's slopes and into its scratch.
fn links<'a, B: Backend + 'a>(
    op: Op,
    layers: impl Iterator<Item = &'a Affine<B::Batch>>,
    hidden: impl Iterator<Item = &'a mut Hidden<B>>,
    out: &'a mut B::Batch,
) -> impl Iterator<Item = Link<'a, B::Batch>> {
    let inner = hidden.map(|hidden| (Some(&hidden.d1), &mut hidden.scratch));
    let ends = inner.chain(iter::once((None, out)));
    layers.zip(ends).map(move |(layer, (scale, out))| Link {
        weight: &layer.weight,
        op,
        scale,
        out,
    })
}

impl<B: DenseBackend> BilinearGradient<B> for MlpOperator<'_, B> {
    type Gradient = MlpGradient<B>;

    /// With t_l, u_l the tangents of v and e_l = W_{l+1}ᵀ s_{l+1}, s_l = D_l e_l the adjoints of s:
    /// ∂/∂W_l gains s_l u_{l−1}ᵀ, and ∂/∂h_l gains σ''(h_l) ∘ t_l ∘ e_l, which waits for the backward
    /// pass of the net itself.
    fn accumulate(
        &mut self,
        b: &B,
        s: &B::Batch,
        v: &B::Batch,
        gradient: &mut MlpGradient<B>,
    ) -> Result<(), B::Error> {
        let all = 0..self.shape(b).rows;
        self.push(b, all.clone(), v)?;
        let mut above = s;
        let layers = self.net.layers.iter().rev();
        let sums = gradient.layers.iter_mut().zip(&mut gradient.cleared);
        let mut sums = sums.rev().zip(layers);
        for (hidden, ((sum, cleared), layer)) in self.tape.hidden.iter_mut().rev().zip(&mut sums) {
            let (factors, sum) = ([above, &hidden.pushed], (&mut sum.weight, cleared));
            add_outer(b, all.clone(), factors, sum)?;
            let (weight, e) = (&layer.weight, &mut hidden.scratch);
            b.apply(all.clone(), weight, Op::Transposed, above, Store::Set, e)?;
            let store = hidden.wait();
            let (e, tangent) = (&mut hidden.scratch, &mut hidden.tangent);
            b.scale_shift(all.clone(), &hidden.d2, None, tangent)?;
            b.hadamard(all.clone(), e, tangent, store, &mut hidden.adjoint)?;
            b.scale_shift(all.clone(), &hidden.d1, None, e)?;
            above = e;
        }
        if let Some(((first, cleared), _)) = sums.next() {
            add_outer(b, all, [above, v], (&mut first.weight, cleared))?;
        }
        Ok(())
    }

    /// The backward pass of the net: carries the adjoints that each h_l received directly on to
    /// the layers below, and adds all of them to the gradients of parameters and input.
    fn finish(&mut self, b: &B, gradient: &mut MlpGradient<B>) -> Result<(), B::Error> {
        let all = 0..b.shape(&self.tape.input).rows;
        let mut hidden = self.tape.hidden.as_mut_slice();
        let mut sharpness = gradient.sharpness.as_mut_slice();
        let sums = gradient.layers.iter_mut().zip(&mut gradient.cleared);
        let layers = self.net.layers.iter().zip(sums);
        for (layer, (sum, cleared)) in layers.rev().skip(1) {
            let (Some((here, below)), Some((derivatives, sharpness_below))) =
                (hidden.split_last_mut(), sharpness.split_last_mut())
            else {
                break;
            };
            if !core::mem::replace(&mut here.waiting, false) {
                break;
            }
            let p = &here.adjoint;
            if let Some(derivatives) = derivatives {
                b.dot_rows(all.clone(), 1.0, &here.h, p, derivatives)?;
            }
            b.sum_rows(all.clone(), 1.0, p, Store::Add, &mut sum.bias)?;
            let (weight, sum) = (&layer.weight, (&mut sum.weight, cleared));
            match (below.last_mut(), sharpness_below.last_mut()) {
                (Some(next), Some(derivatives)) => {
                    add_outer(b, all.clone(), [p, &next.z], sum)?;
                    next.pull(b, all.clone(), weight, p, derivatives.as_mut())?;
                }
                _ => {
                    add_outer(b, all.clone(), [p, &self.tape.input], sum)?;
                    let pulled = &mut self.tape.pulled;
                    b.apply(all.clone(), weight, Op::Transposed, p, Store::Set, pulled)?;
                    b.axpy(all.clone(), 1.0, pulled, &mut gradient.input)?;
                }
            }
            (hidden, sharpness) = (below, sharpness_below);
        }
        gradient.settle(b)
    }
}

impl<B: DenseBackend> Hidden<B> {
    /// Receives the adjoint Wᵀp of z from the layer above, whose weight is W.
    fn pull(
        &mut self,
        b: &B,
        rows: Range<usize>,
        weight: &B::Batch,
        p: &B::Batch,
        sharpness: Option<&mut B::Rows>,
    ) -> Result<(), B::Error> {
        let store = self.wait();
        let pulled = &mut self.scratch;
        b.apply(rows.clone(), weight, Op::Transposed, p, Store::Set, pulled)?;
        // Of σ(h) = f(βh)/β: β ∂σ/∂β = h σ' − σ, and β ∂σ'/∂β = h σ''. The parts with h are
        // those of the adjoint p of h, and are summed with it.
        if let Some(derivatives) = sharpness {
            b.dot_rows(rows.clone(), -1.0, &self.z, pulled, derivatives)?;
        }
        b.hadamard(rows, &self.d1, pulled, store, &mut self.adjoint)
    }
}

impl<B: DenseBackend> MlpOperator<'_, B> {
    /// gradient ← gradient + ∂/∂(θ,x) Σ_r δ_rᵀ g(x_r), with δ held fixed; complete after
    /// [`BilinearGradient::finish`].
    ///
    /// # Errors
    /// The device's.
    pub fn accumulate_output(
        &mut self,
        b: &B,
        delta: &B::Batch,
        gradient: &mut MlpGradient<B>,
    ) -> Result<(), B::Error> {
        let all = 0..self.shape(b).rows;
        let sums = gradient.layers.iter_mut().zip(&mut gradient.cleared);
        if let (Some(top), Some(last), Some((sum, cleared)), Some(sharpness)) = (
            self.tape.hidden.last_mut(),
            self.net.layers.last(),
            sums.last(),
            gradient.sharpness.last_mut(),
        ) {
            let (weight, bias) = (&last.weight, &mut sum.bias);
            let sum = (&mut sum.weight, cleared);
            add_outer(b, all.clone(), [delta, &top.z], sum)?;
            b.sum_rows(all.clone(), 1.0, delta, Store::Add, bias)?;
            top.pull(b, all, weight, delta, sharpness.as_mut())?;
        }
        Ok(())
    }

    /// The tangents of v in every hidden layer.
    fn push(&mut self, b: &B, rows: Range<usize>, v: &B::Batch) -> Result<(), B::Error> {
        let mut from = v;
        for (hidden, layer) in self.tape.hidden.iter_mut().zip(&self.net.layers) {
            let (tangent, pushed) = (&mut hidden.tangent, &mut hidden.pushed);
            let (all, weight) = (rows.clone(), &layer.weight);
            b.apply(all, weight, Op::Plain, from, Store::Set, tangent)?;
            b.hadamard(rows.clone(), &hidden.d1, tangent, Store::Set, pushed)?;
            from = pushed;
        }
        Ok(())
    }
}
