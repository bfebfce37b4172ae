//! One round trip x → z → x, checked and unchecked, on the reference backend.

use detfree_core::reference::Heap;
use detfree_core::{
    Activation, BaseDensity, Dense, DenseBackend, FlowBackend, Key, Op, Scalar, Shape, Store,
};
use detfree_flows::relative::{Conditioning, InversionError, RelativeFlow};

use crate::{Layers, normals};

pub(crate) type Batch<T> = Dense<Vec<T>>;

pub(crate) fn batch<T: Scalar>(dim: usize, values: &[f64]) -> Batch<T> {
    let shape = Shape::new(values.len() / dim, dim);
    Dense::new(shape, values.iter().map(|&x| T::from_f64(x)).collect()).unwrap()
}

pub(crate) fn flow<T: Scalar>(
    dim: usize,
    host: &Layers,
    activation: Activation,
) -> RelativeFlow<Heap<T>> {
    RelativeFlow::from_layers(&Heap::new(), dim, host, activation, BaseDensity::Normal).unwrap()
}

/// Random layers as a flow starts with, moved by normals of standard deviation `jitter`/√D.
pub(crate) fn random(
    dim: usize,
    depth: usize,
    activation: Activation,
    jitter: f64,
    seed: u64,
) -> Layers {
    let b = Heap::<f64>::new();
    let (base, key) = (BaseDensity::Normal, Key::new(seed));
    let flow = RelativeFlow::random(&b, dim, depth, activation, base, key).unwrap();
    let mut host = flow.to_layers(&b).unwrap();
    for (l, layer) in host.iter_mut().enumerate() {
        let noise = normals(dim * dim, 1000 * seed + l as u64);
        for (w, n) in layer.weight.iter_mut().zip(noise) {
            *w += jitter / (dim as f64).sqrt() * n;
        }
    }
    host
}

/// The activation behind layer l.
fn behind<T: Scalar>(flow: &RelativeFlow<Heap<T>>, l: usize) -> Activation {
    if l + 1 == flow.depth() {
        Activation::Identity
    } else {
        flow.activation()
    }
}

/// f(x), every layer in data type T.
fn forward<T: Scalar>(flow: &RelativeFlow<Heap<T>>, x: &Batch<T>) -> Batch<T> {
    let b = Heap::<T>::new();
    let mut z = x.clone();
    let [mut y, mut d1, mut d2] = [(); 3].map(|()| x.clone());
    for (l, layer) in flow.to_layers(&b).unwrap().iter().enumerate() {
        let (weight, bias) = (
            batch(x.shape().dim, &layer.weight),
            batch(x.shape().dim, &layer.bias),
        );
        b.apply(
            0..x.shape().rows,
            &weight,
            Op::Plain,
            &z,
            Store::Set,
            &mut y,
        )
        .unwrap();
        b.bias_activate(behind(flow, l), &bias, &mut y, &mut z, &mut d1, &mut d2)
            .unwrap();
    }
    z
}

/// The layers undone one by one, and nothing checked.
pub(crate) fn backward<T: Scalar>(flow: &RelativeFlow<Heap<T>>, z: &Batch<T>) -> Batch<T> {
    let b = Heap::<T>::new();
    let mut x = z.clone();
    for (l, layer) in flow.to_layers(&b).unwrap().iter().enumerate().rev() {
        let (mut weight, bias) = (
            batch(z.shape().dim, &layer.weight),
            batch(z.shape().dim, &layer.bias),
        );
        b.inverse_bijection(behind(flow, l), &bias, &mut x).unwrap();
        b.solve(&mut weight, Op::Plain, &mut x).unwrap();
    }
    x
}

fn norm(x: impl Iterator<Item = f64>) -> f64 {
    x.map(|x| x * x).sum::<f64>().sqrt()
}

/// max_r ‖x̂_r − x_r‖/max(‖x_r‖, s), s the root mean square of all ‖x_r‖.
fn error<T: Scalar>(x: &Batch<T>, back: &Batch<T>) -> f64 {
    let all = x.as_slice().iter().map(|x| x.to_f64());
    let typical = norm(all) / (x.shape().rows as f64).sqrt();
    let mut worst = 0.0;
    for r in 0..x.shape().rows {
        let size = norm(x.row(r).iter().map(|x| x.to_f64())).max(typical);
        let pairs = x.row(r).iter().zip(back.row(r));
        let relative = norm(pairs.map(|(x, y)| y.to_f64() - x.to_f64())) / size;
        if relative > worst || relative.is_nan() {
            worst = relative;
        }
    }
    worst
}

pub(crate) struct Trip {
    /// Of an unchecked inversion.
    pub(crate) error: f64,
    pub(crate) found: Conditioning,
    pub(crate) accepted: bool,
}

/// What becomes of rows x; and that they are inverted where they are accepted, and left where they
/// are not.
pub(crate) fn trip<T: Scalar>(flow: &RelativeFlow<Heap<T>>, x: &Batch<T>) -> Trip {
    let z = forward(flow, x);
    let unchecked = backward(flow, &z);
    let mut back = z.clone();
    let (found, accepted) = match flow.invert(&Heap::new(), &mut back) {
        Ok(found) => {
            assert!(found.error <= tolerance::<T>());
            assert_eq!(back.as_slice(), unchecked.as_slice());
            (found, true)
        }
        Err(InversionError::IllConditioned {
            conditioning,
            tolerance: promised,
        }) => {
            assert_eq!(promised, tolerance::<T>());
            assert!(conditioning.error > promised);
            assert_eq!(back.as_slice(), z.as_slice());
            (conditioning, false)
        }
        Err(error) => panic!("{error}"),
    };
    Trip {
        error: error(x, &unchecked),
        found,
        accepted,
    }
}

pub(crate) fn tolerance<T: Scalar>() -> f64 {
    if T::EPSILON < 1e-10 { 1e-10 } else { 1e-3 }
}
