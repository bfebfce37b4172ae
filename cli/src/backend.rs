//! The backends of this build, and what runs on any of them.

use std::fmt::Display;
use std::io::Write;

use clap::ValueEnum;
use detfree::faer::Faer;
use detfree::flows::Precision;
use detfree::{Allocate, FlowBackend};

use crate::failure::Failure;

/// Where to compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Choice {
    /// On this machine's processors.
    #[default]
    Faer,
    /// On an NVIDIA device.
    Cuda,
}

/// Something to compute on whatever backend the user chose.
pub(crate) trait Task {
    type Output;

    fn run<B>(self, b: &B) -> Result<Self::Output, Failure>
    where
        B: FlowBackend + Allocate + Sync,
        B::Error: Display;
}

/// Runs a task where the user chose; `threads` are those of this machine.
pub(crate) fn run<T: Task>(
    choice: Choice,
    precision: Precision,
    threads: usize,
    task: T,
) -> Result<T::Output, Failure> {
    match (choice, precision) {
        (Choice::Faer, Precision::Single) => task.run(&Faer::<f32>::new(threads)?),
        (Choice::Faer, Precision::Double) => task.run(&Faer::<f64>::new(threads)?),
        (Choice::Cuda, precision) => on_cuda(precision, task),
    }
}

#[cfg(feature = "cuda")]
fn on_cuda<T: Task>(precision: Precision, task: T) -> Result<T::Output, Failure> {
    use detfree::cuda::Cuda;
    match precision {
        Precision::Single => task.run(&Cuda::<f32>::discover()?),
        Precision::Double => task.run(&Cuda::<f64>::discover()?),
    }
}

#[cfg(not(feature = "cuda"))]
fn on_cuda<T: Task>(_: Precision, _: T) -> Result<T::Output, Failure> {
    Err(Failure::Option(
        "--backend cuda is not in this build: build with --features cuda, or leave the option out"
            .into(),
    ))
}

/// How many shards of a batch, or pieces of a table, are computed at once. A device takes all of them at
/// once as it is.
pub(crate) fn workers(choice: Choice, threads: usize) -> usize {
    match choice {
        Choice::Faer => threads,
        Choice::Cuda => 1,
    }
}

/// How many threads to use: as many as were asked for, else one for every processor.
pub(crate) fn threads(asked: Option<u32>) -> usize {
    asked.map_or_else(processors, |threads| threads as usize)
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// `detfree backends`
pub(crate) fn list() -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "faer       available: {} processors, f32 and f64",
        processors()
    )?;
    writeln!(out, "cuda       {}", cuda())?;
    Ok(())
}

#[cfg(feature = "cuda")]
fn cuda() -> String {
    let device = detfree::cuda::Cuda::<f32>::discover().and_then(|b| b.device());
    match device {
        Ok(device) => format!("available: {device}, f32 and f64"),
        Err(error) => format!("not available: {error}"),
    }
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> String {
    "not in this build: build with --features cuda".into()
}
