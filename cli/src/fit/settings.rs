//! What a fit does: what the user says, else what the preset says, else a default that fits the data.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use detfree::flows::Schedule;
use detfree::flows::relative::Optimiser;
use detfree::flows::residual::EstimatorChoice;
use detfree::{Activation, BaseDensity, Side};

use crate::args::{Fit, ModelKind, Preset};
use crate::failure::Failure;
use crate::fit::size::expect_size;

/// Without a cosine, training ends after this many epochs without improvement, and this many steps: a
/// small table's epochs are a few steps each.
const PATIENT_EPOCHS: u32 = 40;
const PATIENT_STEPS: u32 = 2_000;

/// Along a cosine, flows train for so many steps, and so many epochs at least and at most. The steps
/// decide how good a fit is: an end that waits for improvement to cease is now early, now late. Relative
/// flows of many rows lose by more steps; validation wants a few epochs to choose from.
const RELATIVE_STEPS: u32 = 48_000;
const RELATIVE_EPOCHS: RangeInclusive<u32> = 3..=MOST_EPOCHS;
const RESIDUAL_STEPS: u32 = 2_500;
const RESIDUAL_EPOCHS: RangeInclusive<u32> = 20..=MOST_EPOCHS;
const MOST_EPOCHS: u32 = 5_000;

/// Of one row there is no deviation, which the normalisation behind every block of a residual flow takes
/// of its first batch: the scale that it makes of none overflows.
const RESIDUAL_BATCH: u32 = 2;

/// Now and then a batch has a gradient that would undo hundreds of steps: cut to this length, flows of
/// two columns end nearer to each other and higher. With many columns all gradients are longer; Adam then
/// goes by their directions, which on 64 columns ends higher, too, and on MNIST as high.
const CLIP: f64 = 10.0;

/// The decay of the average of weights that evaluates a residual flow.
const RESIDUAL_AVERAGE: f64 = 0.99;
const BATCH: u32 = 50;

/// Everything that training asks for.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) flow: FlowSettings,
    pub(crate) base: BaseDensity,
    pub(crate) learning_rate: f64,
    pub(crate) schedule: Schedule,
    pub(crate) batch: u32,
    pub(crate) epochs: u32,
    pub(crate) patience: u32,
}

#[derive(Clone, Debug)]
pub(crate) enum FlowSettings {
    Relative(RelativeSettings),
    Residual(ResidualSettings),
}

#[derive(Clone, Debug)]
pub(crate) struct RelativeSettings {
    pub(crate) layers: usize,
    pub(crate) activation: Activation,
    pub(crate) optimiser: Optimiser,
    pub(crate) side: Side,
    pub(crate) clip: Option<f64>,
}

#[derive(Clone, Debug)]
pub(crate) struct ResidualSettings {
    pub(crate) blocks: usize,
    pub(crate) hidden: Vec<usize>,
    pub(crate) activation: Activation,
    pub(crate) lipschitz: f64,
    pub(crate) estimator: EstimatorChoice,
    pub(crate) clip: Option<f64>,
    pub(crate) ema: f64,
    pub(crate) warm_up: u64,
}

/// What a preset sets, of what depends on the data otherwise.
struct Defaults {
    learning_rate: f64,
    schedule: Schedule,
    batch: u32,
    length: Length,
    patience: Option<u32>,
}

/// How long training goes on along a cosine.
enum Length {
    Epochs(u32),
    Steps(u32, RangeInclusive<u32>),
}

