//! `detfree sample`

use std::io::{self, BufWriter, Write};

use detfree::faer::Faer;
use detfree::flows::residual::Inversion;
use detfree::flows::{Model, Precision};
use detfree::{Allocate, FlowBackend, Key};

use crate::args::Sample;
use crate::density::{self, Density};
use crate::failure::Failure;
use crate::{backend, model_file};

/// Rows that are drawn at once, needed or not: how far a fixed point is iterated depends on all of
/// them, and fewer rows shall be the beginning of more.
const PIECE: u64 = 1024;

pub(crate) fn run(options: &Sample) -> Result<(), Failure> {
    let model = model_file::read(&options.model)?;
    let threads = backend::processors();
    match density::precision(&model) {
        Precision::Single => print(&Faer::<f32>::new(threads)?, &model, options),
        Precision::Double => print(&Faer::<f64>::new(threads)?, &model, options),
    }
}

/// The first `rows` rows of the key's stream, row-major, in the data's own units.
pub(crate) fn draw(
    model: &Model,
    key: Key,
    rows: usize,
    threads: usize,
) -> Result<Vec<f64>, Failure> {
    let rows = rows as u64;
    let drawn = match density::precision(model) {
        Precision::Single => {
            let b = Faer::<f32>::new(threads)?;
            Density::new(&b, model, threads)?.sample(&b, key, 0, rows)
        }
        Precision::Double => {
            let b = Faer::<f64>::new(threads)?;
            Density::new(&b, model, threads)?.sample(&b, key, 0, rows)
        }
    };
    Ok(drawn?.rows)
}

fn print<B>(b: &B, model: &Model, options: &Sample) -> Result<(), Failure>
where
    B: FlowBackend + Allocate + Sync,
    B::Error: std::fmt::Display,
{
    let density = Density::new(b, model, backend::processors())?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut csv = csv::Writer::from_writer(&mut out);
    csv.write_record(&model.columns).map_err(cause)?;
    let mut worst: Option<Inversion> = None;
    let mut first = 0;
    while first < options.rows {
        let rows = PIECE.min(options.rows - first);
        let samples = density.sample(b, Key::new(options.seed), first, PIECE)?;
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
