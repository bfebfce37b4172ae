//! Wrong relative gradients: directions of published code, and a determinant of too few rows.

use std::convert::Infallible;

use detfree_core::{Affine, DenseRelative, Error, RelativeGradient, Shape, Side};
use detfree_testsuite::{Failure, Outcome, Plain, relative_direction, relative_tracking};

use crate::assert_rejected;
use crate::host::{Batch, Host, batch, plain};

#[derive(Clone, Copy)]
enum Direction {
    Right,
    /// Δb without the b of T b: the published code.
    NoBias,
    /// ΔW without the leading W, the gradient of log|det W|.
    NoWeight,
    /// z where y belongs, or the other way round.
    OtherEnd,
    /// W z where W z + b belongs.
    NoBiasInAnchor,
}

fn direction(variant: Direction, side: Side) -> Outcome {
    relative_direction::<f64>(side, |layer, z, delta| {
        let b = Host::new();
        let at = Affine {
            weight: batch(&layer.weight),
            bias: batch(&layer.bias),
        };
        let Shape { rows, dim } = z.shape();
        let no_bias = match variant {
            Direction::NoBiasInAnchor => 0.0,
            _ => 1.0,
        };
        let y = Plain::new(rows, dim, |r, i| {
            let sum: f64 = (0..dim).map(|k| layer.weight.at(i, k) * z.at(r, k)).sum();
            sum + no_bias * layer.bias.at(0, i)
        });
        let anchor = match (side, variant) {
            (Side::Plain, Direction::OtherEnd) => z,
            (Side::Plain, _) | (_, Direction::OtherEnd) => &y,
            _ => z,
        };
        let mut tangent = DenseRelative::allocate(&b, rows, dim)?;
        tangent.linearise(&b, side, &at, &batch(delta), &batch(anchor))?;
        let mut out = at.clone();
        tangent.direction(&b, &at, &mut out)?;
        let less =
            |x: &Batch, y: &Plain| Plain::new(y.shape().rows, dim, |i, j| x.row(i)[j] - y.at(i, j));
        Ok::<_, Failure>(match variant {
            Direction::NoBias => Affine {
                weight: plain(&out.weight),
                bias: less(&out.bias, &layer.bias),
            },
            Direction::NoWeight => Affine {
                weight: less(&out.weight, &layer.weight),
                bias: plain(&out.bias),
            },
            _ => Affine {
                weight: plain(&out.weight),
                bias: plain(&out.bias),
            },
        })
    })
}

#[test]
fn relative_directions() {
    for side in [Side::Plain, Side::Transposed] {
        assert_eq!(direction(Direction::Right, side), Ok(()));
        assert_rejected(direction(Direction::NoBias, side), "Δb");
        assert_rejected(direction(Direction::NoWeight, side), "ΔW");
        assert_rejected(direction(Direction::OtherEnd, side), "ΔW");
    }
    assert_rejected(direction(Direction::NoBiasInAnchor, Side::Plain), "Δ");
}

/// Right in every way, but for the determinant of K where R > D: of the first D rows.
struct FirstRows {
    right: DenseRelative<Host>,
    first: DenseRelative<Host>,
}

impl FirstRows {
    fn new(rows: usize, dim: usize) -> Result<Self, Failure> {
        let b = Host::new();
        Ok(Self {
            right: DenseRelative::allocate(&b, rows, dim)?,
            first: DenseRelative::allocate(&b, rows.min(dim), dim)?,
        })
    }
}

type Done = Result<(), Error<Infallible>>;

impl RelativeGradient<Host> for FirstRows {
    fn linearise(
        &mut self,
        b: &Host,
        side: Side,
        layer: &Affine<Batch>,
        delta: &Batch,
        anchor: &Batch,
    ) -> Done {
        self.right.linearise(b, side, layer, delta, anchor)?;
        let Shape { rows, dim } = delta.shape();
        let first = rows.min(dim);
        // c stays that of R rows.
        let part = |x: &Batch, a: f64| Plain::new(first, dim, |i, j| a * x.row(i)[j]);
        let delta = batch(&part(delta, first as f64 / rows as f64));
        self.first
            .linearise(b, side, layer, &delta, &batch(&part(anchor, 1.0)))
    }

    fn direction(&mut self, b: &Host, layer: &Affine<Batch>, out: &mut Affine<Batch>) -> Done {
        self.right.direction(b, layer, out)
    }

    fn log_det_change(&mut self, b: &Host, mu: f64) -> Result<Option<f64>, Error<Infallible>> {
        match self.right.log_det_change(b, mu)? {
            Some(_) => self.first.log_det_change(b, mu),
            None => Ok(None),
        }
    }

    fn step(
        &mut self,
        b: &Host,
        mu: f64,
        layer: &mut Affine<Batch>,
        inverse: Option<&mut Batch>,
    ) -> Done {
        self.right.step(b, mu, layer, inverse)
    }
}

/// The first shape of more rows than dimensions is where it fails: the three before it pass.
#[test]
fn tracking_of_more_rows_than_dimensions() {
    for side in [Side::Plain, Side::Transposed] {
        let mut shapes = Vec::new();
        let outcome = relative_tracking(&Host::new(), side, 400, |rows, dim| {
            shapes.push((rows, dim));
            FirstRows::new(rows, dim)
        });
        let case = format!("{side:?}, 40 rows of 17: log|det W|");
        assert_rejected(outcome, &case);
        assert_eq!(shapes, [(1, 1), (1, 6), (4, 17), (17, 17), (40, 17)]);
    }
}
