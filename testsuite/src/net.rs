//! Nets on the host: their Jacobians, and exact log-determinants with their gradients.

use detfree_core::{Activation, Affine, Backend};
use detfree_flows::mlp::{Mlp, MlpGradient};

use crate::Plain;
use crate::failure::Computed;
use crate::operands::read;

/// The numbers of an [`Mlp`], in `f64`.
#[derive(Clone, Debug)]
pub(crate) struct Net {
    layers: Vec<Affine<Plain>>,
    activation: Activation,
}

/// A gradient with respect to every weight and bias, layer by layer, and to the rows' inputs.
#[derive(Clone, Debug)]
pub(crate) struct NetGradient {
    pub(crate) layers: Vec<Affine<Plain>>,
    pub(crate) input: Plain,
}

impl NetGradient {
    pub(crate) fn read<B: Backend>(b: &B, gradient: &MlpGradient<B>) -> Computed<B, Self> {
        Ok(Self {
            layers: read_layers(b, &gradient.layers)?,
            input: read(b, &gradient.input)?,
        })
    }
}

fn read_layers<B: Backend>(b: &B, layers: &[Affine<B::Batch>]) -> Computed<B, Vec<Affine<Plain>>> {
    let read = |layer: &Affine<B::Batch>| {
        Ok(Affine {
            weight: read(b, &layer.weight)?,
            bias: read(b, &layer.bias)?,
        })
    };
    layers.iter().map(read).collect()
}

/// The step of the differences.
const STEP: f64 = 1e-3;

/// How good the differences are: h⁴/30 times a fifth derivative of up to 100, and ε/h times some
/// roundings of numbers of order 1.
pub(crate) const DIFFERENCES: f64 = 1e-11;

impl Net {
    /// What a backend holds.
    pub(crate) fn read<B: Backend>(
        b: &B,
        net: &Mlp<B>,
        activation: Activation,
    ) -> Computed<B, Self> {
        let layers = read_layers(b, net.layers())?;
        Ok(Self { layers, activation })
    }

    /// g(x), and J = W_L D_{L−1} W_{L−1} … D₁ W₁ with D_l = diag σ'(h_l), for one row x.
    pub(crate) fn linearised(&self, x: &Plain) -> (Plain, Plain) {
        let mut z = x.clone();
        let mut jacobian = Plain::identity(x.shape().dim);
        for (l, Affine { weight, bias }) in self.layers.iter().enumerate() {
            z = z.times(&weight.t()).plus(1.0, bias);
            jacobian = weight.times(&jacobian);
            if l + 1 < self.layers.len() {
                let h = z.clone();
                let (mut d1, mut d2) = (h.clone(), h.clone());
                let (value, slope) = (z.as_mut_slice(), d1.as_mut_slice());
                self.activation
                    .jets(h.as_slice(), value, slope, d2.as_mut_slice());
                let shape = jacobian.shape();
                jacobian = Plain::new(shape.rows, shape.dim, |i, j| {
                    d1.at(0, i) * jacobian.at(i, j)
                });
            }
        }
        (z, jacobian)
    }

    /// log det(I + J) at one row.
    pub(crate) fn log_det(&self, x: &Plain) -> f64 {
        let (_, jacobian) = self.linearised(x);
        let one_plus = Plain::identity(x.shape().dim).plus(1.0, &jacobian);
        one_plus.invert().1
    }

    /// ∂ Σ_r c_r log det(I + J_r), by differences of fourth order.
    pub(crate) fn gradient(&self, x: &Plain, c: &[f64]) -> NetGradient {
        let sum = |net: &Self| -> f64 {
            let rows = c.iter().enumerate();
            rows.map(|(r, c)| c * net.log_det(&x.one_row(r))).sum()
        };
        let weighted = |select: fn(&mut Affine<Plain>) -> &mut Plain, l: usize| {
            let at = |i: usize, by: f64| {
                let mut shifted = self.clone();
                select(&mut shifted.layers[l]).as_mut_slice()[i] += by;
                sum(&shifted)
            };
            let shape = select(&mut self.layers[l].clone()).shape();
            let slopes = (0..shape.rows * shape.dim).map(|i| slope(|by| at(i, by)));
            Plain::from_vec(shape, slopes.collect())
        };
        let layers = (0..self.layers.len()).map(|l| Affine {
            weight: weighted(|layer| &mut layer.weight, l),
            bias: weighted(|layer| &mut layer.bias, l),
        });
        let input = Plain::new(x.shape().rows, x.shape().dim, |r, j| {
            slope(|by| {
                let mut row = x.one_row(r);
                row.as_mut_slice()[j] += by;
                c[r] * self.log_det(&row)
            })
        });
        NetGradient {
            layers: layers.collect(),
            input,
        }
    }
}

/// f'(0), with an error of h⁴ f⁽⁵⁾/30.
fn slope(f: impl Fn(f64) -> f64) -> f64 {
    let difference = |h: f64| (f(h) - f(-h)) / (2.0 * h);
    (4.0 * difference(STEP) - difference(2.0 * STEP)) / 3.0
}

#[cfg(test)]
mod tests {
    use detfree_core::reference::Heap;
    use detfree_core::{Key, Shape};

    use super::*;

    fn net() -> Net {
        let (b, tanh) = (Heap::<f64>::new(), Activation::Tanh);
        let net = Mlp::random(&b, &[3, 5, 4, 3], tanh, 0.5, Key::new(3)).unwrap();
        Net::read(&b, &net, tanh).unwrap()
    }

    #[test]
    fn the_jacobian_is_that_of_the_map() {
        let (net, x) = (net(), Plain::normal(Key::new(4), 1, 3));
        let (_, jacobian) = net.linearised(&x);
        for i in 0..3 {
            for j in 0..3 {
                let map = |by: f64| {
                    let mut x = x.clone();
                    x.as_mut_slice()[j] += by;
                    net.linearised(&x).0.at(0, i)
                };
                assert!((slope(map) - jacobian.at(i, j)).abs() < DIFFERENCES);
            }
        }
    }

    /// g(x) = −½ W x has log det(I + J) = log det(I − ½W), whose gradient is −½ (I − ½W)⁻ᵀ.
    #[test]
    fn the_gradient_of_a_linear_map_is_an_inverse() {
        let weight = Plain::contraction(3, 0.8, 5);
        let half = Affine {
            weight: Plain::identity(3).scaled(-0.5),
            bias: Plain::filled(Shape::new(1, 3), 0.0),
        };
        let first = Affine {
            weight: weight.clone(),
            ..half.clone()
        };
        let net = Net {
            layers: vec![first, half],
            activation: Activation::Identity,
        };
        let gradient = net.gradient(&Plain::normal(Key::new(4), 2, 3), &[0.5, -1.5]);
        let (_, _, inverse) = Plain::identity(3).plus(-0.5, &weight).invert();
        let exact = inverse.t().scaled(-0.5 * (0.5 - 1.5));
        let error = exact.plus(-1.0, &gradient.layers[0].weight).squared_norm();
        assert!(error.sqrt() < DIFFERENCES, "{error:e}");
        assert!(gradient.input.squared_norm() == 0.0);
    }
}
