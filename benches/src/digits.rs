//! A residual flow trained on images of handwritten digits.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use detfree::flows::residual::{ResidualFlow, ResidualOptions, ResidualParameters};
use detfree::flows::{FitOptions, Schedule, Standardisation, TrainingRows, fit};
use detfree::{Allocate, BaseDensity, FlowBackend, Key};
use flate2::read::GzDecoder;

use crate::block::ACTIVATION;
use crate::flow::{self, Plan};
use crate::turns::Outcome;

/// The widths of its nets.
pub const WIDTHS: [usize; 4] = [64, 128, 128, 64];

/// How many blocks.
const BLOCKS: usize = 6;

/// Rows of a batch.
const BATCH: usize = 64;

/// Rows that training does not see.
const HELD_OUT: usize = 360;

/// Images whose whole numbers have become densities by uniform noise, standardised.
pub struct Digits {
    standardisation: Standardisation,
    training: Vec<f64>,
    held_out: Vec<f64>,
}

/// A flow, as it was at its best.
pub struct Trained {
    /// Its numbers.
    pub parameters: ResidualParameters,
    /// Of every block, the certified bound of its Lipschitz constant.
    pub contractions: Vec<f64>,
    /// The mean log-likelihood of held-out images in their own units, an estimate.
    pub log_likelihood: f64,
}

impl Digits {
    /// Those of a gzipped table with a header.
    ///
    /// # Errors
    /// Where it is no such table of 64 columns.
    pub fn read(path: &Path) -> Outcome<Self> {
        let dim = WIDTHS[0];
        let mut rows: Vec<Vec<f64>> = Vec::new();
        for line in BufReader::new(GzDecoder::new(File::open(path)?))
            .lines()
            .skip(1)
        {
            let row: Result<Vec<f64>, _> = line?.split(',').map(str::parse).collect();
            rows.push(row?);
        }
        if rows.len() <= HELD_OUT || rows.iter().any(|row| row.len() != dim) {
            return Err(format!("{}: expected 64 columns", path.display()).into());
        }
        // In an order of its own: the table has its writers one after the other.
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|&row| Key::new(5).fold_in(row as u64).bits());
        let noisy = |&row: &usize| {
            let numbers = rows[row].iter().zip(0..);
            let noise = numbers.map(move |(x, j)| x + Key::new(6).uniform(row as u64, j));
            noise.collect::<Vec<f64>>()
        };
        let (held_out, training) = order.split_at(HELD_OUT);
        let noise = training.iter().map(noisy).collect::<Vec<_>>();
        let standardisation = Standardisation::of(dim, noise.iter().map(Vec::as_slice))
            .ok_or("a column is constant")?;
        let standard = |mut row: Vec<f64>| {
            standardisation.apply(&mut row);
            row
        };
        Ok(Self {
            // Their noise is drawn anew in every epoch.
            training: training
                .iter()
                .flat_map(|&row| standard(rows[row].clone()))
                .collect(),
            held_out: held_out.iter().map(noisy).flat_map(standard).collect(),
            standardisation,
        })
    }

    /// Held-out rows, row-major.
    #[must_use]
    pub fn held_out(&self) -> &[f64] {
        &self.held_out
    }

    /// A flow that is trained for so many seconds, or until it no longer gets better.
    ///
    /// # Errors
    /// The device's.
    pub fn train<B>(&self, b: &B, threads: usize, seconds: f64) -> Outcome<Trained>
    where
        B: FlowBackend<Scalar = f32> + Allocate + Sync,
        B::Error: core::error::Error + 'static,
    {
        let plan = Plan {
            widths: WIDTHS.to_vec(),
            blocks: BLOCKS,
            activation: ACTIVATION,
            estimator: flow::certified(),
            batch: BATCH,
            rate: 0.01,
            shards: threads,
        };
        let mut trainer = flow::trainer(b, &plan)?;
        let single = |x: &[f64]| x.iter().map(|&x| x as f32).collect::<Vec<f32>>();
        let training = TrainingRows {
            values: single(&self.training),
            noise: self
                .standardisation
                .scale
                .iter()
                .map(|s| (1.0 / s) as f32)
                .collect(),
            squash: None,
        };
        let options = FitOptions {
            epochs: u32::MAX,
            batch: plan.batch,
            learning_rate: plan.rate,
            schedule: Schedule::Plateau,
            patience: 80,
            key: Key::new(7),
        };
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        let observe = |_| match Instant::now() < end {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        };
        let report = fit(
            b,
            &mut trainer,
            &training,
            &single(&self.held_out),
            &options,
            observe,
        )?;
        Ok(Trained {
            parameters: trainer.flow().to_parameters(b)?,
            contractions: trainer.flow().contractions().collect(),
            log_likelihood: report.best + self.standardisation.log_jacobian(),
        })
    }
}

/// A flow of one block that nobody has trained.
///
/// # Errors
/// The device's.
pub fn random<B>(b: &B) -> Outcome<Trained>
where
    B: FlowBackend + Allocate,
    B::Error: core::error::Error + 'static,
{
    let options = ResidualOptions {
        blocks: 1,
        hidden: WIDTHS[1..3].to_vec(),
        activation: ACTIVATION,
        lipschitz: 0.9,
        base: BaseDensity::Normal,
    };
    let flow = ResidualFlow::random(b, WIDTHS[0], &options, Key::new(1))?;
    Ok(Trained {
        parameters: flow.to_parameters(b)?,
        contractions: flow.contractions().collect(),
        log_likelihood: f64::NAN,
    })
}
