//! `detfree score`, and log-likelihoods of rows in the data's own units.

use std::io::{BufWriter, Write};

use detfree::faer::Faer;
use detfree::flows::relative::{Evaluator, RelativeFlow};
use detfree::flows::{Model, Precision};
use detfree::{Allocate, FlowBackend};

use crate::args::Score;
use crate::data::{self, Noise, Table};
use crate::failure::Failure;
use crate::{backend, model_file};

pub(crate) fn run(options: &Score) -> Result<(), Failure> {
    let model = model_file::read(&options.model)?;
    let table = data::read(&options.data)?;
    table.expect_columns(model.dim(), &options.model.display().to_string())?;
    let rows = noisy_rows(&table, &Noise::of(&model));
    let threads = backend::processors();
    let figures = match model.precision {
        Precision::Single => log_likelihood(&Faer::<f32>::new(threads)?, &model, &rows)?,
        Precision::Double => log_likelihood(&Faer::<f64>::new(threads)?, &model, &rows)?,
    };
    let mut out = BufWriter::new(std::io::stdout().lock());
    writeln!(out, "log_likelihood,standard_error")?;
    for figure in figures {
        writeln!(out, "{figure},0")?;
    }
    out.flush()?;
    Ok(())
}

/// Every row of a table with the noise that belongs to it.
pub(crate) fn noisy_rows(table: &Table, noise: &Noise) -> Vec<f64> {
    let mut rows = table.values().to_vec();
    for (number, row) in rows.chunks_exact_mut(table.dim()).enumerate() {
        noise.add(number, row);
    }
    rows
}

/// log p of row-major rows in the data's own units.
pub(crate) fn log_likelihood<B>(b: &B, model: &Model, rows: &[f64]) -> Result<Vec<f64>, Failure>
where
    B: FlowBackend + Allocate,
    B::Error: std::fmt::Display,
{
    let flow = flow(b, model)?;
    let inputs = model.inputs(rows);
    let mut figures = Vec::with_capacity(rows.len() / model.dim());
    Evaluator::new(b, &flow, model.dim())
        .map_err(detfree::Error::Device)?
        .log_density(b, &flow, &inputs, &mut figures)?;
    for (figure, row) in figures.iter_mut().zip(rows.chunks_exact(model.dim())) {
        // Outside the range of a logit the density is zero, whatever the flow makes of NaN.
        let log_jacobian = model.log_jacobian(row);
        *figure = if log_jacobian == f64::NEG_INFINITY {
            log_jacobian
        } else {
            *figure + log_jacobian
        };
    }
    Ok(figures)
}

/// A model's flow where the backend computes.
pub(crate) fn flow<B>(b: &B, model: &Model) -> Result<RelativeFlow<B>, Failure>
where
    B: FlowBackend + Allocate,
    B::Error: std::fmt::Display,
{
    RelativeFlow::from_layers(b, model.dim(), &model.layers, model.activation, model.base)
        .map_err(|error| detfree::Error::Device(error).into())
}
