//! The command line.

mod fit;
mod residual;
mod unmix;
mod values;

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::backend::Choice;
pub(crate) use fit::{Fit, ModelKind, Precision, Preset};
pub(crate) use unmix::Unmix;
use values::{positive, threads};

/// Fit a density to a table, score rows with it, sample new ones: exact or unbiased likelihoods,
/// trained without computing determinants.
#[derive(Debug, Parser)]
#[command(name = "detfree", version, arg_required_else_help = true)]
pub(crate) struct Command {
    #[command(subcommand)]
    pub(crate) action: Action,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    Fit(Box<Fit>),
    Score(Score),
    Sample(Sample),
    Unmix(Unmix),
    Info(Info),
    /// List the backends of this build, and what they found.
    #[command(after_help = "Example: detfree backends")]
    Backends,
}

/// Print the log-likelihood of every row of a table as CSV.
///
/// Columns: log_likelihood in nats, in the data's own units, and its standard_error (0: exact). Figures of a
/// residual flow are unbiased estimates of log p, whose errors average out over rows; a file always has the
/// same ones. Their exponentials are not unbiased, nor is a log-mean-exp over rows.
///
/// Where the model was fitted with --dequantize, a row of whole numbers is scored with the noise that
/// belongs to the model's seed and the row's number: a file always has the same figures, but a row has
/// others in another place. A figure is that of the row with this one draw, of which standard_error says
/// nothing; its mean over draws is a lower bound of the log-probability of the whole numbers.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
        detfree score model.safetensors new.csv > scores.csv\n  \
        detfree score residual.safetensors new.csv --tol 0.01 > scores.csv\n  \
        detfree sample model.safetensors -n 1000 | detfree score model.safetensors -")]
pub(crate) struct Score {
    /// A model file that fit wrote.
    pub(crate) model: PathBuf,
    /// A table with the model's columns: .csv, .csv.gz, .npy or IDX, or - for standard input. A header
    /// must have the model's names, in their order.
    pub(crate) data: PathBuf,

    /// Where to compute; cuda needs a build with --features cuda.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) backend: Choice,

    /// The standard error wanted of every row of a residual model, in nats [default: 0.05].
    #[arg(long, value_name = "NATS", value_parser = positive)]
    pub(crate) tol: Option<f64>,

    /// Deterministic figures of a residual model with a certified bound of their rounding, where
    /// --products suffice.
    #[arg(long, conflicts_with = "tol")]
    pub(crate) exact: bool,

    /// The most vector-Jacobian products to spend on a row of a residual model [default: 10000].
    #[arg(long, value_name = "N")]
    pub(crate) products: Option<NonZeroU64>,

    /// Threads [default: all processors].
    #[arg(long, value_name = "N", value_parser = threads())]
    pub(crate) threads: Option<u32>,

    /// Say on stderr how the figures were computed, and why so.
    #[arg(long)]
    pub(crate) explain: bool,
}

/// Draw rows from a model and print them as CSV.
///
/// Columns that were whole numbers (fit --dequantize) are whole numbers again, with fit --logit within the
/// range of the levels.
#[derive(Args, Debug)]
#[command(after_help = "Example: detfree sample model.safetensors -n 1000 --seed 7 > new.csv")]
pub(crate) struct Sample {
    /// A model file that fit wrote.
    pub(crate) model: PathBuf,
    /// How many rows.
    #[arg(short = 'n', long = "rows", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rows: u64,
    /// The seed of the random numbers: with the same one, fewer rows are the beginning of more.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,

    /// Where to compute; cuda needs a build with --features cuda.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) backend: Choice,

    /// Threads [default: all processors].
    #[arg(long, value_name = "N", value_parser = threads())]
    pub(crate) threads: Option<u32>,
}

/// Describe a model file.
#[derive(Args, Debug)]
#[command(after_help = "Example: detfree info model.safetensors")]
pub(crate) struct Info {
    /// A model file that fit wrote.
    pub(crate) model: PathBuf,
}
