//! What `unmix` says of its result.

use std::io::Write;
use std::time::Duration;

use detfree::flows::unmix::{Stop, Unmixing};
use serde::Serialize;

use crate::args::Precision;
use crate::args::Unmix;
use crate::data::{Table, columns};
use crate::failure::Failure;

/// Beyond this share a source is too close to Gaussian for its number of rows.
const MUCH: f64 = 0.03;

/// The most sources that a person is shown.
const SHOWN: usize = 20;

#[derive(Serialize)]
pub(super) struct Report {
    mode: &'static str,
    rows: usize,
    dim: usize,
    converged: bool,
    stopped_by: &'static str,
    /// Passes over the rows, with --online.
    iterations: u32,
    gradient_norm: f64,
    log_likelihood: f64,
    gaussian_log_likelihood: f64,
    seconds: f64,
    seed: u64,
    precision: &'static str,
    tracking: Option<Tracking>,
    sources: Vec<Source>,
    warnings: Vec<String>,
    sources_path: String,
    unmixing_path: String,
    mixing_path: String,
    #[serde(skip)]
    data: String,
    #[serde(skip)]
    heading: &'static str,
}

#[derive(Serialize)]
struct Source {
    name: String,
    explained_variance: f64,
    /// `None` where the rows do not tell it apart from the others.
    interference: Option<f64>,
    scale: f64,
    shift: f64,
}

#[derive(Serialize)]
struct Tracking {
    steps: u64,
    shrinks: u64,
    log_det_drift: f64,
    inverse_drift: f64,
}

impl Report {
    pub(super) fn new(options: &Unmix, table: &Table, found: &Unmixing, time: Duration) -> Self {
        let sources: Vec<Source> = (found.sources.each.iter().enumerate())
            .map(|(i, source)| Source {
                name: format!("source_{}", i + 1),
                explained_variance: source.explained_variance,
                interference: source.interference,
                scale: source.scale,
                shift: source.shift,
            })
            .collect();
        let display = |path: &std::path::Path| path.display().to_string();
        Self {
            mode: if options.online { "online" } else { "batch" },
            rows: table.rows(),
            dim: table.dim(),
            converged: found.stop == Stop::Converged,
            stopped_by: match found.stop {
                Stop::Converged => "convergence",
                Stop::Iterations => "iterations",
                Stop::Rounding => "rounding",
            },
            iterations: found.iterations,
            gradient_norm: found.gradient_norm,
            log_likelihood: found.log_likelihood,
            gaussian_log_likelihood: found.gaussian_log_likelihood,
            seconds: time.as_secs_f64(),
            seed: options.seed,
            precision: match options.precision {
                Precision::F32 => "f32",
                Precision::F64 => "f64",
            },
            tracking: found.tracking.map(|tracking| Tracking {
                steps: tracking.steps,
                shrinks: tracking.shrinks,
                log_det_drift: tracking.log_det_drift,
                inverse_drift: tracking.inverse_drift,
            }),
            warnings: warnings(found, &sources, options.precision),
            sources,
            sources_path: display(&options.sources),
            unmixing_path: display(&options.unmixing),
            mixing_path: display(&options.mixing),
            data: table.origin().to_owned(),
            heading: table.heading(),
        }
    }

    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    pub(super) fn print(&self, json: bool) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        if json {
            let line = serde_json::to_string(self).map_err(std::io::Error::from)?;
            writeln!(out, "{line}")?;
            return Ok(());
        }
        writeln!(
            out,
            "data       {}: {} rows, {}{}",
            self.data,
            self.rows,
            columns(self.dim),
            self.heading
        )?;
        let unit = match (self.mode, self.iterations) {
            ("online", 1) => "pass over the rows, one at a time",
            ("online", _) => "passes over the rows, one at a time",
            (_, 1) => "iteration",
            _ => "iterations",
        };
        let ending = if self.converged {
            "converged"
        } else {
            "not converged"
        };
        writeln!(
            out,
            "search     {} {unit}, {:.2} s: {ending}, gradient {:.1e}",
            self.iterations, self.seconds, self.gradient_norm
        )?;
        if let Some(Tracking {
            steps,
            shrinks,
            log_det_drift,
            inverse_drift,
        }) = self.tracking
        {
            writeln!(
                out,
                "tracking   {steps} steps, {shrinks} halvings; off by {log_det_drift:.1e} in \
                 log|det W|, {inverse_drift:.1e} in its inverse"
            )?;
        }
        let gain = self.log_likelihood - self.gaussian_log_likelihood;
        writeln!(out, "\nlog-likelihood, nats per row")?;
        writeln!(out, "  sources  {:>10.3}", self.log_likelihood)?;
        writeln!(
            out,
            "  Gaussian {:>10.3}   (full covariance, same rows)",
            self.gaussian_log_likelihood
        )?;
        writeln!(out, "  gain     {gain:>+10.3}\n")?;
        self.print_sources(&mut out)?;
        writeln!(out, "\nsources    {}", self.sources_path)?;
        writeln!(out, "unmixing   {}", self.unmixing_path)?;
        writeln!(out, "mixing     {}", self.mixing_path)?;
        Ok(())
    }

    fn print_sources(&self, out: &mut impl Write) -> Result<(), Failure> {
        writeln!(
            out,
            "{:<12}{:>20}{:>14}",
            "source", "explained variance", "interference"
        )?;
        for source in self.sources.iter().take(SHOWN) {
            let foreign = match source.interference {
                Some(x) => format!("{:.2}%", 100.0 * x),
                None => "not separable".to_owned(),
            };
            let share = 100.0 * source.explained_variance;
            writeln!(out, "{:<12}{share:>19.2}%{foreign:>14}", source.name)?;
        }
        if let Some(more) = self.sources.len().checked_sub(SHOWN + 1) {
            writeln!(out, "and {} more, which --json lists", more + 1)?;
        }
        Ok(())
    }
}

fn warnings(found: &Unmixing, sources: &[Source], precision: Precision) -> Vec<String> {
    let mut warnings = Vec::new();
    match found.stop {
        Stop::Converged => {}
        Stop::Iterations => warnings.push(format!(
            "did not converge: the gradient is still {:.1e}; raise --iterations",
            found.gradient_norm
        )),
        Stop::Rounding => {
            let advice = match precision {
                Precision::F32 => "; try --precision f64",
                Precision::F64 => "",
            };
            warnings.push(format!(
                "did not converge: rounding hides what the last gradient, {:.1e}, could gain{advice}",
                found.gradient_norm
            ));
        }
    }
    let mixed: Vec<&str> = (sources.iter())
        .filter(|source| source.interference.is_none_or(|x| x > MUCH))
        .map(|source| source.name.as_str())
        .collect();
    if let [shown @ .., last] = mixed.as_slice() {
        let list = match (shown, mixed.len().checked_sub(6)) {
            ([], _) => (*last).to_owned(),
            (shown, None | Some(0)) => format!("{} and {last}", shown.join(", ")),
            (shown, Some(more)) => format!("{} and {} more", shown[..5].join(", "), more + 1),
        };
        let verb = if mixed.len() == 1 { "holds" } else { "hold" };
        warnings.push(format!(
            "{list} probably {verb} more than {:.0}% of other sources: not enough heavy tails, or \
             rows, to tell them apart",
            100.0 * MUCH
        ));
    }
    warnings
}