impl Settings {
    /// For a table of `dim` columns, with `rows` of them to train on.
    ///
    /// # Errors
    ///
    /// An option of the other kind of model, a value that this kind has no use for, or more of everything
    /// than memory holds.
    pub(crate) fn new(options: &Fit, dim: usize, rows: usize) -> Result<Self, Failure> {
        refuse_foreign(options)?;
        let (flow, defaults) = match options.model {
            ModelKind::Relative => (
                FlowSettings::Relative(RelativeSettings::new(options, dim, rows)?),
                Defaults::relative(options.preset, dim),
            ),
            ModelKind::Residual => (
                FlowSettings::Residual(ResidualSettings::new(options, dim)?),
                Defaults::residual(dim, rows),
            ),
        };
        let batch = options.batch.map_or(defaults.batch, NonZeroU32::get);
        expect_size(&flow, dim, rows.min(batch as usize))?;
        let schedule = options.schedule.map_or(defaults.schedule, Into::into);
        let steps = (rows as u32 / batch).max(1);
        let epochs = match (defaults.length, schedule) {
            (Length::Epochs(epochs), _) => epochs,
            (Length::Steps(all, epochs), Schedule::Cosine) => {
                all.div_ceil(steps).clamp(*epochs.start(), *epochs.end())
            }
            (Length::Steps(..), _) => MOST_EPOCHS,
        };
        let epochs = options.epochs.map_or(epochs, NonZeroU32::get);
        let patience = match schedule {
            Schedule::Cosine => epochs,
            _ => PATIENT_EPOCHS.max(PATIENT_STEPS.div_ceil(steps)),
        };
        let asked = options.patience.map(NonZeroU32::get);
        Ok(Self {
            flow,
            base: options.base.into(),
            learning_rate: options.lr.unwrap_or(defaults.learning_rate),
            schedule,
            batch,
            epochs,
            patience: asked.or(defaults.patience).unwrap_or(patience),
        })
    }
}

impl Defaults {
    fn relative(preset: Option<Preset>, dim: usize) -> Self {
        match preset {
            None => Self {
                // A step changes a product of D terms: wide layers want smaller steps.
                learning_rate: (0.32 / dim as f64).min(0.01),
                schedule: Schedule::Cosine,
                batch: BATCH,
                length: Length::Steps(RELATIVE_STEPS, RELATIVE_EPOCHS),
                patience: None,
            },
            Some(Preset::Toy) => Self {
                learning_rate: 1e-2,
                schedule: Schedule::Cosine,
                batch: 100,
                length: Length::Epochs(400),
                patience: None,
            },
            Some(Preset::Mnist) => Self {
                learning_rate: 3e-4,
                schedule: Schedule::Cosine,
                batch: 100,
                length: Length::Epochs(60),
                patience: None,
            },
            Some(Preset::MnistPublished) => Self {
                learning_rate: 1e-4,
                schedule: Schedule::Constant,
                batch: 10,
                length: Length::Epochs(100),
                patience: Some(30),
            },
        }
    }

    fn residual(dim: usize, rows: usize) -> Self {
        // The density of few columns has fine detail, and wants gradients of many rows; an epoch of
        // a small table is a few steps all the same.
        let batch = if few(dim) { 500 } else { 64 };
        Self {
            learning_rate: 0.01,
            schedule: Schedule::Cosine,
            batch: batch.min((rows / 4) as u32).max(RESIDUAL_BATCH),
            length: Length::Steps(RESIDUAL_STEPS, RESIDUAL_EPOCHS),
            patience: None,
        }
    }
}

impl RelativeSettings {
    fn new(options: &Fit, dim: usize, rows: usize) -> Result<Self, Failure> {
        let sigma = Activation::LeakySoftplus {
            alpha: match options.preset {
                Some(Preset::MnistPublished) => 0.01,
                _ => 0.3,
            },
        };
        let activation = options.activation.unwrap_or(sigma);
        if !activation.is_bijection() {
            return Err(Failure::Option(format!(
                "--activation {} maps no line onto itself, so a layer of a relative flow cannot be \
                 inverted: expected leaky-softplus, tanh-linear or identity (or --model residual)",
                activation.name()
            )));
        }
        let layers = match options.preset {
            None => depth(dim, rows),
            Some(Preset::Toy) => 100,
            Some(Preset::Mnist | Preset::MnistPublished) => 2,
        };
        let optimiser = options.optimiser.unwrap_or(Optimiser::Adam);
        // SGD has a guard of its own.
        let images = options.preset.is_some_and(Preset::is_of_images);
        let clipped = !images && optimiser != Optimiser::Sgd;
        Ok(Self {
            layers: options.layers.map_or(layers, |l| l as usize),
            activation,
            optimiser,
            side: options.gradient.map_or(Side::Plain, Into::into),
            clip: options.clip.or(clipped.then_some(CLIP)),
        })
    }
}

