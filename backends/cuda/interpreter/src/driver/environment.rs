//! What the environment asks for.

use std::env;

use super::attributes::DRIVER_VERSION;
use crate::arithmetic::approximate::Approximation;
use crate::machine::Options;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) options: Options,
    /// Leaks end the process: a program that drops the last error of its context cannot hide them.
    pub(crate) leaks_abort: bool,
    /// Every launch is a line on stderr, and every copy that may outlast its call.
    pub(crate) launches_printed: bool,
}

/// Reads the variables; a value that is not understood is an error and not a default.
pub(crate) fn read() -> Result<Settings, String> {
    let mut options = Options::default();
    if let Some(bytes) = number("DETFREE_PTX_MEMORY")? {
        options.memory = bytes;
    }
    if let Some(budget) = number("DETFREE_PTX_BUDGET")? {
        options.budget = budget as u64;
    }
    options.approximation = choice(
        "DETFREE_PTX_APPROX",
        &[
            ("exact", Approximation::Exact),
            ("perturbed", Approximation::Perturbed),
        ],
    )?
    .unwrap_or(Approximation::Exact);
    let leaks_abort =
        choice("DETFREE_PTX_LEAKS", &[("report", false), ("abort", true)])?.unwrap_or(false);
    let launches_printed = choice(
        "DETFREE_PTX_LAUNCHES",
        &[("silent", false), ("print", true)],
    )?
    .unwrap_or(false);
    Ok(Settings {
        options,
        leaks_abort,
        launches_printed,
    })
}

/// The version that the driver says it is of: another one than its own, to try what programs do with
/// an old one.
pub(crate) fn driver_version() -> Result<i32, String> {
    let version = number("DETFREE_PTX_DRIVER")?.unwrap_or(DRIVER_VERSION as usize);
    i32::try_from(version).map_err(|error| format!("DETFREE_PTX_DRIVER={version}: {error}"))
}

fn value(name: &str) -> Option<String> {
    env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

fn number(name: &str) -> Result<Option<usize>, String> {
    let Some(text) = value(name) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(format!("{name}={text}: expected a whole number")),
    }
}

fn choice<T: Copy>(name: &str, table: &[(&str, T)]) -> Result<Option<T>, String> {
    let Some(text) = value(name) else {
        return Ok(None);
    };
    match table.iter().find(|(word, _)| *word == text) {
        Some(&(_, choice)) => Ok(Some(choice)),
        None => {
            let words: Vec<_> = table.iter().map(|(word, _)| *word).collect();
            Err(format!("{name}={text}: expected one of {words:?}"))
        }
    }
}
