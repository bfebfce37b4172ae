//! A block: its warps take turns at the barriers.

use super::lanes::{LANES, each};
use super::warp::{Context, Pause, Stop, Warp};
use crate::fault::FaultKind;
use crate::instruction::{BarrierReduction, Op};
use crate::kernel::{Kernel, Special};
use crate::run::launch::Launch;

/// Fills the special registers that stay the same throughout a launch.
pub(super) fn identify(warp: &mut Warp, kernel: &Kernel, launch: &Launch) {
    let [width, height, _] = launch.block;
    let threads = launch.threads();
    for &(slot, special) in &kernel.specials {
        let first = u32::from(warp.index) * LANES as u32;
        let value = |lane: u32| {
            let thread = first + lane;
            match special {
                Special::Thread(0) => thread % width,
                Special::Thread(1) => thread / width % height,
                Special::Thread(_) => thread / (width * height),
                Special::ThreadCount(axis) => launch.block[usize::from(axis)],
                Special::Block(_) => 0,
                Special::BlockCount(axis) => launch.grid[usize::from(axis)],
                Special::Lane => lane,
                Special::Warp => u32::from(warp.index),
                Special::WarpCount => threads.div_ceil(LANES as u32),
                Special::LanesEqual => 1 << lane,
                Special::LanesBelow => (1 << lane) - 1,
                Special::LanesUpTo => u32::MAX >> (31 - lane),
                Special::LanesAbove => !(u32::MAX >> (31 - lane)),
                Special::LanesFrom => u32::MAX << lane,
                Special::DynamicShared => launch.shared_bytes,
            }
        };
        warp.narrow[usize::from(slot)] = std::array::from_fn(|lane| value(lane as u32));
    }
}

/// Runs one block; on an error also says in which warp.
pub(super) fn run(
    warps: &mut [Warp],
    block: [u32; 3],
    threads: usize,
    context: &mut Context<'_>,
) -> Result<(), (usize, Stop)> {
    let kernel = context.kernel;
    for (index, warp) in warps.iter_mut().enumerate() {
        warp.begin(kernel, threads - index * LANES);
        for &(slot, special) in &kernel.specials {
            if let Special::Block(axis) = special {
                warp.narrow[usize::from(slot)] = [block[usize::from(axis)]; LANES];
            }
        }
    }
    loop {
        // Where a warp of this round waits: its index and its place in the code.
        let mut waiting: Option<(usize, u32)> = None;
        for (index, warp) in warps.iter_mut().enumerate() {
            if warp.groups.is_empty() {
                continue;
            }
            match warp.run(context).map_err(|stop| (index, stop))? {
                Pause::Finished => {}
                Pause::Barrier(at) => {
                    let (first, place) = *waiting.get_or_insert((index, at));
                    if place != at {
                        let line = kernel.code[place as usize].line;
                        let lane = each(warp.alive).next().unwrap_or(0);
                        let message = format!(
                            "warp {index} of the block waits at this barrier, warp {first} at \
                             that of line {line}"
                        );
                        let kind = FaultKind::DivergentBarrier;
                        return Err((
                            index,
                            Stop {
                                kind,
                                lane,
                                at,
                                address: None,
                                message,
                            },
                        ));
                    }
                }
            }
        }
        let Some((_, at)) = waiting else {
            return Ok(());
        };
        reduce(warps, kernel, at);
        *context.clock += 1;
        context.barrier = *context.clock;
        for warp in &mut *warps {
            warp.release();
        }
    }
}

/// `bar.red`: over the threads that wait.
fn reduce(warps: &mut [Warp], kernel: &Kernel, at: u32) {
    let Op::Barrier {
        f, d, p, negated, ..
    } = kernel.code[at as usize].op
    else {
        return;
    };
    if f == BarrierReduction::None {
        return;
    }
    let all: u32 = warps.iter().map(|warp| warp.alive.count_ones()).sum();
    let ayes = warps
        .iter()
        .map(|warp| (warp.predicate(p, negated) & warp.alive).count_ones())
        .sum();
    for warp in warps {
        let alive = warp.alive;
        let spread = |holds: bool| if holds { u32::MAX } else { 0 };
        match f {
            BarrierReduction::None => {}
            BarrierReduction::Count => {
                for lane in each(alive) {
                    warp.narrow[usize::from(d)][lane] = ayes;
                }
            }
            BarrierReduction::And => warp.set_predicate(d, spread(ayes == all), alive),
            BarrierReduction::Or => warp.set_predicate(d, spread(ayes > 0), alive),
        }
    }
}
