//! `detfree score`

use std::io::{BufWriter, Write};
use std::num::NonZeroU64;

use detfree::flows::residual::Accuracy;
use detfree::flows::{FlowParameters, LogLikelihoods, Model};
use detfree::{Allocate, FlowBackend};

use crate::args::Score;
use crate::backend::Task;
use crate::data::{self, Noise, Table};
use crate::density::{self, Density, MOST_PRODUCTS, TOLERANCE};
use crate::failure::Failure;
use crate::{backend, model_file, progress};

pub(crate) fn run(options: &Score) -> Result<(), Failure> {
    let model = model_file::read(&options.model)?;
    let table = data::read(&options.data)?;
    refuse_foreign(options, &model)?;
    table.expect_columns(&model.columns, &options.model.display().to_string())?;
    table.expect_whole(&model.dequantized)?;
    let rows = noisy_rows(&table, &Noise::of(&model));
    let task = Figures {
        model: &model,
        rows: &rows,
        options,
    };
    let precision = density::precision(&model);
    let threads = backend::threads(options.threads);
    let found = backend::run(options.backend, precision, threads, task)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    writeln!(out, "log_likelihood,standard_error")?;
    for (figure, error) in found.values.iter().zip(&found.standard_errors) {
        writeln!(out, "{figure},{error}")?;
    }
    out.flush()?;
    if let Some(warning) = density::warning(&found) {
        eprintln!("detfree: warning: {warning}");
    }
    if found.above_tolerance > 0 {
        let advice = match found.limited {
            0 => "as about one in ten does by chance: a smaller --tol keeps more of them below"
                .to_owned(),
            limited => format!(
                "and {limited} need more than the {} products allowed: raise --products or --tol",
                products(options)
            ),
        };
        eprintln!(
            "detfree: warning: {} of {} rows kept a standard error above {}, {advice}",
            found.above_tolerance,
            found.values.len(),
            tolerance(options),
        );
    }
    if let Some(rounding) = found.rounding.filter(|_| options.exact) {
        eprintln!("log-determinants are exact to within {rounding:.0e} nats (certified)");
    }
    Ok(())
}

/// Refuses options that change nothing.
fn refuse_foreign(options: &Score, model: &Model) -> Result<(), Failure> {
    let of_residual = [
        ("--tol", options.tol.is_some()),
        ("--exact", options.exact),
        ("--products", options.products.is_some()),
    ];
    match (&model.flow, of_residual.iter().find(|(_, given)| *given)) {
        (FlowParameters::Relative(_), Some((option, _))) => Err(Failure::Option(format!(
            "{option} is for residual models: {} is a relative one, whose log-likelihoods are exact \
             as they are",
            options.model.display()
        ))),
        _ => Ok(()),
    }
}

struct Figures<'a> {
    model: &'a Model,
    rows: &'a [f64],
    options: &'a Score,
}

impl Task for Figures<'_> {
    type Output = LogLikelihoods;

    fn run<B>(self, b: &B) -> Result<LogLikelihoods, Failure>
    where
        B: FlowBackend + Allocate + Sync,
        B::Error: std::fmt::Display,
    {
        let options = self.options;
        let most_products = products(options);
        let accuracy = if options.exact {
            Accuracy::Exact { most_products }
        } else {
            Accuracy::StandardError {
                tolerance: tolerance(options),
                most_products,
            }
        };
        let threads = backend::threads(options.threads);
        let workers = backend::workers(options.backend, threads);
        let density = Density::new(b, self.model, workers)?;
        if options.explain {
            eprintln!("{}", density.explain(b, accuracy)?);
        }
        let _shown = progress::scoring(self.rows.len() / self.model.dim(), false);
        density.log_likelihood(b, self.rows, accuracy)
    }
}

fn tolerance(options: &Score) -> f64 {
    options.tol.unwrap_or(TOLERANCE)
}

fn products(options: &Score) -> u64 {
    options.products.map_or(MOST_PRODUCTS, NonZeroU64::get)
}

/// Every row of a table with the noise that belongs to it.
pub(crate) fn noisy_rows(table: &Table, noise: &Noise) -> Vec<f64> {
    let mut rows = table.values().to_vec();
    for (number, row) in rows.chunks_exact_mut(table.dim()).enumerate() {
        noise.add(number, row);
    }
    rows
}