impl ResidualSettings {
    fn new(options: &Fit, dim: usize) -> Result<Self, Failure> {
        let activation = options.activation;
        // Sines fit the curved shapes of few columns better, and more columns worse.
        let usual = if few(dim) {
            Activation::Sine
        } else {
            Activation::LipSwish { beta: 1.0 }
        };
        let activation = activation.unwrap_or(usual);
        if matches!(
            activation,
            Activation::Identity | Activation::TanhLinear { .. }
        ) {
            return Err(Failure::Option(format!(
                "--activation {} is for relative flows: expected lip-swish, elu, sine, tanh or \
                 leaky-softplus",
                activation.name()
            )));
        }
        if options
            .batch
            .is_some_and(|batch| batch.get() < RESIDUAL_BATCH)
        {
            return Err(Failure::Option(
                "--batch 1 is for relative flows: a residual one is normalised by the deviations of \
                 its first batch, and one row has none; expected 2 and more"
                    .to_owned(),
            ));
        }
        let asked = &options.residual;
        let width = (2 * dim).clamp(64, 256);
        let hidden = asked.hidden.as_ref().map(|widths| widths.0.clone());
        Ok(Self {
            blocks: asked
                .blocks
                .map_or(if few(dim) { 8 } else { 6 }, |n| n as usize),
            hidden: hidden.unwrap_or_else(|| vec![width; 2]),
            activation,
            lipschitz: asked.lipschitz.unwrap_or(0.9),
            estimator: asked.estimator.unwrap_or(EstimatorChoice::Auto),
            clip: options.clip,
            ema: asked.ema.unwrap_or(RESIDUAL_AVERAGE),
            warm_up: asked.warmup.map_or(0, |steps| u64::from(steps.get())),
        })
    }
}

/// Columns whose density a picture could show.
const fn few(dim: usize) -> bool {
    dim <= 8
}

/// Refuses options that the kind of model would ignore.
fn refuse_foreign(options: &Fit) -> Result<(), Failure> {
    let residual = &options.residual;
    let of_residual = [
        ("--blocks", residual.blocks.is_some()),
        ("--hidden", residual.hidden.is_some()),
        ("--lipschitz", residual.lipschitz.is_some()),
        ("--ema", residual.ema.is_some()),
        ("--warmup", residual.warmup.is_some()),
        ("--estimator", residual.estimator.is_some()),
        ("--explain", residual.explain),
    ];
    let other = options.optimiser.is_some_and(|o| o != Optimiser::Adam);
    let of_relative = [
        ("--preset", options.preset.is_some()),
        ("--layers", options.layers.is_some()),
        ("--gradient", options.gradient.is_some()),
        ("--optimiser (but adam)", other),
    ];
    let (here, elsewhere, given) = match options.model {
        ModelKind::Relative => ("relative", "residual", &of_residual[..]),
        ModelKind::Residual => ("residual", "relative", &of_relative[..]),
    };
    match given.iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(Failure::Option(format!(
            "{option} is for --model {elsewhere}, and this is --model {here}"
        ))),
        None => Ok(()),
    }
}

/// Layers where the user does not say: many for few columns, whose products mix little, but no more
/// than a parameter for every four rows. Deep flows of few rows have tails that sampling shows.
fn depth(dim: usize, rows: usize) -> usize {
    let parameters = dim * (dim + 1);
    (64 / dim).min(rows / (4 * parameters)).clamp(4, 32)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Action, Command};

    fn settings(model: &str, rows: usize) -> Settings {
        let command = ["detfree", "fit", "d.csv", "--model", model];
        match Command::parse_from(command).action {
            Action::Fit(options) => Settings::new(&options, 2, rows).unwrap(),
            action => panic!("{action:?}"),
        }
    }

    /// A million rows of two columns want as many steps as a thousand.
    #[test]
    fn steps_decide_and_not_rows() {
        for rows in [1_000, 100_000, 270_000, 900_000] {
            let settings = settings("relative", rows);
            let steps = settings.epochs * (rows as u32 / settings.batch);
            assert!((48_000..=54_000).contains(&steps), "{rows}: {steps}");
        }
        assert_eq!(settings("relative", 5_000_000).epochs, 3);
        assert_eq!(settings("residual", 900_000).epochs, 20);
    }

    #[test]
    fn batches_of_residual_flows_have_deviations() {
        for (rows, batch) in [(2, 2), (7, 2), (12, 3), (400, 100), (9_000, 500)] {
            assert_eq!(settings("residual", rows).batch, batch);
        }
    }
}
