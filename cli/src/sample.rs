//! `detfree sample`

use std::io::{self, BufWriter, Write};

use detfree::flows::Model;
use detfree::flows::residual::Inversion;
use detfree::{Allocate, FlowBackend, Key};

use crate::args::Sample;
use crate::backend::{Choice, Task};
use crate::density::{self, Density};
use crate::failure::Failure;
use crate::{backend, model_file};

/// Rows that are drawn at once, needed or not: how far a fixed point is iterated depends on all of
/// them, and fewer rows shall be the beginning of more.
const PIECE: u64 = 1024;

pub(crate) fn run(options: &Sample) -> Result<(), Failure> {
    let model = model_file::read(&options.model)?;
    let precision = density::precision(&model);
    let threads = backend::threads(options.threads);
    let task = Print {
        model: &model,
        options,
    };
    backend::run(options.backend, precision, threads, task)
}

/// The first `rows` rows of the key's stream, row-major, in the data's own units.
pub(crate) fn draw(
    model: &Model,
    key: Key,
    rows: usize,
    threads: usize,
) -> Result<Vec<f64>, Failure> {
    let task = Rows {
        model,
        key,
        rows: rows as u64,
        threads,
    };
    backend::run(Choice::Faer, density::precision(model), threads, task)
}

struct Rows<'a> {
    model: &'a Model,
    key: Key,
    rows: u64,
    threads: usize,
}

impl Task for Rows<'_> {
    type Output = Vec<f64>;

    fn run<B>(self, b: &B) -> Result<Vec<f64>, Failure>
    where
        B: FlowBackend + Allocate + Sync,
        B::Error: std::fmt::Display,
    {
        let density = Density::new(b, self.model, self.threads)?;
        Ok(density.sample(b, self.key, 0, self.rows)?.rows)
    }
}

struct Print<'a> {
    model: &'a Model,
    options: &'a Sample,
}

impl Task for Print<'_> {
    type Output = ();

    fn run<B>(self, b: &B) -> Result<(), Failure>
    where
        B: FlowBackend + Allocate + Sync,
        B::Error: std::fmt::Display,
    {
        let threads = backend::threads(self.options.threads);
        let workers = backend::workers(self.options.backend, threads);
        let density = Density::new(b, self.model, workers)?;
        print(b, &density, self.options)
    }
}

fn print<B>(b: &B, density: &Density<B>, options: &Sample) -> Result<(), Failure>
where
    B: FlowBackend + Allocate + Sync,
    B::Error: std::fmt::Display,
{
    let model = density.model();
    let mut out = BufWriter::new(io::stdout().lock());
    let mut csv = csv::Writer::from_writer(&mut out);
    let mut worst: Option<Inversion> = None;
    let mut first = 0;
    while first < options.rows {
        let rows = PIECE.min(options.rows - first);
        let samples = density.sample(b, Key::new(options.seed), first, PIECE)?;
        if !samples.rows.iter().all(|x| x.is_finite()) {
            return Err(density.no_samples());
        }
        if first == 0 {
            csv.write_record(&model.columns).map_err(cause)?;
        }
        let drawn = samples.rows.chunks_exact(model.dim());
        for row in drawn.take(rows as usize) {
            csv.write_record(row.iter().map(f64::to_string))
                .map_err(cause)?;
        }
        if let Some(here) = samples.inversion {
            let worst = worst.get_or_insert(here);
            worst.iterations = worst.iterations.max(here.iterations);
            worst.block_error = worst.block_error.max(here.block_error);
            worst.error = worst.error.max(here.error);
        }
        first += rows;
    }
    csv.flush()?;
    drop(csv);
    out.flush()?;
    if let Some(worst) = worst {
        eprintln!(
            "inverted in {} iterations over all blocks, each block to within {:.0e} and all together to \
             within {:.0e} (standardised units; certified but for rounding)",
            worst.iterations, worst.block_error, worst.error
        );
    }
    Ok(())
}

/// The error underneath, with its kind: a closed pipe must be known as one.
fn cause(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        kind => io::Error::other(format!("{kind:?}")),
    }
}
