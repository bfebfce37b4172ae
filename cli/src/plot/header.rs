use std::ffi::OsStr;
use std::path::Path;

use super::canvas::{Anchor, Canvas};
use super::lettering::{SUBTITLE, TITLE};
use super::number::nats;
use super::{Picture, PlotError};

const LEFT: f64 = 36.0;

/// The data's name, the model, and what both are worth on the held-out rows.
pub(super) fn header(
    canvas: &Canvas<'_>,
    picture: &Picture<'_>,
    width: usize,
) -> Result<(), PlotError> {
    let room = width as f64 - 2.0 * LEFT;
    let file = Path::new(picture.source).file_name();
    let title = file.and_then(OsStr::to_str).unwrap_or(picture.source);
    let title = canvas.fitted(title, TITLE, room);
    canvas.text(&title, (LEFT, 50.0), TITLE, Anchor::Start)?;
    let worth = worth(picture);
    let model = canvas.fitted(
        picture.model,
        SUBTITLE,
        room - canvas.width(&worth, SUBTITLE),
    );
    canvas.text(&(model + &worth), (LEFT, 88.0), SUBTITLE, Anchor::Start)
}

fn worth(picture: &Picture<'_>) -> String {
    let Some(model) = mean(picture.log_likelihood) else {
        return String::new();
    };
    let gaussian = mean(picture.gaussian).map(|mean| format!(", Gaussian {mean}"));
    let gaussian = gaussian.unwrap_or_default();
    format!("  ·  held-out log-likelihood {model} nats per row{gaussian}")
}

fn mean(log_likelihood: &[f64]) -> Option<String> {
    let count = log_likelihood.len();
    let mean = log_likelihood.iter().sum::<f64>() / count as f64;
    (count > 0).then(|| nats(mean))
}
