//! A program that measures what it is told, a line of JSON for each, so that several can take turns.

use std::error::Error;
use std::io::{Write, stdin, stdout};
use std::time::Instant;

use clap::ValueEnum;
use serde::Serialize;

/// What goes wrong ends the program.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// The names on the command line; without any, those on standard input, one a line.
pub fn names<W: ValueEnum + 'static>(given: Vec<W>) -> Box<dyn Iterator<Item = Outcome<W>>> {
    let read = stdin()
        .lines()
        .map(|line| Ok(W::from_str(line?.trim(), true)?));
    if given.is_empty() {
        Box::new(read)
    } else {
        Box::new(given.into_iter().map(Ok))
    }
}

/// One line of JSON, at once.
///
/// # Errors
/// Where nobody listens.
pub fn report(report: &impl Serialize) -> Outcome<()> {
    let mut out = stdout().lock();
    writeln!(out, "{}", serde_json::to_string(report)?)?;
    out.flush()?;
    Ok(())
}

/// What repetitions took.
#[derive(Clone, Copy, Serialize)]
pub struct Times {
    /// Median.
    pub ms: f64,
    /// Tenth percentile: what the machine does when nobody disturbs it.
    pub low_ms: f64,
    /// How many.
    pub repetitions: usize,
}

/// Repeats `work` for so many seconds, and at least once.
///
/// # Errors
/// That of `work`.
pub fn time(seconds: f64, mut work: impl FnMut() -> Outcome<()>) -> Outcome<Times> {
    let mut times = Vec::new();
    let began = Instant::now();
    while times.is_empty() || began.elapsed().as_secs_f64() < seconds {
        let start = Instant::now();
        work()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(Times {
        ms: times[times.len() / 2],
        low_ms: times[times.len() / 10],
        repetitions: times.len(),
    })
}
