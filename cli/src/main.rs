//! The command `detfree`: fit a density to a table, score rows, sample new ones.

mod args;
mod backend;
mod data;
mod density;
mod dependent;
mod distinct;
mod failure;
mod fit;
mod gaussian;
mod info;
mod model_file;
mod plot;
mod progress;
mod sample;
mod score;
mod singular;
mod unmix;

use std::process::ExitCode;

use clap::{Arg, CommandFactory, FromArgMatches};

use crate::args::{Action, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    let command = match parse() {
        Ok(command) => command,
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            eprint!("{}", in_one_line(&error.render().to_string()));
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

/// The command line; a negative number is the value of the option before it, which can say what it
/// expects, and no option that there is not.
fn parse() -> Result<Command, clap::Error> {
    let numbers = |option: Arg| match option.is_positional() || !option.get_action().takes_values()
    {
        true => option,
        false => option.allow_negative_numbers(true),
    };
    let mut command = Command::command();
    let actions = command
        .get_subcommands()
        .map(|action| action.get_name().to_owned());
    for action in actions.collect::<Vec<_>>() {
        command = command.mut_subcommand(action, |action| action.mut_args(numbers));
    }
    Command::from_arg_matches(&command.try_get_matches()?)
}

/// Of an error, the first paragraph says what is wrong, and another one may have a tip, but none of our
/// values begins with dashes, as one supposes; help that is printed for want of arguments stays whole.
fn in_one_line(text: &str) -> String {
    let mut paragraphs = text.split("\n\n");
    let line = |paragraph: &str| paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    match paragraphs.next() {
        Some(reason) if reason.starts_with("error: ") => {
            let tips = paragraphs
                .map(line)
                .filter(|text| text.starts_with("tip: ") && !text.starts_with("tip: to pass "));
            let reason = line(reason).replace(
                "invalid digit found in string",
                "expected a whole number in digits, such as 100000",
            );
            let parts: Vec<String> = [reason].into_iter().chain(tips).collect();
            format!("detfree: {}\n", parts.join("; "))
        }
        _ => text.to_owned(),
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
