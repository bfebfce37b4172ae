//! A launch: what a driver checks beforehand, then block after block.

use super::block;
use super::warp::{Context, Stop, Warp};
use crate::arithmetic::approximate::Approximation;
use crate::decode::SHARED_LIMIT;
use crate::fault::Fault;
use crate::kernel::Kernel;
use crate::memory::{Device, Region};

/// Limits of the device that is played.
pub(crate) const MOST_THREADS: u32 = 1024;
pub(crate) const MOST_BLOCK: [u32; 3] = [1024, 1024, 64];
pub(crate) const MOST_GRID: [u32; 3] = [i32::MAX as u32, 65535, 65535];

/// How a kernel is launched.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
    /// The dynamic part of the shared memory.
    pub(crate) shared_bytes: u32,
    pub(crate) approximation: Approximation,
    pub(crate) budget: u64,
}

impl Launch {
    pub(super) fn threads(&self) -> u32 {
        self.block.iter().product()
    }

    /// What the driver itself refuses.
    fn check(&self, kernel: &Kernel) -> Result<(), String> {
        for (what, sizes, limits) in [
            ("grid", self.grid, MOST_GRID),
            ("block", self.block, MOST_BLOCK),
        ] {
            for (size, limit) in sizes.into_iter().zip(limits) {
                if size == 0 || size > limit {
                    return Err(format!("a {what} of {sizes:?}: each from 1 to {limits:?}"));
                }
            }
        }
        let threads = self.threads();
        if threads > MOST_THREADS {
            return Err(format!(
                "{threads} threads in a block: at most {MOST_THREADS}"
            ));
        }
        if let Some(most) = kernel.most_threads.filter(|&most| threads > most) {
            return Err(format!(
                "{threads} threads in a block, but the kernel allows {most}"
            ));
        }
        if let Some(required) = kernel
            .required_threads
            .filter(|&required| required != self.block)
        {
            return Err(format!(
                "a block of {:?}, but the kernel needs {required:?}",
                self.block
            ));
        }
        let shared = kernel.shared_bytes + self.shared_bytes as usize;
        if shared > SHARED_LIMIT {
            return Err(format!(
                "{shared} bytes of shared memory: at most {SHARED_LIMIT}"
            ));
        }
        Ok(())
    }
}

/// Why a launch failed: refused, or an error of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaunchError {
    /// The driver would not start it.
    Refused(String),
    /// The kernel did something wrong.
    Fault(Box<Fault>),
}

impl std::fmt::Display for LaunchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(message) => write!(f, "the launch is refused: {message}"),
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for LaunchError {}

/// What is kept from one launch to the next.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    warps: Vec<Warp>,
    shared: Region,
    parameters: Region,
    clock: u64,
    /// Instructions of threads that have run.
    pub(crate) executed: u64,
}

/// Runs all blocks of a launch, one after the other.
pub(crate) fn run(
    kernel: &Kernel,
    launch: &Launch,
    parameters: &[u8],
    device: &mut Device,
    scratch: &mut Scratch,
) -> Result<(), LaunchError> {
    launch.check(kernel).map_err(LaunchError::Refused)?;
    let threads = launch.threads() as usize;
    let count = threads.div_ceil(32);
    let Scratch {
        warps,
        shared,
        parameters: region,
        clock,
        executed,
    } = scratch;
    if warps.len() < count {
        warps.resize_with(count, Warp::default);
    }
    let warps = &mut warps[..count];
    for (index, warp) in warps.iter_mut().enumerate() {
        warp.prepare(kernel, index as u8);
        block::identify(warp, kernel, launch);
    }
    region.reset(kernel.parameter_bytes());
    region.fill_from(0, parameters);
    *clock += 1;
    let launch_start = *clock;
    let [width, height, depth] = launch.grid;
    for z in 0..depth {
        for y in 0..height {
            for x in 0..width {
                shared.reset(kernel.shared_bytes + launch.shared_bytes as usize);
                *clock += 1;
                let block_start = *clock;
                let mut context = Context {
                    kernel,
                    parameters: &mut *region,
                    approximation: launch.approximation,
                    device: &mut *device,
                    shared: &mut *shared,
                    clock: &mut *clock,
                    launch_start,
                    block_start,
                    barrier: block_start,
                    budget: launch.budget,
                    executed: &mut *executed,
                };
                let block = [x, y, z];
                block::run(warps, block, threads, &mut context)
                    .map_err(|(warp, stop)| fault(kernel, launch, block, warp, stop))?;
            }
        }
    }
    Ok(())
}

fn fault(
    kernel: &Kernel,
    launch: &Launch,
    block: [u32; 3],
    warp: usize,
    stop: Stop,
) -> LaunchError {
    let line = kernel.code[stop.at as usize].line;
    let thread = (warp * 32 + stop.lane) as u32;
    let [width, height, _] = launch.block;
    LaunchError::Fault(Box::new(Fault {
        kind: stop.kind,
        kernel: kernel.name.clone(),
        line,
        text: kernel.line_text(line).to_owned(),
        block,
        thread: [
            thread % width,
            thread / width % height,
            thread / (width * height),
        ],
        address: stop.address,
        message: stop.message,
    }))
}
