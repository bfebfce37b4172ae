//! `detfree unmix`

mod report;

use std::time::{Duration, Instant};

use detfree::faer::Faer;
use detfree::flows::unmix::{Mode, Progress, Sources, UnmixError, UnmixOptions, Unmixing, unmix};
use detfree::{Allocate, FlowBackend, Key};

use crate::args::{Precision, Unmix};
use crate::backend;
use crate::data::{self, Table};
use crate::distinct::{Named, expect_distinct};
use crate::failure::Failure;
use crate::model_file::Output;
use report::Report;

/// Time between two lines of progress.
const INTERVAL: Duration = Duration::from_secs(2);

pub(crate) fn run(options: &Unmix) -> Result<(), Failure> {
    let outputs = Outputs::probe(options)?;
    let threads = backend::threads(options.threads);
    let table = data::read(&options.data)?;
    let started = Instant::now();
    let found = match options.precision {
        Precision::F32 => separate(&Faer::<f32>::new(threads)?, options, &table)?,
        Precision::F64 => separate(&Faer::<f64>::new(threads)?, options, &table)?,
    };
    let time = started.elapsed();
    outputs.write(&found.sources, &table)?;
    let report = Report::new(options, &table, &found, time);
    for warning in report.warnings() {
        eprintln!("detfree: warning: {warning}");
    }
    report.print(options.json)
}

fn separate<B>(b: &B, options: &Unmix, table: &Table) -> Result<Unmixing, Failure>
where
    B: FlowBackend + Allocate + Sync,
    B::Error: std::fmt::Display,
{
    let (mode, most, unit) = match options.online {
        false => (Mode::Batch, 1000, "iteration"),
        true => (Mode::Online, 100, "pass"),
    };
    let settings = UnmixOptions {
        mode,
        iterations: options.iterations.unwrap_or(most),
        key: Key::new(options.seed),
    };
    let mut shown = Instant::now();
    let observe = |progress: Progress| {
        if !options.json && shown.elapsed() >= INTERVAL {
            let Progress {
                iteration,
                log_likelihood,
                gradient_norm,
            } = progress;
            eprintln!(
                "{unit} {iteration}: log-likelihood {log_likelihood:.6} nats per row, \
                 gradient {gradient_norm:.1e}"
            );
            shown = Instant::now();
        }
    };
    unmix(b, table.values(), table.dim(), &settings, observe)
        .map_err(|error| Failure::Compute(explain(error, table)))
}

/// An error of the library with the names of the table.
fn explain<E: std::fmt::Display>(error: UnmixError<E>, table: &Table) -> String {
    let name = |column: usize| format!("column {:?}", table.names()[column]);
    let problem = match error {
        UnmixError::NoSpread { column } => format!(
            "{} is constant, or too large to have a spread: remove or rescale it",
            name(column)
        ),
        UnmixError::Dependent { column } => format!(
            "{} is a linear combination of the columns before it, so there is no way back to as \
             many sources: remove it",
            name(column)
        ),
        other => other.to_string(),
    };
    format!("{}: {problem}", table.origin())
}

/// The three files.
struct Outputs {
    sources: Output,
    unmixing: Output,
    mixing: Output,
}

impl Outputs {
    /// Before the work whose results they are to hold.
    fn probe(options: &Unmix) -> Result<Self, Failure> {
        let written: [Named<'_>; 3] = [
            ("--sources", &options.sources),
            ("--unmixing", &options.unmixing),
            ("--mixing", &options.mixing),
        ];
        expect_distinct(&[("DATA", &options.data)], &written)?;
        Ok(Self {
            sources: Output::probe(&options.sources)?,
            unmixing: Output::probe(&options.unmixing)?,
            mixing: Output::probe(&options.mixing)?,
        })
    }

    fn write(&self, sources: &Sources, table: &Table) -> Result<(), Failure> {
        let dim = table.dim();
        let names: Vec<String> = (1..=dim).map(|i| format!("source_{i}")).collect();
        let beside = |names: &[String], last: &str| [names, &[last.to_owned()]].concat();
        let with = |matrix: &[f64], last: &[f64]| -> Vec<f64> {
            let rows = matrix.chunks_exact(dim).zip(last);
            rows.flat_map(|(row, x)| row.iter().chain([x]))
                .copied()
                .collect()
        };
        let unmixing = with(&sources.weight, &sources.bias);
        let mixing = with(&sources.mixing, &sources.mean);
        let files = [
            csv(&names, &sources.of(table.values())),
            csv(&beside(table.names(), "bias"), &unmixing),
            csv(&beside(&names, "mean"), &mixing),
        ];
        for (output, bytes) in [&self.sources, &self.unmixing, &self.mixing]
            .into_iter()
            .zip(files)
        {
            output.write(&bytes?)?;
        }
        Ok(())
    }
}

/// A header and rows of numbers, each with the digits that give the same number back.
fn csv(names: &[String], values: &[f64]) -> Result<Vec<u8>, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |error: String| Failure::Compute(error);
    writer
        .write_record(names)
        .map_err(|error| failed(error.to_string()))?;
    for row in values.chunks_exact(names.len()) {
        writer
            .write_record(row.iter().map(f64::to_string))
            .map_err(|error| failed(error.to_string()))?;
    }
    writer
        .into_inner()
        .map_err(|error| failed(error.to_string()))
}
