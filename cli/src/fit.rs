//! `detfree fit`

mod checkpoint;
mod course;
mod interrupt;
mod lock;
mod report;
mod settings;
mod size;
mod train;
mod warnings;

use std::path::Path;

use detfree::flows::{FlowParameters, Model, Precision};
use detfree::{Allocate, FlowBackend, Key};

use crate::args::{self, Fit};
use crate::backend::Task;
use crate::data::{self, Format, Noise, Parts, Table};
use crate::density::{self, Density, USUAL};
use crate::distinct::{Named, expect_distinct};
use crate::failure::Failure;
use crate::gaussian::Gaussian;
use crate::model_file::Output;
use crate::plot::Picture;
use crate::score::noisy_rows;
use crate::{backend, plot, progress, sample};
use checkpoint::Checkpoint;
use report::{Comparison, Report};
use settings::Settings;

/// What the seed is for, apart from the model's own noise.
const SPLIT: u64 = 0;
const TRAINING: u64 = 1;
const TOY: u64 = 2;
const PICTURE: u64 = 3;

/// Points of a toy, where the user does not say.
const TOY_ROWS: u32 = 10_000;

/// The most rows that a picture shows.
const SHOWN: usize = 4_000;

pub(crate) fn run(options: &Fit) -> Result<(), Failure> {
    if toy(options).is_none() && options.rows.is_some() {
        return Err(Failure::Option(format!(
            "--rows is for toys, and all rows of {} are taken: leave it out",
            options.data
        )));
    }
    expect_distinct_files(options)?;
    if let Some(plot) = &options.plot {
        expect_png(plot)?;
    }
    // Outputs are probed before the work whose results they are to hold.
    let out = Output::probe(&options.out)?;
    let plot = options.plot.as_deref().map(Output::probe).transpose()?;
    let precision = match options.precision {
        args::Precision::F32 => Precision::Single,
        args::Precision::F64 => Precision::Double,
    };
    let plot = plot.as_ref();
    let out = &out;
    let task = Fitting { options, out, plot };
    backend::run(
        options.backend,
        precision,
        backend::threads(options.threads),
        task,
    )
}

fn expect_distinct_files(options: &Fit) -> Result<(), Failure> {
    fn named<'a>(files: &[(&'static str, Option<&'a Path>)]) -> Vec<Named<'a>> {
        let there = |&(name, path): &(_, Option<_>)| Some((name, path?));
        files.iter().filter_map(there).collect()
    }
    let data = Path::new(&options.data);
    let inputs = named(&[
        ("DATA", toy(options).is_none().then_some(data)),
        ("--test", options.test.as_deref()),
    ]);
    let outputs = named(&[
        ("--out", Some(&options.out)),
        ("--plot", options.plot.as_deref()),
        ("--checkpoint", options.checkpoint.as_deref()),
    ]);
    expect_distinct(&inputs, &outputs)
}

/// Refuses a name that says of the picture what it is not.
fn expect_png(plot: &Path) -> Result<(), Failure> {
    match plot.extension() {
        Some(extension) if !extension.eq_ignore_ascii_case("png") => Err(Failure::Option(format!(
            "--plot {}: pictures are PNG, expected a name that ends in .png, such as {}",
            plot.display(),
            plot.with_extension("png").display()
        ))),
        _ => Ok(()),
    }
}

struct Fitting<'a> {
    options: &'a Fit,
    out: &'a Output,
    plot: Option<&'a Output>,
}

impl Task for Fitting<'_> {
    type Output = ();

    fn run<B>(self, b: &B) -> Result<(), Failure>
    where
        B: FlowBackend + Allocate + Sync,
        B::Error: std::fmt::Display,
    {
        fit(b, self.options, self.out, self.plot)
    }
}

/// Shards of a batch.
fn workers(options: &Fit) -> usize {
    backend::workers(options.backend, backend::threads(options.threads))
}

fn fit<B>(b: &B, options: &Fit, out: &Output, plot: Option<&Output>) -> Result<(), Failure>
where
    B: FlowBackend + Allocate + Sync,
    B::Error: std::fmt::Display,
{
    let checkpoint = Checkpoint::new(options)?;
    let key = Key::new(options.seed);
    let (data, test) = load(options, key)?;
    let dequantize =
        options.dequantize || options.logit().is_some() || data.format() == Format::Idx;
    let noisy = match dequantize {
        true => data::integer_columns(&data),
        false => Vec::new(),
    };
    let noise = Noise::new(options.seed, noisy);
    let parts = Parts::new(
        data,
        test,
        options.validation(),
        noise.columns(),
        key.fold_in(SPLIT),
    )?;
    if options.logit().is_some() {
        parts.expect_levels()?;
    }
    for warning in warnings::warnings(options, &parts.data, &noise) {
        eprintln!("detfree: warning: {warning}");
    }

    let settings = Settings::new(options, parts.data.dim(), parts.train.len())?;
    let key_of_training = key.fold_in(TRAINING);
    let trained = train::train(
        b,
        options,
        settings,
        &parts,
        &noise,
        checkpoint,
        key_of_training,
    )?;
    out.write(&trained.model.to_bytes().map_err(|reason| Failure::Model {
        path: out.path().to_owned(),
        reason,
    })?)?;
    // The report can be had again.
    interrupt::end();

    if let Some(warning) = trained.warning() {
        eprintln!("detfree: warning: {warning}");
    }

    let density = Density::new(b, &trained.model, workers(options))?;
    let comparison = compare(b, &trained.model, &density, &parts, &noise, options.json)?;
    if let Some(warning) = density::warning(&comparison.held_out) {
        eprintln!("detfree: warning: held out, {warning}");
    }
    if let Some(plot) = plot {
        plot.write(&picture(
            b,
            &trained.model,
            &density,
            &parts,
            &noise,
            &comparison,
            key,
            backend::threads(options.threads),
        )?)?;
    }
    Report::new(options, &trained, &parts, &comparison, out.path()).print(options.json)
}

