//! What a person sees while a model trains, a bar on a terminal and plain lines elsewhere, and while it
//! scores.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use detfree::flows::EpochReport;
use indicatif::{ProgressBar, ProgressStyle};

/// Time between two plain lines.
const INTERVAL: Duration = Duration::from_secs(2);

pub(crate) enum Progress {
    Silent,
    Bar(ProgressBar),
    Lines { epochs: u32, last: Option<Instant> },
}

impl Progress {
    pub(crate) fn new(epochs: u32, silent: bool) -> Self {
        if silent {
            Self::Silent
        } else if stderr().is_terminal() {
            let bar = ProgressBar::new(u64::from(epochs));
            let template = "epoch {pos}/{len} {wide_bar} {elapsed_precise} {msg}";
            Self::Bar(ticking(bar, template))
        } else {
            Self::Lines { epochs, last: None }
        }
    }

    /// An epoch; `log_jacobian` brings its figures to nats per row in the data's own units.
    pub(crate) fn epoch(&mut self, report: &EpochReport, log_jacobian: f64) {
        match self {
            Self::Silent => {}
            Self::Bar(bar) => {
                bar.set_position(u64::from(report.epoch));
                bar.set_message(figures(report, log_jacobian));
            }
            Self::Lines { epochs, last } => {
                if last.is_none_or(|last| last.elapsed() >= INTERVAL) {
                    let (epoch, figures) = (report.epoch, figures(report, log_jacobian));
                    eprintln!("epoch {epoch}/{epochs}: {figures}");
                    *last = Some(Instant::now());
                }
            }
        }
    }

    pub(crate) fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// On a terminal, that rows are scored, and for how long, until this is dropped: all rows come at once, so
/// that there is nothing to count.
pub(crate) fn scoring(rows: usize, silent: bool) -> Option<ProgressBar> {
    let spinner = || {
        let bar = ProgressBar::new(rows as u64);
        ticking(bar, "scoring {len} rows {spinner} {elapsed_precise}")
    };
    (!silent && stderr().is_terminal()).then(spinner)
}

fn ticking(bar: ProgressBar, template: &str) -> ProgressBar {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn figures(report: &EpochReport, log_jacobian: f64) -> String {
    let [validation, best] = [report.validation, report.best].map(|x| x + log_jacobian);
    let error = match report.standard_error {
        0.0 => String::new(),
        error => format!(" ± {error:.0e}"),
    };
    let mut text = format!("validation {validation:.3}{error} (best {best:.3}) nats");
    if let Some(tracked) = report.tracked {
        let training = tracked.log_likelihood + log_jacobian;
        let drift = tracked.drift.log_det;
        text += &format!(", training {training:.3}, drift {drift:.0e}");
        if tracked.shrinks > 0 {
            text += &format!(", {} steps halved", tracked.shrinks);
        }
    }
    text
}
