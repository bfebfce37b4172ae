//! log|det W| and W⁻¹ as they follow training, against LU.

use detfree_core::{
    Affine, Allocate, DenseBackend, Error, Key, RelativeGradient, Scalar, Shape, Side,
};

use crate::failure::near;
use crate::layer::{forward, random_layer, upload};
use crate::operands::{batch, read, store};
use crate::{Failure, Outcome, Plain};

/// What a run of guarded training leaves: the layer, the tracked W⁻¹ and log|det W|.
struct Track {
    weight: Plain,
    inverse: Plain,
    log_det: f64,
}

/// Fits one layer with the hyperbolic-secant base to fresh batches of mixed sources.
fn train<B: DenseBackend + Allocate, G: RelativeGradient<B>>(
    b: &B,
    mut tangent: G,
    side: Side,
    [rows, dim]: [usize; 2],
    (mu, steps): (f64, u32),
) -> Result<Track, Failure> {
    let key = Key::new(0x7ac).fold_in((1000 * rows + dim) as u64);
    let mixing = Plain::well_conditioned(key.fold_in(1), dim);
    let start = random_layer::<B::Scalar>(key.fold_in(2), dim);
    let (_, mut log_det, inverse) = start.weight.invert();
    let mut layer = upload(b, &start)?;
    let mut inverse = batch(b, &inverse)?;
    let of_rows = Plain::dirty(Shape::new(rows, dim));
    let (mut delta, mut anchor) = (batch(b, &of_rows)?, batch(b, &of_rows)?);
    for step in 0..u64::from(steps) {
        let z = Plain::normal(key.fold_in(3).fold_in(step), rows, dim)
            .map(|s| 0.6 * s * s.abs())
            .times(&mixing)
            .map(|z| z + 0.5);
        let at = Affine {
            weight: read(b, &layer.weight)?,
            bias: read(b, &layer.bias)?,
        };
        let y = forward(&at, &z);
        let anchored = if side == Side::Plain { &y } else { &z };
        store(b, &y.map(|y| -y.tanh()), &mut delta).map_err(Error::Device)?;
        store(b, anchored, &mut anchor).map_err(Error::Device)?;
        tangent.linearise(b, side, &layer, &delta, &anchor)?;
        let guarded = tangent
            .guard(b, mu)?
            .ok_or_else(|| Failure::new(format!("step {step} finds no clear step")))?;
        tangent.step(b, guarded.mu, &mut layer, Some(&mut inverse))?;
        log_det += guarded.log_det_change;
    }
    Ok(Track {
        weight: read(b, &layer.weight)?,
        inverse: read(b, &inverse)?,
        log_det,
    })
}

/// Passes where log|det W| and W⁻¹ follow `steps` guarded steps of training, as explicit
/// determinants and inverses say, with fewer and more rows than dimensions. `tangent` makes a
/// relative gradient for rows and dimensions.
///
/// To 50 ε of the data type and half an ε a step, in nats and in elements of W⁻¹ W: runs of 100 to
/// 2,000 steps on the reference backend leave up to 40 ε and 0.27 ε a step.
///
/// ```
/// use detfree_core::{DenseRelative, Side, reference::Heap};
/// use detfree_testsuite::relative_tracking;
/// let b = Heap::<f64>::new();
/// let tangent = |rows, dim| Ok(DenseRelative::allocate(&b, rows, dim)?);
/// relative_tracking(&b, Side::Plain, 400, tangent).unwrap();
/// ```
///
/// # Errors
/// Which of the two, in which shape, and by how much.
pub fn relative_tracking<B: DenseBackend + Allocate, G: RelativeGradient<B>>(
    b: &B,
    side: Side,
    steps: u32,
    mut tangent: impl FnMut(usize, usize) -> Result<G, Failure>,
) -> Outcome {
    let tolerance = (50.0 + 0.5 * f64::from(steps)) * B::Scalar::EPSILON;
    for (shape, mu) in [
        ([1, 1], 0.05),
        ([1, 6], 0.01),
        ([4, 17], 0.02),
        ([17, 17], 0.05),
        ([40, 17], 0.1),
    ] {
        let [rows, dim] = shape;
        let case = format!("{side:?}, {rows} rows of {dim}");
        let track = train(b, tangent(rows, dim)?, side, shape, (mu, steps));
        let track = track.map_err(|f| f.of(&case))?;
        let (_, exact, _) = track.weight.invert();
        near(
            format!("{case}: log|det W|"),
            &[track.log_det],
            &[exact],
            tolerance,
        )?;
        let product = track.inverse.times(&track.weight);
        near(
            format!("{case}: W⁻¹ W"),
            &product,
            &Plain::identity(dim),
            tolerance,
        )?;
    }
    Ok(())
}
