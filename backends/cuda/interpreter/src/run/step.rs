//! The main loop of a warp, and its control flow.

use super::lanes::each;
use super::warp::{Context, Group, Stop, Wait, Warp};
use crate::fault::FaultKind;
use crate::instruction::{Op, Sense};

impl Warp {
    /// Runs a group until it parts, meets another, waits or exits.
    pub(crate) fn step(&mut self, group: Group, context: &mut Context<'_>) -> Result<(), Stop> {
        let Group { mut at, mask, .. } = group;
        let kernel = context.kernel;
        // The next place where another group stands.
        let meeting = |warp: &Self, at: u32| {
            let others = warp
                .groups
                .iter()
                .map(|group| group.at)
                .filter(|&other| other > at);
            others.min().unwrap_or(u32::MAX)
        };
        let mut limit = meeting(self, at);
        loop {
            let instruction = &kernel.code[at as usize];
            let active = match instruction.sense {
                Sense::Always => mask,
                Sense::If => mask & self.predicates[usize::from(instruction.guard)],
                Sense::Unless => mask & !self.predicates[usize::from(instruction.guard)],
            };
            self.spent += 1;
            *context.executed += u64::from(active.count_ones());
            let target = match instruction.op {
                Op::Branch { target } => target,
                Op::BranchTable { a, first, count } => {
                    self.parted(at, mask & !active);
                    for lane in each(active) {
                        let index = self.narrow(a)[lane];
                        if index >= count {
                            return Err(stop(
                                FaultKind::OutOfBounds,
                                lane,
                                at,
                                format!("branch {index} of a table of {count}"),
                            ));
                        }
                        let target = kernel.targets[(first + index) as usize];
                        self.join(target, 1 << lane, Wait::Ready);
                    }
                    return self.in_budget(mask, at, context);
                }
                Op::Exit => {
                    self.exit(active);
                    self.parted(at, mask & !active);
                    return Ok(());
                }
                Op::Trap if active != 0 => {
                    let lane = each(active).next().unwrap_or(0);
                    return Err(stop(FaultKind::Trap, lane, at, "trap".to_owned()));
                }
                Op::Barrier { .. } if active != 0 => {
                    self.parted(at, mask & !active);
                    self.groups.push(Group {
                        at,
                        mask: active,
                        wait: Wait::Barrier,
                    });
                    return Ok(());
                }
                Op::SyncWarp { .. } | Op::Shuffle { .. } | Op::Vote { .. } if active != 0 => {
                    let together = self.together(&instruction.op, active, at)?;
                    if active != mask || !together {
                        self.parted(at, mask & !active);
                        if together {
                            self.exchange(&instruction.op, active, at, context)?;
                            self.join(at + 1, active, Wait::Ready);
                        } else {
                            self.groups.push(Group {
                                at,
                                mask: active,
                                wait: Wait::Lanes,
                            });
                        }
                        return Ok(());
                    }
                    self.exchange(&instruction.op, active, at, context)?;
                    at += 1;
                    if at == limit {
                        self.join(at, mask, Wait::Ready);
                        return Ok(());
                    }
                    continue;
                }
                ref op => {
                    if active != 0 {
                        self.compute(op, active, at, context)?;
                    }
                    at += 1;
                    if at == limit {
                        self.join(at, mask, Wait::Ready);
                        return Ok(());
                    }
                    continue;
                }
            };
            if target <= at {
                self.in_budget(active, at, context)?;
            }
            if active == mask {
                at = target;
                if self.groups.is_empty() {
                    continue;
                }
                if self.groups.iter().any(|group| group.at == at) {
                    self.join(at, mask, Wait::Ready);
                    return Ok(());
                }
                // Whoever stands before the target runs first.
                if self
                    .groups
                    .iter()
                    .any(|group| group.wait == Wait::Ready && group.at < at)
                {
                    self.join(at, mask, Wait::Ready);
                    return Ok(());
                }
                limit = meeting(self, at);
            } else if active == 0 {
                at += 1;
                if at == limit {
                    self.join(at, mask, Wait::Ready);
                    return Ok(());
                }
            } else {
                self.join(target, active, Wait::Ready);
                self.join(at + 1, mask & !active, Wait::Ready);
                return Ok(());
            }
        }
    }

    /// Lanes for which the guard does not hold go on.
    fn parted(&mut self, at: u32, mask: u32) {
        self.join(at + 1, mask, Wait::Ready);
    }

    fn in_budget(&self, mask: u32, at: u32, context: &Context<'_>) -> Result<(), Stop> {
        if self.spent <= context.budget {
            return Ok(());
        }
        let lane = each(mask).next().unwrap_or(0);
        let message = format!(
            "the warp has run {} instructions, which is more than the budget: an endless loop?",
            self.spent
        );
        Err(stop(FaultKind::InstructionBudget, lane, at, message))
    }
}

pub(crate) fn stop(kind: FaultKind, lane: usize, at: u32, message: String) -> Stop {
    Stop {
        kind,
        lane,
        at,
        address: None,
        message,
    }
}
