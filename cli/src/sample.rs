//! `detfree sample`, and samples in the data's own units.

use std::io::{self, BufWriter, Write};

use detfree::faer::Faer;
use detfree::flows::{Model, Precision};
use detfree::{Allocate, FlowBackend, Key, Scalar, Shape};

use crate::args::Sample;
use crate::failure::Failure;
use crate::{backend, model_file, score};

/// Rows that are drawn at once.
const PIECE: u64 = 1024;

pub(crate) fn run(options: &Sample) -> Result<(), Failure> {
    let model = model_file::read(&options.model)?;
    let threads = backend::processors();
    match model.precision {
        Precision::Single => print(&Faer::<f32>::new(threads)?, &model, options),
        Precision::Double => print(&Faer::<f64>::new(threads)?, &model, options),
    }
}

fn print<B>(b: &B, model: &Model, options: &Sample) -> Result<(), Failure>
where
    B: FlowBackend + Allocate,
    B::Error: std::fmt::Display,
{
    let mut out = BufWriter::new(io::stdout().lock());
    let mut csv = csv::Writer::from_writer(&mut out);
    csv.write_record(&model.columns).map_err(cause)?;
    let mut first = 0;
    while first < options.rows {
        let rows = PIECE.min(options.rows - first);
        for row in draw(b, model, Key::new(options.seed), first, rows)?.chunks_exact(model.dim()) {
            csv.write_record(row.iter().map(f64::to_string))
                .map_err(cause)?;
        }
        first += rows;
    }
    csv.flush()?;
    drop(csv);
    out.flush()?;
    Ok(())
}

/// The error underneath, with its kind: a closed pipe must be known as one.
fn cause(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        kind => io::Error::other(format!("{kind:?}")),
    }
}

/// Rows `first_row` and on of the key's stream, row-major, in the data's own units; columns that
/// were dequantised are whole numbers again.
pub(crate) fn draw<B>(
    b: &B,
    model: &Model,
    key: Key,
    first_row: u64,
    rows: u64,
) -> Result<Vec<f64>, Failure>
where
    B: FlowBackend + Allocate,
    B::Error: std::fmt::Display,
{
    let flow = score::flow(b, model)?;
    let shape = Shape::new(rows as usize, model.dim());
    let mut z = b.batch(shape).map_err(detfree::Error::Device)?;
    flow.sample(b, key, first_row, &mut z)?;
    let mut host = vec![B::Scalar::default(); shape.rows * shape.dim];
    b.download(&z, &mut host).map_err(detfree::Error::Device)?;
    let mut values: Vec<f64> = host.into_iter().map(Scalar::to_f64).collect();
    for row in values.chunks_exact_mut(shape.dim) {
        model.invert_input(row);
    }
    Ok(values)
}
