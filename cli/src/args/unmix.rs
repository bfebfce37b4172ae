//! `detfree unmix`

use std::path::PathBuf;

use clap::Args;

use super::Precision;
use super::values::threads;

/// Separate the columns of a table into independent sources.
///
/// Linear independent component analysis: sources = W data + b and data = A sources + mean, by
/// maximum likelihood with a hyperbolic-secant density for every source. That suits sources with
/// tails heavier than a Gaussian's. At most one Gaussian source, or one with lighter tails (such as
/// a uniform one or a sine), can be told apart; `interference` says how much of the others' variance a
/// source is expected to hold, for small errors. Beyond 50% it is no number but "not separable": the
/// rows do not tell that source apart from the others.
///
/// Sources have mean 0 and variance 1. They are in the order of the variance they explain, and the
/// largest element of each column of A, in units of the data column's deviation, is positive.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    detfree unmix recording.csv\n  \
    detfree unmix recording.csv --online --sources s.csv --json")]
pub(crate) struct Unmix {
    /// A .csv or .csv.gz file (a first line without numbers is a header), .npy, IDX (.gz too), or - for
    /// standard input: a row for every moment, a column for every sensor.
    pub(crate) data: PathBuf,

    /// One row at a time with steps of falling size, as a microcontroller does it, instead of all
    /// rows at once.
    #[arg(long)]
    pub(crate) online: bool,

    /// The most iterations, or passes over the rows with --online [default: 1000, or 100].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) iterations: Option<u32>,

    /// The seed of the rotation to start from and, with --online, of the order of rows. Where another
    /// seed gives another log-likelihood, the data is no clear mixture of independent sources.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,

    /// What to search with; rows are whitened, and sources computed, in f64.
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub(crate) precision: Precision,

    /// Threads [default: all processors].
    #[arg(long, value_name = "N", value_parser = threads())]
    pub(crate) threads: Option<u32>,

    /// Where to write the sources: a row for every row of the data.
    #[arg(long, value_name = "FILE", default_value = "sources.csv")]
    pub(crate) sources: PathBuf,

    /// Where to write W and b: a row for every source; the last column is b.
    #[arg(long, value_name = "FILE", default_value = "unmixing.csv")]
    pub(crate) unmixing: PathBuf,

    /// Where to write A and the mean: a row for every column of the data; the last column is the
    /// mean.
    #[arg(long, value_name = "FILE", default_value = "mixing.csv")]
    pub(crate) mixing: PathBuf,

    /// Print one JSON object as the last line of stdout, and no progress. The interference of a source
    /// that is not separable is null.
    #[arg(long)]
    pub(crate) json: bool,
}
