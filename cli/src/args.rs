//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Fit a density to a table, score rows with it, sample new ones: exact likelihoods, trained
/// without computing determinants.
#[derive(Debug, Parser)]
#[command(name = "detfree", version, arg_required_else_help = true)]
pub(crate) struct Command {
    #[command(subcommand)]
    pub(crate) action: Action,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    Fit(Fit),
    Score(Score),
    Sample(Sample),
    Info(Info),
    /// List the backends of this build, and what they found.
    #[command(after_help = "Example: detfree backends")]
    Backends,
}

/// Fit a density to the rows of a table and save it.
///
/// Rows are split at random: 80% train, 10% decide when to stop, 10% are held out and make the
/// report. The report is in nats per row in the data's own units, beside the same figure for a
/// full-covariance Gaussian.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    detfree fit data/faithful.csv --dequantize --plot density.png\n  \
    detfree fit toy:moons --layers 40 --budget 30s --plot moons.png\n  \
    detfree fit train.npy --test test.npy --json")]
pub(crate) struct Fit {
    /// A .csv or .csv.gz file (header or not), .npy, IDX (.gz too), or toy:NAME.
    pub(crate) data: String,

    /// The kind of model.
    #[arg(long, value_enum, default_value_t = ModelKind::Relative)]
    pub(crate) model: ModelKind,

    /// Layers of the flow [default: 4 to 32, the more the fewer the columns and the more the rows].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) layers: Option<u32>,

    /// The most passes over the training rows.
    #[arg(long, value_name = "N", default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) epochs: u32,

    /// The most time for training, such as 60s or 5m [default: no limit].
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) budget: Option<Duration>,

    /// Rows of a minibatch.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) batch: u32,

    /// The learning rate; it is halved whenever validation stops improving [default: 0.64 over the
    /// number of columns, at most 0.01].
    #[arg(long, value_name = "X", value_parser = positive)]
    pub(crate) lr: Option<f64>,

    /// Of the split, the initial weights, shuffles and noise.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,

    /// A file to hold out; all rows of DATA then train (90%) or validate (10%).
    #[arg(long, value_name = "FILE")]
    pub(crate) test: Option<PathBuf>,

    /// Points to draw from a toy distribution; 10,000 fresh ones are held out.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(4..=100_000_000))]
    pub(crate) rows: u32,

    /// Add uniform noise of one unit to columns of whole numbers [default for IDX files].
    #[arg(long)]
    pub(crate) dequantize: bool,

    /// What to compute with.
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub(crate) precision: Precision,

    /// Threads for large products [default: all processors].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,

    /// The model file to write.
    #[arg(long, value_name = "FILE", default_value = "model.safetensors")]
    pub(crate) out: PathBuf,

    /// A picture (PNG) of the data beside the learned density.
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,

    /// Print one JSON object as the last line of stdout, and no progress.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print the log-likelihood of every row of a table as CSV.
///
/// Columns: log_likelihood in nats, in the data's own units, and its standard_error (0: exact).
#[derive(Args, Debug)]
#[command(after_help = "Example: detfree score model.safetensors new.csv > scores.csv")]
pub(crate) struct Score {
    /// A model file that fit wrote.
    pub(crate) model: PathBuf,
    /// A table with the model's columns: .csv, .csv.gz, .npy or IDX.
    pub(crate) data: PathBuf,
}

/// Draw rows from a model and print them as CSV.
///
/// Columns that were whole numbers (fit --dequantize) are whole numbers again.
#[derive(Args, Debug)]
#[command(after_help = "Example: detfree sample model.safetensors -n 1000 --seed 7 > new.csv")]
pub(crate) struct Sample {
    /// A model file that fit wrote.
    pub(crate) model: PathBuf,
    /// How many rows.
    #[arg(short = 'n', long = "rows", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rows: u64,
    /// The stream of random numbers.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

/// Describe a model file.
#[derive(Args, Debug)]
#[command(after_help = "Example: detfree info model.safetensors")]
pub(crate) struct Info {
    /// A model file that fit wrote.
    pub(crate) model: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModelKind {
    /// Square layers trained by the relative gradient; exact likelihood.
    Relative,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Precision {
    F32,
    F64,
}

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time.is_zero() => Err("expected more than no time".to_owned()),
        Ok(time) => Ok(time),
        Err(error) => Err(format!("{error}; expected a time such as 60s or 5m")),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(x) if x > 0.0 && f64::is_finite(x) => Ok(x),
        _ => Err("expected a positive number".to_owned()),
    }
}