/// The name of the toy, where the data is one.
fn toy(options: &Fit) -> Option<&str> {
    options.data.strip_prefix("toy:")
}

/// The data, and the table to hold out where there is one.
fn load(options: &Fit, key: Key) -> Result<(Table, Option<Table>), Failure> {
    let test = options.test.as_deref();
    if options.data == data::STDIN && test == Some(Path::new(data::STDIN)) {
        return Err(Failure::Option(
            "DATA and --test are both standard input, which is read once: give one of them as a file"
                .to_owned(),
        ));
    }
    let test = test.map(data::read).transpose()?;
    let Some(name) = toy(options) else {
        return Ok((data::read(Path::new(&options.data))?, test));
    };
    let rows = options.rows.unwrap_or(TOY_ROWS) as usize;
    let (data, fresh) = data::toy_pair(name, rows, key.fold_in(TOY))?;
    Ok((data, test.or(Some(fresh))))
}

/// Held-out and overall figures of the model, beside the Gaussian's.
fn compare<B>(
    b: &B,
    model: &Model,
    density: &Density<B>,
    parts: &Parts,
    noise: &Noise,
    json: bool,
) -> Result<Comparison, Failure>
where
    B: FlowBackend + Allocate + Sync,
    B::Error: std::fmt::Display,
{
    let _shown = progress::scoring(parts.held_out.len(), json);
    let dim = parts.data.dim();
    let chosen = |rows: &[f64], numbers: &[usize]| -> Vec<f64> {
        let rows = numbers.iter().map(|&n| &rows[n * dim..(n + 1) * dim]);
        rows.flatten().copied().collect()
    };
    let all = noisy_rows(&parts.data, noise);
    let held_out = chosen(&noisy_rows(parts.held_out_table(), noise), &parts.held_out);
    let gaussian = Gaussian::fit(&chosen(&all, &parts.train), dim);
    let logit_jacobian = model.squash.map(|squash| {
        let logs = held_out
            .chunks_exact(dim)
            .map(|row| squash.log_jacobian(row));
        logs.sum::<f64>() / parts.held_out.len() as f64
    });
    Ok(Comparison {
        logit_jacobian,
        gaussian: gaussian.map(|gaussian| gaussian.log_density(&held_out)),
        held_out: density.log_likelihood(b, &held_out, USUAL)?,
        all: match json {
            true => Some(density.log_likelihood(b, &all, USUAL)?.values),
            false => None,
        },
    })
}

#[expect(clippy::too_many_arguments, reason = "all that a picture shows")]
fn picture<B>(
    b: &B,
    model: &Model,
    density: &Density<B>,
    parts: &Parts,
    noise: &Noise,
    comparison: &Comparison,
    key: Key,
    threads: usize,
) -> Result<Vec<u8>, Failure>
where
    B: FlowBackend + Allocate + Sync,
    B::Error: std::fmt::Display,
{
    let dim = model.dim();
    // In one and two dimensions the density itself is shown, and data where it sees it, with its
    // noise; in more, samples.
    let noisy = (dim <= 2).then(|| noisy_rows(&parts.data, noise));
    let count = parts.data.rows().min(SHOWN);
    let samples = match &noisy {
        Some(_) => Vec::new(),
        None => sample::draw(model, key.fold_in(PICTURE), count, threads)?,
    };
    let picture = Picture {
        model: &in_words(model),
        names: &model.columns,
        data: noisy.as_deref().unwrap_or(parts.data.values()),
        samples: &samples,
        log_likelihood: &comparison.held_out.values,
        gaussian: comparison.gaussian.as_deref().unwrap_or_default(),
        source: parts.data.origin(),
    };
    plot::draw(&picture, |points| {
        let found = density.log_likelihood(b, points, USUAL)?;
        Ok(found.values)
    })
}

fn in_words(model: &Model) -> String {
    match &model.flow {
        FlowParameters::Relative(flow) => {
            format!("relative-gradient flow, {} layers", flow.layers.len())
        }
        FlowParameters::Residual(flow) => format!("residual flow, {} blocks", flow.blocks.len()),
    }
}
