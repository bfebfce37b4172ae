//! A warp: its registers, and which lanes stand where.
//!
//! Lanes that stand at the same instruction form a group and step together. Of several groups the
//! one that stands first in the code runs, until it meets another: where a compiler lays code out
//! in order, lanes that parted join where their paths do.

use super::lanes::{LANES, Narrow, Wide, each};
use crate::fault::FaultKind;
use crate::instruction::Slot;
use crate::kernel::Kernel;
use crate::memory::{Device, Observer, Region, Times};

use crate::arithmetic::approximate::Approximation;

/// Why a group does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    Ready,
    /// For other lanes that a warp instruction names.
    Lanes,
    Barrier,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    pub(crate) at: u32,
    pub(crate) mask: u32,
    pub(crate) wait: Wait,
}

/// Why a warp stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    Finished,
    /// All its lanes stand at the barrier at this place in the code.
    Barrier(u32),
}

/// An error of a lane.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    pub(crate) kind: FaultKind,
    pub(crate) lane: usize,
    pub(crate) at: u32,
    pub(crate) address: Option<u64>,
    pub(crate) message: String,
}

/// What the warps of a block share.
pub(crate) struct Context<'a> {
    pub(crate) kernel: &'a Kernel,
    pub(crate) parameters: &'a mut Region,
    pub(crate) approximation: Approximation,
    pub(crate) device: &'a mut Device,
    pub(crate) shared: &'a mut Region,
    pub(crate) clock: &'a mut u64,
    pub(crate) launch_start: u64,
    pub(crate) block_start: u64,
    pub(crate) barrier: u64,
    /// Instructions that a warp may run.
    pub(crate) budget: u64,
    /// Instructions of threads that have run.
    pub(crate) executed: &'a mut u64,
}

#[derive(Debug, Default)]
pub(crate) struct Warp {
    pub(crate) narrow: Vec<Narrow>,
    pub(crate) wide: Vec<Wide>,
    pub(crate) predicates: Vec<u32>,
    /// The carry flag of each lane.
    pub(crate) carry: u32,
    pub(crate) groups: Vec<Group>,
    /// Lanes that have not exited.
    pub(crate) alive: u32,
    pub(crate) index: u8,
    pub(crate) synchronised: u64,
    pub(crate) spent: u64,
    pub(crate) local: Region,
}

impl Warp {
    /// Readies it for a kernel: registers there, constants in place.
    pub(crate) fn prepare(&mut self, kernel: &Kernel, index: u8) {
        self.index = index;
        self.narrow
            .resize(kernel.narrow_slots.max(self.narrow.len()), [0; LANES]);
        self.wide
            .resize(kernel.wide_slots.max(self.wide.len()), [0; LANES]);
        self.predicates
            .resize(kernel.predicate_slots.max(self.predicates.len()), 0);
        for &(slot, value) in &kernel.narrow_constants {
            self.narrow[usize::from(slot)] = [value; LANES];
        }
        for &(slot, value) in &kernel.wide_constants {
            self.wide[usize::from(slot)] = [value; LANES];
        }
    }

    /// Puts its first `threads` lanes at the beginning.
    pub(crate) fn begin(&mut self, kernel: &Kernel, threads: usize) {
        self.alive = if threads >= LANES {
            u32::MAX
        } else {
            (1 << threads) - 1
        };
        self.groups.clear();
        self.groups.push(Group {
            at: 0,
            mask: self.alive,
            wait: Wait::Ready,
        });
        self.spent = 0;
        self.synchronised = 0;
        self.local.reset(kernel.local_stride() * LANES);
    }

    pub(crate) fn narrow(&self, slot: Slot) -> &Narrow {
        &self.narrow[usize::from(slot)]
    }

    pub(crate) fn wide(&self, slot: Slot) -> &Wide {
        &self.wide[usize::from(slot)]
    }

    pub(crate) fn predicate(&self, slot: Slot, negated: bool) -> u32 {
        let mask = self.predicates[usize::from(slot)];
        if negated { !mask } else { mask }
    }

    pub(crate) fn set_predicate(&mut self, slot: Slot, values: u32, mask: u32) {
        let target = &mut self.predicates[usize::from(slot)];
        *target = *target & !mask | values & mask;
    }

    /// `scope`: since when accesses matter.
    pub(crate) fn observer(&self, context: &Context<'_>, scope: u64) -> Observer {
        let times = Times {
            now: *context.clock,
            scope,
            block: context.block_start,
            barrier: context.barrier,
            warp_sync: self.synchronised,
        };
        Observer::new(times, self.index)
    }

    /// Adds lanes that stand at `at`; with others that stand there they are one group.
    pub(crate) fn join(&mut self, at: u32, mask: u32, wait: Wait) {
        if mask == 0 {
            return;
        }
        if let Some(group) = self.groups.iter_mut().find(|group| group.at == at) {
            group.mask |= mask;
            group.wait = Wait::Ready;
        } else {
            self.groups.push(Group { at, mask, wait });
        }
    }

    /// Takes the ready group that stands first.
    fn take(&mut self) -> Option<Group> {
        let ready = self
            .groups
            .iter()
            .enumerate()
            .filter(|(_, group)| group.wait == Wait::Ready);
        let index = ready
            .min_by_key(|(_, group)| group.at)
            .map(|(index, _)| index)?;
        Some(self.groups.swap_remove(index))
    }

    /// Runs until the warp has exited or stands at a barrier as a whole.
    pub(crate) fn run(&mut self, context: &mut Context<'_>) -> Result<Pause, Stop> {
        loop {
            if let Some(group) = self.take() {
                self.step(group, context)?;
                continue;
            }
            return match *self.groups {
                [] => Ok(Pause::Finished),
                [
                    Group {
                        at,
                        mask,
                        wait: Wait::Barrier,
                    },
                ] if mask == self.alive => Ok(Pause::Barrier(at)),
                _ => Err(self.stuck()),
            };
        }
    }

    /// Lanes exit; whoever waits for them looks again.
    pub(crate) fn exit(&mut self, mask: u32) {
        self.alive &= !mask;
        for group in &mut self.groups {
            if group.wait == Wait::Lanes {
                group.wait = Wait::Ready;
            }
        }
    }

    fn stuck(&self) -> Stop {
        let group = self.groups[0];
        let lane = each(group.mask).next().unwrap_or(0);
        let lanes = self.groups.iter().find(|group| group.wait == Wait::Lanes);
        let (kind, message, group) = match lanes {
            Some(waiting) => (
                FaultKind::WarpMask,
                format!(
                    "lanes {:#010x} wait for lanes that their mask names and that never come",
                    waiting.mask
                ),
                *waiting,
            ),
            None => (
                FaultKind::DivergentBarrier,
                format!(
                    "lanes {:#010x} of the warp wait here, but the {} that have not exited do not \
                     all come",
                    group.mask,
                    self.alive.count_ones()
                ),
                group,
            ),
        };
        Stop {
            kind,
            lane,
            at: group.at,
            address: None,
            message,
        }
    }

    /// Lets the lanes that stand at a barrier go on.
    pub(crate) fn release(&mut self) {
        for group in &mut self.groups {
            group.at += 1;
            group.wait = Wait::Ready;
        }
    }
}
