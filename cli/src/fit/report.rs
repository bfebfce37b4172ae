//! What `fit` says of its result.

use std::f64::consts::LN_2;
use std::io::Write;
use std::path::Path;

use detfree::flows::{FlowParameters, LogLikelihoods};
use serde::{Serialize, Serializer};

use crate::args::Fit;
use crate::data::{Parts, columns};
use crate::failure::Failure;
use crate::fit::train::Trained;

/// Log-likelihoods per row, in nats in the data's own units.
pub(crate) struct Comparison {
    pub(crate) held_out: LogLikelihoods,
    /// Of every row of the data file, where the report has a place for it: estimates take their time.
    pub(crate) all: Option<Vec<f64>>,
    /// Of the held-out rows; `None` where no Gaussian fits the training rows.
    pub(crate) gaussian: Option<Vec<f64>>,
    /// The mean log|det| of the logit at the held-out rows, where one was taken.
    pub(crate) logit_jacobian: Option<f64>,
}

#[derive(Serialize)]
pub(crate) struct Report {
    #[serde(serialize_with = "figure")]
    held_out_log_likelihood: f64,
    standard_error: Option<f64>,
    /// Of the mean above as an estimate of the held-out rows' own, where their log-determinants are
    /// estimated.
    #[serde(skip_serializing_if = "Option::is_none")]
    estimate_standard_error: Option<f64>,
    #[serde(serialize_with = "optional_figure")]
    gaussian_log_likelihood: Option<f64>,
    #[serde(serialize_with = "optional_figure")]
    all_rows_log_likelihood: Option<f64>,
    /// Of the held-out rows in logit space, where a logit was taken.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "optional_figure"
    )]
    logit_log_likelihood: Option<f64>,
    /// Of the held-out whole numbers, where a logit was taken.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "optional_figure"
    )]
    bits_per_dimension: Option<f64>,
    rows_train: usize,
    rows_validation: usize,
    rows_held_out: usize,
    dim: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    layers: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocks: Option<usize>,
    epochs: u32,
    best_epoch: u32,
    seconds: f64,
    seed: u64,
    stopped_by: &'static str,
    model_path: String,
    plot_path: Option<String>,
    #[serde(skip)]
    source: String,
    #[serde(skip)]
    heading: &'static str,
    #[serde(skip)]
    dequantized: usize,
}

impl Report {
    pub(crate) fn new(
        options: &Fit,
        trained: &Trained,
        parts: &Parts,
        comparison: &Comparison,
        model_path: &Path,
    ) -> Self {
        let display = |path: &Path| path.display().to_string();
        let held_out = &comparison.held_out.values;
        let estimate = comparison.held_out.mean_standard_error();
        let (layers, blocks) = match &trained.model.flow {
            FlowParameters::Relative(flow) => (Some(flow.layers.len()), None),
            FlowParameters::Residual(flow) => (None, Some(flow.blocks.len())),
        };
        Self {
            held_out_log_likelihood: mean(held_out),
            standard_error: standard_error(held_out),
            estimate_standard_error: (estimate > 0.0).then_some(estimate),
            gaussian_log_likelihood: comparison.gaussian.as_deref().map(mean),
            all_rows_log_likelihood: comparison.all.as_deref().map(mean),
            logit_log_likelihood: comparison.logit_jacobian.map(|log| mean(held_out) - log),
            bits_per_dimension: comparison
                .logit_jacobian
                .map(|_| -mean(held_out) / (LN_2 * parts.data.dim() as f64)),
            rows_train: parts.train.len(),
            rows_validation: parts.validation.len(),
            rows_held_out: parts.held_out.len(),
            dim: parts.data.dim(),
            layers,
            blocks,
            epochs: trained.epochs,
            best_epoch: trained.best_epoch,
            seconds: trained.time.as_secs_f64(),
            seed: options.seed,
            stopped_by: trained.stopped_by,
            model_path: display(model_path),
            plot_path: options.plot.as_deref().map(display),
            source: parts.data.origin().to_owned(),
            heading: parts.data.heading(),
            dequantized: trained.model.dequantized.len(),
        }
    }

    pub(crate) fn print(&self, json: bool) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        if json {
            let line = serde_json::to_string(self).map_err(std::io::Error::from)?;
            writeln!(out, "{line}")?;
            return Ok(());
        }
        let dequantized = match self.dequantized {
            0 => String::new(),
            n => format!(", {n} dequantised"),
        };
        let best = self.best_epoch;
        let depth = match (self.layers, self.blocks) {
            (Some(layers), _) => format!("{layers} layers"),
            (None, blocks) => format!("{} blocks", blocks.unwrap_or_default()),
        };
        writeln!(
            out,
            "data       {}: {}{}{dequantized}",
            self.source,
            columns(self.dim),
            self.heading
        )?;
        writeln!(
            out,
            "rows       {} to train, {} to validate, {} held out",
            self.rows_train, self.rows_validation, self.rows_held_out
        )?;
        writeln!(
            out,
            "training   {depth}, {} epochs in {:.1} s, stopped by {}; best epoch {best}",
            self.epochs, self.seconds, self.stopped_by
        )?;
        writeln!(out)?;
        writeln!(out, "held-out log-likelihood, nats per row")?;
        let error = self
            .standard_error
            .map_or_else(String::new, |error| format!(" ± {error:.3}"));
        writeln!(
            out,
            "  model    {:>10.3}{error}",
            self.held_out_log_likelihood
        )?;
        if let Some(estimate) = self.estimate_standard_error {
            writeln!(
                out,
                "                        of these ± {estimate:.1e} from estimated log-determinants"
            )?;
        }
        match self.gaussian_log_likelihood {
            Some(gaussian) => {
                writeln!(
                    out,
                    "  Gaussian {gaussian:>10.3}   (full covariance, same training rows)"
                )?;
                let gain = self.held_out_log_likelihood - gaussian;
                if gain.is_finite() {
                    writeln!(out, "  gain     {gain:>+10.3}")?;
                }
            }
            None => writeln!(
                out,
                "  Gaussian        none: the training rows' covariance is singular"
            )?,
        }
        if let (Some(logit), Some(bits)) = (self.logit_log_likelihood, self.bits_per_dimension) {
            writeln!(
                out,
                "  in logit space {logit:.3}, bits per dimension {bits:.4}"
            )?;
        }
        writeln!(out)?;
        writeln!(out, "model      {}", self.model_path)?;
        if let Some(path) = &self.plot_path {
            writeln!(out, "picture    {path}")?;
        }
        Ok(())
    }
}

/// JSON has no infinite numbers: they are strings, as `score` prints them.
fn figure<S: Serializer>(figure: &f64, to: S) -> Result<S::Ok, S::Error> {
    match figure.is_finite() {
        true => to.serialize_f64(*figure),
        false => to.collect_str(figure),
    }
}

fn optional_figure<S: Serializer>(optional: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
    match optional {
        Some(x) => figure(x, to),
        None => to.serialize_none(),
    }
}

fn mean(figures: &[f64]) -> f64 {
    figures.iter().sum::<f64>() / figures.len() as f64
}

/// s/√n; `None` of a single row, or where one is −∞.
fn standard_error(figures: &[f64]) -> Option<f64> {
    let count = figures.len() as f64;
    let mean = mean(figures);
    let squares: f64 = figures.iter().map(|x| (x - mean).powi(2)).sum();
    let error = (squares / (count - 1.0) / count).sqrt();
    Some(error).filter(|error| error.is_finite())
}
