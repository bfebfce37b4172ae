//! The picture of a fit, as the bytes of a PNG.

mod canvas;
mod choose;
mod colour;
mod components;
mod curve;
mod frame;
mod header;
mod heat;
mod histogram;
mod images;
mod interval;
mod lettering;
mod likelihood;
mod number;
mod panel;
mod scale;
mod summary;
mod ticks;

use thiserror::Error;

/// What to draw: the data, what the model makes of it, and what it is worth.
pub(crate) struct Picture<'a> {
    /// The data's file or toy; its last part becomes the title.
    pub(crate) source: &'a str,
    /// The model in a few words.
    pub(crate) model: &'a str,
    /// Column names.
    pub(crate) names: &'a [String],
    /// Data, row by row, in its own units.
    pub(crate) data: &'a [f64],
    /// Samples from the model, row by row; only pictures of three and more columns show them.
    pub(crate) samples: &'a [f64],
    /// Log-likelihood of every held-out row in nats.
    pub(crate) log_likelihood: &'a [f64],
    /// The same under a Gaussian with full covariance; empty where there is none.
    pub(crate) gaussian: &'a [f64],
}

/// Why there is no picture.
#[derive(Debug, Error)]
pub(crate) enum PlotError {
    #[error("nothing to draw: the picture needs at least one row and one column")]
    Empty,
    #[error("{what} for a picture: {values} values are not whole rows of {columns} columns")]
    Ragged {
        what: &'static str,
        values: usize,
        columns: usize,
    },
    #[error("the density answered {found} values for {expected} points of a picture")]
    Density { found: usize, expected: usize },
    #[error("the picture cannot be drawn: {0}")]
    Drawing(String),
    #[error("the picture cannot be encoded: {0}")]
    Encoding(#[from] png::EncodingError),
}

/// Draws one column as histogram and curve, two as scatter and heat map, more through images or
/// principal components and held-out likelihoods.
///
/// `density` takes points row by row and answers their log-densities.
pub(crate) fn draw<E: From<PlotError>>(
    picture: &Picture<'_>,
    density: impl FnMut(&[f64]) -> Result<Vec<f64>, E>,
) -> Result<Vec<u8>, E> {
    picture.check()?;
    Ok(match picture.names.len() {
        1 => {
            let plan = curve::Plan::new(picture);
            let log_density = evaluate(&plan.points(), 1, density)?;
            plan.draw(picture, &log_density)?
        }
        2 => {
            let plan = heat::Plan::new(picture);
            let log_density = evaluate(&plan.points(), 2, density)?;
            plan.draw(picture, &log_density)?
        }
        _ => summary::draw(picture)?,
    })
}

impl Picture<'_> {
    fn check(&self) -> Result<(), PlotError> {
        let columns = self.names.len();
        if columns == 0 || self.data.is_empty() {
            return Err(PlotError::Empty);
        }
        for (what, rows) in [("data", self.data), ("samples", self.samples)] {
            if !rows.len().is_multiple_of(columns) {
                return Err(PlotError::Ragged {
                    what,
                    values: rows.len(),
                    columns,
                });
            }
        }
        Ok(())
    }
}

/// The log-density at every point; what is not a number counts as no density.
fn evaluate<E: From<PlotError>>(
    points: &[f64],
    dim: usize,
    mut density: impl FnMut(&[f64]) -> Result<Vec<f64>, E>,
) -> Result<Vec<f64>, E> {
    /// Keeps the model's workspace small.
    const CHUNK: usize = 4096;
    let mut all = Vec::with_capacity(points.len() / dim);
    for chunk in points.chunks(CHUNK * dim) {
        let values = density(chunk)?;
        let (found, expected) = (values.len(), chunk.len() / dim);
        if found != expected {
            return Err(PlotError::Density { found, expected }.into());
        }
        let floor = |l: f64| if l.is_finite() { l } else { f64::NEG_INFINITY };
        all.extend(values.into_iter().map(floor));
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
