//! The command line.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use detfree::flows::relative::Optimiser;
use detfree::{Activation, BaseDensity, Side, flows};

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
    Unmix(crate::unmix::Unmix),
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

    /// Settings of an experiment; other options change single ones of them.
    #[arg(long, value_enum, value_name = "NAME")]
    pub(crate) preset: Option<Preset>,

    /// Layers of the flow [default: 4 to 32, the more the fewer the columns and the more the rows].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) layers: Option<u32>,

    /// Between layers: leaky-softplus:ALPHA, tanh-linear:ALPHA,BETA or identity [default:
    /// leaky-softplus:0.3].
    #[arg(long, value_name = "KIND", value_parser = activation)]
    pub(crate) activation: Option<Activation>,

    /// The density of the flow's output.
    #[arg(long, value_enum, default_value_t = Base::Normal)]
    pub(crate) base: Base,

    /// What makes steps of gradients: adam, momentum:DECAY, or sgd, which follows the exact
    /// log-likelihood through every step.
    #[arg(long, value_name = "KIND", default_value = "adam", value_parser = optimiser)]
    pub(crate) optimiser: Optimiser,

    /// The side of a layer on which the group of the relative gradient acts.
    #[arg(long, value_enum, default_value_t = Gradient::Plain)]
    pub(crate) gradient: Gradient,

    /// The most passes over the training rows [default: 5000].
    #[arg(long, value_name = "N")]
    pub(crate) epochs: Option<NonZeroU32>,

    /// The most time for training, such as 60s or 5m [default: no limit].
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) budget: Option<Duration>,

    /// Rows of a minibatch [default: 50].
    #[arg(long, value_name = "N")]
    pub(crate) batch: Option<NonZeroU32>,

    /// The initial learning rate [default: 0.64 over the number of columns, at most 0.01].
    #[arg(long, value_name = "X", value_parser = positive)]
    pub(crate) lr: Option<f64>,

    /// How the learning rate changes [default: plateau].
    #[arg(long, value_enum)]
    pub(crate) schedule: Option<Schedule>,

    /// Epochs without improvement after which training stops [default: 40 epochs and 2000 steps].
    #[arg(long, value_name = "N")]
    pub(crate) patience: Option<NonZeroU32>,

    /// Of the split, the initial weights, shuffles and noise.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,

    /// A file to hold out; all rows of DATA then train (90%) or validate (10%).
    #[arg(long, value_name = "FILE")]
    pub(crate) test: Option<PathBuf>,

    /// Rows of DATA that decide when to stop [default: a tenth].
    #[arg(long, value_name = "N")]
    pub(crate) validation: Option<NonZeroU32>,

    /// Points to draw from a toy distribution; 10,000 fresh ones are held out.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(4..=100_000_000))]
    pub(crate) rows: u32,

    /// Add uniform noise of one unit to columns of whole numbers [default for IDX files].
    #[arg(long)]
    pub(crate) dequantize: bool,

    /// Take the logit of LAMBDA + (1 - 2 LAMBDA) x / LEVELS first, as is done for images; LEVELS is
    /// 256 for IDX files, else one more than the largest value.
    #[arg(long, value_name = "LAMBDA", value_parser = lambda)]
    pub(crate) logit: Option<f64>,

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

impl Fit {
    /// The λ of the logit, where there is one.
    pub(crate) fn logit(&self) -> Option<f64> {
        let preset = match self.preset {
            Some(Preset::RgMnist) => Some(1e-6),
            _ => None,
        };
        self.logit.or(preset)
    }

    /// How many rows validate, where that is said.
    pub(crate) fn validation(&self) -> Option<usize> {
        let preset = match self.preset {
            // 50,000 of 60,000 then train, as in Papamakarios et al. 2017.
            Some(Preset::RgMnist) => NonZeroU32::new(10_000),
            _ => None,
        };
        self.validation.or(preset).map(|rows| rows.get() as usize)
    }
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

/// Experiments of Gresele et al. 2020.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preset {
    /// 100 layers for two-dimensional toys.
    RgToy,
    /// 2 layers for MNIST in logit space (DATA and --test are its IDX files).
    RgMnist,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Base {
    /// Standard normal.
    Normal,
    /// Hyperbolic secant, with heavier tails.
    Secant,
    /// Logistic.
    Logistic,
}

impl From<Base> for BaseDensity {
    fn from(base: Base) -> Self {
        match base {
            Base::Normal => Self::Normal,
            Base::Secant => Self::HyperbolicSecant,
            Base::Logistic => Self::Logistic,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Gradient {
    /// On the output.
    Plain,
    /// On the input.
    Transposed,
}

impl From<Gradient> for Side {
    fn from(gradient: Gradient) -> Self {
        match gradient {
            Gradient::Plain => Self::Plain,
            Gradient::Transposed => Self::Transposed,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Schedule {
    /// Halved whenever validation stops improving.
    Plateau,
    /// It does not.
    Constant,
    /// To zero along half a cosine over all epochs.
    Cosine,
}

impl From<Schedule> for flows::Schedule {
    fn from(schedule: Schedule) -> Self {
        match schedule {
            Schedule::Plateau => Self::Plateau,
            Schedule::Constant => Self::Constant,
            Schedule::Cosine => Self::Cosine,
        }
    }
}

/// `KIND` or `KIND:X,Y`, as the kind and its numbers.
fn kind(text: &str) -> Result<(&str, Vec<f64>), String> {
    let Some((kind, numbers)) = text.split_once(':') else {
        return Ok((text, Vec::new()));
    };
    let numbers = numbers.split(',').map(str::parse).collect::<Result<_, _>>();
    let numbers = numbers.map_err(|_| format!("expected numbers after `{kind}:`"))?;
    Ok((kind, numbers))
}

fn activation(text: &str) -> Result<Activation, String> {
    let (kind, numbers) = kind(text)?;
    let activation = match (kind, &*numbers) {
        ("identity", []) => Activation::Identity,
        ("leaky-softplus", []) => Activation::LeakySoftplus { alpha: 0.3 },
        ("leaky-softplus", &[alpha]) => Activation::LeakySoftplus { alpha },
        ("tanh-linear", []) => Activation::TanhLinear {
            alpha: 1.0,
            beta: 0.1,
        },
        ("tanh-linear", &[alpha, beta]) => Activation::TanhLinear { alpha, beta },
        _ => {
            return Err(
                "expected leaky-softplus:ALPHA, tanh-linear:ALPHA,BETA or identity".to_owned(),
            );
        }
    };
    activation.check()?;
    Ok(activation)
}

fn optimiser(text: &str) -> Result<Optimiser, String> {
    let (kind, numbers) = kind(text)?;
    match (kind, &*numbers) {
        ("adam", []) => Ok(Optimiser::Adam),
        ("sgd", []) => Ok(Optimiser::Sgd),
        ("momentum", []) => Ok(Optimiser::Momentum { decay: 0.9 }),
        ("momentum", &[decay]) if (0.0..1.0).contains(&decay) => Ok(Optimiser::Momentum { decay }),
        ("momentum", _) => Err("expected one decay of at least 0 and below 1".to_owned()),
        _ => Err("expected adam, sgd or momentum:DECAY".to_owned()),
    }
}

fn lambda(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(x) if x > 0.0 && x < 0.5 => Ok(x),
        _ => Err("expected a number between 0 and 0.5, such as 1e-6".to_owned()),
    }
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
