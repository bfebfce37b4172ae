//! One fit, from points to a model, a slice of time after the other.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use detfree_core::{BaseDensity, Key};
use detfree_flows::{FlowParameters, Model, Precision, Standardisation};

use crate::course::{self, Course};
use crate::density::Density;
use crate::points::Parts;
use crate::settings::Method;
use crate::{Real, gaussian};

/// What the seed is for.
const SPLIT: u64 = 0;
const TRAINING: u64 = 1;
const SAMPLES: u64 = 2;

/// A fit of a flow to points in the plane.
///
/// What training borrows lives as long as the program: in a browser that is one instance of the module,
/// which is made for one fit and goes with it.
///
/// ```
/// use detfree_browser::{Method, Run, toy};
/// let names = ["x", "y"].map(str::to_owned);
/// let mut run = Run::new(Method::Relative, &toy(0, 500, 1), names, 1).unwrap();
/// let before = *run.figures();
/// assert!(run.train(200).unwrap());
/// let after = run.figures();
/// assert!(after.held_out > before.held_out && after.steps == 200.0);
/// ```
pub struct Run {
    course: Box<dyn Course>,
    density: Density,
    parts: Parts,
    samples: Key,
    figures: Figures,
}

/// Where a fit stands. Log-likelihoods are means in nats per point, in the data's own units.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Steps taken.
    pub steps: f64,
    /// Whole epochs taken.
    pub epochs: f64,
    /// The epoch whose weights were kept, which are those of the model.
    pub best_epoch: f64,
    /// Vector-Jacobian products of training.
    pub products: f64,
    /// The log-likelihood of the held-out points.
    pub held_out: f64,
    /// Its standard error as an estimate of the expected one.
    pub standard_error: f64,
    /// The log-likelihood that a Gaussian with full covariance gives them; NaN where there is none.
    pub gaussian: f64,
    /// Points that train, validate and are held out.
    pub points: [f64; 3],
    /// Layers or blocks.
    pub layers: f64,
    /// The most epochs.
    pub most_epochs: f64,
}

impl Figures {
    /// All of them in this order, the points as three.
    #[must_use]
    pub fn to_vec(&self) -> Vec<f64> {
        let [train, validation, held_out] = self.points;
        vec![
            self.steps,
            self.epochs,
            self.best_epoch,
            self.products,
            self.held_out,
            self.standard_error,
            self.gaussian,
            train,
            validation,
            held_out,
            self.layers,
            self.most_epochs,
        ]
    }
}

impl Run {
    /// A fit at its beginning, of points given as x and y by turns.
    ///
    /// # Errors
    /// A sentence for the user: points that make no density.
    pub fn new(
        method: Method,
        points: &[f64],
        names: [String; 2],
        seed: u32,
    ) -> Result<Self, String> {
        let key = Key::new(u64::from(seed));
        let parts = Parts::new(points, key.fold_in(SPLIT))?;
        let standardisation = Standardisation::of(2, parts.train.chunks_exact(2)).ok_or(
            "All points lie on one horizontal or vertical line, or their numbers are too large or too \
             close together: a density in the plane wants points that spread.",
        )?;
        let mut model = Model {
            columns: names.into(),
            dequantized: Vec::new(),
            seed: u64::from(seed),
            precision: if size_of::<Real>() == 4 {
                Precision::Single
            } else {
                Precision::Double
            },
            squash: None,
            standardisation,
            base: BaseDensity::Normal,
            // Until the course tells.
            flow: FlowParameters::Relative(course::NOTHING),
        };
        let course = course::start(
            method,
            model.inputs(&parts.train),
            model.inputs(&parts.validation),
            key.fold_in(TRAINING),
        )?;
        model.flow = course.parameters();
        let points = [&parts.train, &parts.validation, &parts.held_out];
        let figures = Figures {
            gaussian: gaussian::log_likelihood(&parts.train, &parts.held_out),
            points: points.map(|part| (part.len() / 2) as f64),
            ..Figures::default()
        };
        let mut run = Self {
            course,
            density: Density::new(model)?,
            parts,
            samples: key.fold_in(SAMPLES),
            figures,
        };
        run.evaluate()?;
        Ok(run)
    }

    /// Takes steps; whether there are more to be taken.
    ///
    /// # Errors
    /// A sentence for the user: training diverged. The model is still the best one before.
    pub fn train(&mut self, steps: u32) -> Result<bool, String> {
        let going = self.course.train(steps)?;
        let status = self.course.status();
        self.figures.steps = status.steps as f64;
        self.figures.epochs = f64::from(status.epochs);
        self.figures.products = status.products as f64;
        if f64::from(status.best_epoch) != self.figures.best_epoch {
            let model = Model {
                flow: self.course.parameters(),
                ..self.density.model().clone()
            };
            self.density = Density::new(model)?;
            self.evaluate()?;
        }
        Ok(going)
    }

    /// Of the model as it is: the best weights so far, as the validation points tell.
    #[must_use]
    pub const fn figures(&self) -> &Figures {
        &self.figures
    }

    /// The density that has been learned so far.
    pub const fn density(&mut self) -> &mut Density {
        &mut self.density
    }

    /// The points that nothing has seen, x and y by turns.
    #[must_use]
    pub fn held_out(&self) -> &[f64] {
        &self.parts.held_out
    }

    /// Samples, x and y by turns: from the same draws of the base density every time, so that they move
    /// as the flow does.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn sample(&self, count: usize) -> Result<Vec<f64>, String> {
        self.density.sample(self.samples, count)
    }

    /// The model file that the command reads.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn model_file(&self) -> Result<Vec<u8>, String> {
        let bytes = self.density.model().to_bytes();
        bytes.map_err(|_| "The weights are no model any more: start again.".to_owned())
    }

    fn evaluate(&mut self) -> Result<(), String> {
        let found = self.density.log_density(&self.parts.held_out)?;
        let count = found.len() as f64;
        let mean = found.iter().sum::<f64>() / count;
        let squares: f64 = found.iter().map(|x| (x - mean) * (x - mean)).sum();
        let status = self.course.status();
        self.figures.held_out = mean;
        self.figures.standard_error = libm::sqrt(squares / (count - 1.0) / count);
        self.figures.best_epoch = f64::from(status.best_epoch);
        self.figures.layers = status.layers as f64;
        self.figures.most_epochs = f64::from(status.most_epochs);
        Ok(())
    }
}
