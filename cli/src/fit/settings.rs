//! What a fit does: what the user says, else what the preset says, else a default that fits the data.

use std::num::NonZeroU32;

use detfree::flows::Schedule;
use detfree::flows::relative::Optimiser;
use detfree::{Activation, BaseDensity, Side};

use crate::args::{Fit, Preset};

/// Training ends after this many epochs without improvement, and this many steps: a small table's
/// epochs are a few steps each.
const PATIENT_EPOCHS: u32 = 40;
const PATIENT_STEPS: u32 = 2_000;

const EPOCHS: u32 = 5_000;
const BATCH: u32 = 50;

/// Everything that training asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) layers: usize,
    pub(crate) activation: Activation,
    pub(crate) base: BaseDensity,
    pub(crate) optimiser: Optimiser,
    pub(crate) side: Side,
    pub(crate) learning_rate: f64,
    pub(crate) schedule: Schedule,
    pub(crate) batch: u32,
    pub(crate) epochs: u32,
    pub(crate) patience: u32,
}

/// What a preset sets, of what depends on the data otherwise.
struct Defaults {
    layers: usize,
    activation: Activation,
    learning_rate: f64,
    schedule: Schedule,
    batch: u32,
    epochs: u32,
    patience: Option<u32>,
}

impl Settings {
    /// For a table of `dim` columns, with `rows` of them to train on.
    pub(crate) fn new(options: &Fit, dim: usize, rows: usize) -> Self {
        let defaults = Defaults::of(options.preset, dim, rows);
        let batch = options.batch.map_or(defaults.batch, NonZeroU32::get);
        let steps = (rows as u32 / batch).max(1);
        let patient = PATIENT_EPOCHS.max(PATIENT_STEPS.div_ceil(steps));
        Self {
            layers: options.layers.map_or(defaults.layers, |l| l as usize),
            activation: options.activation.unwrap_or(defaults.activation),
            base: options.base.into(),
            optimiser: options.optimiser,
            side: options.gradient.into(),
            learning_rate: options.lr.unwrap_or(defaults.learning_rate),
            schedule: options.schedule.map_or(defaults.schedule, Into::into),
            batch,
            epochs: options.epochs.map_or(defaults.epochs, NonZeroU32::get),
            patience: options
                .patience
                .map(NonZeroU32::get)
                .or(defaults.patience)
                .unwrap_or(patient),
        }
    }
}

impl Defaults {
    fn of(preset: Option<Preset>, dim: usize, rows: usize) -> Self {
        let activation = Activation::LeakySoftplus { alpha: 0.3 };
        match preset {
            None => Self {
                layers: depth(dim, rows),
                activation,
                // A step changes a product of D terms: wide layers want smaller steps.
                learning_rate: (0.64 / dim as f64).min(0.01),
                schedule: Schedule::Plateau,
                batch: BATCH,
                epochs: EPOCHS,
                patience: None,
            },
            Some(Preset::RgToy) => Self {
                layers: 100,
                activation,
                learning_rate: 1e-2,
                schedule: Schedule::Cosine,
                batch: 100,
                epochs: 400,
                patience: Some(400),
            },
            Some(Preset::RgMnist) => Self {
                layers: 2,
                activation,
                learning_rate: 3e-4,
                schedule: Schedule::Cosine,
                batch: 100,
                epochs: 60,
                patience: Some(60),
            },
        }
    }
}

/// Layers where the user does not say: many for few columns, whose products mix little, but no more
/// than a parameter for every four rows. Deep flows of few rows have tails that sampling shows.
fn depth(dim: usize, rows: usize) -> usize {
    let parameters = dim * (dim + 1);
    (64 / dim).min(rows / (4 * parameters)).clamp(4, 32)
}
