use super::canvas::paint;
use super::components;
use super::frame::Frame;
use super::header::header;
use super::images::{self, Shape};
use super::likelihood;
use super::{Picture, PlotError};

const SIZE: [usize; 2] = [1600, 708];
const FIRST: Frame = Frame {
    left: 104.0,
    top: 158.0,
    width: 448.0,
    height: 448.0,
};
const SECOND: Frame = Frame {
    left: 584.0,
    ..FIRST
};
pub(super) const THIRD: Frame = Frame {
    left: 1160.0,
    width: 404.0,
    ..FIRST
};

/// Images take the room of axes.
const ALBUMS: [Frame; 2] = {
    let album = Frame {
        left: 36.0,
        width: 490.0,
        height: 490.0,
        ..FIRST
    };
    [
        album,
        Frame {
            left: 554.0,
            ..album
        },
    ]
};

/// Three columns and more: data beside samples, as images or in principal components, and the
/// likelihoods of the held-out rows.
pub(super) fn draw(picture: &Picture<'_>) -> Result<Vec<u8>, PlotError> {
    paint(SIZE, |canvas| {
        header(canvas, picture, SIZE[0])?;
        match Shape::of(picture.names) {
            Some(shape) => {
                images::draw(canvas, picture, shape, ALBUMS)?;
            }
            None => components::draw(canvas, picture, [FIRST, SECOND])?,
        }
        likelihood::draw(canvas, picture, THIRD)
    })
}
