//! What `fit` is told.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use detfree::flows::relative::Optimiser;
use detfree::{Activation, BaseDensity, Side, flows};

use super::residual::Residual;
use crate::backend::Choice;

use super::values::{activation, duration, lambda, optimiser, positive, threads};

/// Fit a density to the rows of a table and save it.
///
/// Rows are split at random: 80% train, 10% decide which weights to keep, 10% are held out and make the
/// report. The report is in nats per row in the data's own units, beside the same figure for a
/// full-covariance Gaussian.
///
/// Ctrl-C, or SIGTERM, ends training early: the best model so far is kept, reported and saved. A second one
/// ends the program.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    detfree fit data/faithful.csv --dequantize --plot density.png\n  \
    detfree fit toy:moons --layers 40 --budget 30s --plot moons.png\n  \
    detfree fit data/digits.csv.gz --dequantize --model residual --checkpoint digits.run\n  \
    detfree fit train.npy --test test.npy --json")]
pub(crate) struct Fit {
    /// A .csv or .csv.gz file (a first line without numbers is a header), .npy, IDX (.gz too), - for
    /// standard input, or toy:NAME, with the name 8gaussians, moons, half-moons, sine, trimodal, 2spirals,
    /// checkerboard or rings.
    pub(crate) data: String,

    /// The kind of model.
    #[arg(long, value_enum, default_value_t = ModelKind::Relative)]
    pub(crate) model: ModelKind,

    /// Settings of an experiment; other options change single ones of them.
    #[arg(long, value_enum, value_name = "NAME")]
    pub(crate) preset: Option<Preset>,

    /// Layers of a relative flow [default: 4 to 32, the more the fewer the columns and the more the rows].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) layers: Option<u32>,

    /// Between layers: leaky-softplus:ALPHA, and of relative flows tanh-linear:ALPHA,BETA or identity,
    /// of residual ones lip-swish:BETA (learned from there), elu, sine or tanh [default:
    /// leaky-softplus:0.3; of residual flows sine for up to eight columns, lip-swish for more].
    #[arg(long, value_name = "KIND", value_parser = activation)]
    pub(crate) activation: Option<Activation>,

    /// The density of the flow's output.
    #[arg(long, value_enum, default_value_t = Base::Normal)]
    pub(crate) base: Base,

    /// The rule by which a gradient becomes a step: adam or, for relative flows only, momentum:DECAY or
    /// sgd. With sgd, progress shows the exact log-likelihood of the training rows, which is updated in
    /// every step [default: adam].
    #[arg(long, value_name = "KIND", value_parser = optimiser)]
    pub(crate) optimiser: Option<Optimiser>,

    /// The side of a layer on which the group of the relative gradient acts [default: plain].
    #[arg(long, value_enum)]
    pub(crate) gradient: Option<Gradient>,

    /// The most passes over the training rows [default: as many as 48,000 steps take, but 3 to 5000; of
    /// residual flows as many as 2500 steps take, but 20 to 5000; 5000 without a cosine].
    #[arg(long, value_name = "N")]
    pub(crate) epochs: Option<NonZeroU32>,

    /// The most time for training, such as 60s or 5m [default: no limit].
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) budget: Option<Duration>,

    /// Rows of a minibatch, of residual flows at least 2 [default: 50; of residual flows up to 500, the
    /// more the fewer the columns].
    #[arg(long, value_name = "N")]
    pub(crate) batch: Option<NonZeroU32>,

    /// The initial learning rate [default: 0.32 over the number of columns, at most 0.01; of residual
    /// flows 0.01].
    #[arg(long, value_name = "X", value_parser = positive)]
    pub(crate) lr: Option<f64>,

    /// How the learning rate changes [default: cosine].
    #[arg(long, value_enum)]
    pub(crate) schedule: Option<Schedule>,

    /// The largest norm of a gradient: a longer one is scaled down to it [default: 10 for relative flows;
    /// no limit with sgd, with the presets for MNIST, and for residual flows].
    #[arg(long, value_name = "NORM", value_parser = positive)]
    pub(crate) clip: Option<f64>,

    /// Epochs without improvement after which training stops [default: all; without a cosine 40, and as
    /// many as 2000 steps take].
    #[arg(long, value_name = "N")]
    pub(crate) patience: Option<NonZeroU32>,

    /// The seed of all random numbers: those of the split, the initial weights, the order of rows, and
    /// the noise.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,

    /// A file with DATA's columns to hold out; all rows of DATA then train (90%) or validate (10%).
    #[arg(long, value_name = "FILE")]
    pub(crate) test: Option<PathBuf>,

    /// Rows of DATA that decide which weights to keep [default: a tenth].
    #[arg(long, value_name = "N")]
    pub(crate) validation: Option<NonZeroU32>,

    /// Points to draw from a toy distribution; 10,000 fresh ones are held out [default: 10000].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(4..=100_000_000))]
    pub(crate) rows: Option<u32>,

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

    /// Where to compute; cuda needs a build with --features cuda.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) backend: Choice,

    /// Threads [default: all processors]. The numbers of a residual model, and of a relative one of 80 to
    /// 160 columns, depend on how many: with the same number of threads they repeat.
    #[arg(long, value_name = "N", value_parser = threads())]
    pub(crate) threads: Option<u32>,

    /// The model file to write.
    #[arg(long, value_name = "FILE", default_value = "model.safetensors")]
    pub(crate) out: PathBuf,

    /// A picture of the data beside the learned density: a PNG file, name.png.
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,

    /// A file to save the run in as it goes, for --resume.
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,

    /// The time between two such savings, such as 30s; the end of the run is saved too.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration, requires = "checkpoint")]
    pub(crate) checkpoint_every: Duration,

    /// Go on from the file of --checkpoint, where there is one: with the same options, --threads among
    /// them, the same numbers as without a break.
    #[arg(long, requires = "checkpoint")]
    pub(crate) resume: bool,

    /// Print one JSON object as the last line of stdout, and no progress. A figure that is infinite is the
    /// string "-inf" or "inf"; one that does not exist is null.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) residual: Residual,
}

impl Fit {
    /// The λ of the logit, where there is one.
    pub(crate) fn logit(&self) -> Option<f64> {
        let preset = self.preset.filter(|preset| preset.is_of_images());
        self.logit.or(preset.map(|_| 1e-6))
    }

    /// How many rows validate, where that is said.
    pub(crate) fn validation(&self) -> Option<usize> {
        let preset = self.preset.filter(|preset| preset.is_of_images());
        // 50,000 of 60,000 then train, as in Papamakarios et al. 2017.
        let validation = self.validation.map(|rows| rows.get() as usize);
        validation.or(preset.map(|_| 10_000))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModelKind {
    /// Square layers trained by the relative gradient; exact likelihood.
    Relative,
    /// Contractive residual blocks; unbiased likelihood.
    Residual,
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
    #[value(name = "rg-toy")]
    Toy,
    /// 2 layers for MNIST in logit space (DATA and --test are its IDX files).
    #[value(name = "rg-mnist")]
    Mnist,
    /// The same with the settings of the authors' program: steeper activations, batches of 10, and a
    /// constant learning rate.
    #[value(name = "rg-mnist-published")]
    MnistPublished,
}

impl Preset {
    /// Whether pixels are preprocessed as in Papamakarios et al. 2017.
    pub(crate) const fn is_of_images(self) -> bool {
        matches!(self, Self::Mnist | Self::MnistPublished)
    }
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
