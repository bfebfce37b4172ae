//! The command `detfree`: fit a density to a table, score rows, sample new ones.

mod args;
mod backend;
mod data;
mod density;
mod failure;
mod fit;
mod gaussian;
mod info;
mod model_file;
mod plot;
mod progress;
mod sample;
mod score;
mod unmix;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Action, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    let command = match Command::try_parse() {
        Ok(command) => command,
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            // Help that was printed for want of arguments stays whole; of an error, the first
            // paragraph says what is wrong, and becomes one line.
            let text = error.render().to_string();
            match text.split("\n\n").next() {
                Some(reason) if reason.starts_with("error: ") => {
                    let words: Vec<&str> = reason.split_whitespace().collect();
                    eprintln!("detfree: {}", words.join(" "));
                }
                _ => eprint!("{text}"),
            }
            return ExitCode::from(2);
        }
    };
    match run(command.action) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("detfree: error: {failure}");
            ExitCode::from(2)
        }
    }
}

fn run(action: Action) -> Result<(), Failure> {
    match action {
        Action::Fit(options) => fit::run(&options),
        Action::Score(options) => score::run(&options),
        Action::Sample(options) => sample::run(&options),
        Action::Unmix(options) => unmix::run(&options),
        Action::Info(options) => info::run(&options),
        Action::Backends => backend::list(),
    }
}
