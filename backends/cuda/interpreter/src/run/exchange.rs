//! What the lanes of a warp exchange: shuffles, votes, synchronisation.

use super::lanes::{LANES, ballot, each, map2};
use super::step::stop;
use super::warp::{Context, Stop, Warp};
use crate::fault::FaultKind;
use crate::instruction::{NONE, Op, Shuffle, Slot, Vote};

impl Warp {
    fn members(&self, op: &Op) -> Slot {
        match *op {
            Op::Shuffle { members, .. } | Op::Vote { members, .. } | Op::SyncWarp { members } => {
                members
            }
            _ => NONE,
        }
    }

    /// Whether all lanes that the masks name, and that have not exited, are among `active`.
    pub(super) fn together(&self, op: &Op, active: u32, at: u32) -> Result<bool, Stop> {
        let masks = self.narrow(self.members(op));
        let named = ballot(|lane| masks[lane] >> lane & 1 == 1);
        if let Some(lane) = each(active & !named).next() {
            let mask = masks[lane];
            let message = format!("the mask {mask:#010x} does not name the lane itself");
            return Err(stop(FaultKind::WarpMask, lane, at, message));
        }
        let absent = self.alive & !active;
        Ok(ballot(|lane| masks[lane] & absent != 0) & active == 0)
    }

    pub(super) fn exchange(
        &mut self,
        op: &Op,
        active: u32,
        at: u32,
        context: &mut Context<'_>,
    ) -> Result<(), Stop> {
        let mut masks = *self.narrow(self.members(op));
        self.alike(&masks, active, at)?;
        for mask in &mut masks {
            *mask &= active;
        }
        match *op {
            // Only a synchronisation of the whole warp orders the accesses of all its lanes.
            Op::SyncWarp { .. }
                if active == self.alive && each(active).all(|lane| masks[lane] == active) =>
            {
                *context.clock += 1;
                self.synchronised = *context.clock;
            }
            Op::Vote {
                f, d, p, negated, ..
            } => {
                let ayes = self.predicate(p, negated);
                if f == Vote::Ballot {
                    let ballots = masks.map(|members| ayes & members);
                    self.set(d, &ballots, active);
                    return Ok(());
                }
                let verdicts = ballot(|lane| {
                    let (members, ayes) = (masks[lane], ayes & masks[lane]);
                    match f {
                        Vote::Any | Vote::Ballot => ayes != 0,
                        Vote::All => ayes == members,
                        Vote::Unanimous => ayes == members || ayes == 0,
                    }
                });
                self.set_predicate(d, verdicts, active);
            }
            Op::Shuffle {
                f, d, p, a, b, c, ..
            } => {
                let mut inside = 0;
                let mut lane = 0;
                let sources = map2(self.narrow(b), self.narrow(c), |count, clamp| {
                    (count, clamp)
                })
                .map(|(count, clamp)| {
                    let (source, fits) = source(f, lane, count, clamp);
                    inside |= u32::from(fits) << lane;
                    lane += 1;
                    source
                });
                let readable = ballot(|lane| masks[lane] >> sources[lane] & 1 == 1);
                if let Some(lane) = each(active & !readable).next() {
                    let message = format!(
                        "the lane reads lane {}, which has exited or is not in the mask",
                        sources[lane]
                    );
                    return Err(stop(FaultKind::WarpMask, lane, at, message));
                }
                let values = self.narrow(a);
                let values = sources.map(|source| values[source as usize % LANES]);
                self.set(d, &values, active);
                if p != NONE {
                    self.set_predicate(p, inside, active);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Lanes that name each other must name the same lanes.
    fn alike(&self, masks: &[u32; LANES], active: u32, at: u32) -> Result<(), Stop> {
        let lead = masks[active.trailing_zeros() as usize % LANES];
        if ballot(|lane| masks[lane] == lead) & active == active {
            return Ok(());
        }
        for lane in each(active) {
            if let Some(other) = each(masks[lane] & active).find(|&o| masks[o] != masks[lane]) {
                let message = format!(
                    "the mask {:#010x} names lane {other}, whose own mask is {:#010x}",
                    masks[lane], masks[other]
                );
                return Err(stop(FaultKind::WarpMask, lane, at, message));
            }
        }
        Ok(())
    }
}

/// The lane to read, and whether it lies in the segment; outside a lane reads itself.
#[inline(always)]
fn source(f: Shuffle, lane: u32, count: u32, clamp: u32) -> (u32, bool) {
    let (count, segment, clamp) = (count & 31, clamp >> 8 & 31, clamp & 31);
    let most = (lane & segment) | (clamp & !segment);
    let least = lane & segment;
    let from = match f {
        Shuffle::Up => lane.wrapping_sub(count),
        Shuffle::Down => lane + count,
        Shuffle::Butterfly => lane ^ count,
        Shuffle::Index => least | (count & !segment),
    };
    let inside = match f {
        Shuffle::Up => from.cast_signed() >= most.cast_signed(),
        _ => from <= most,
    };
    if inside { (from, true) } else { (lane, false) }
}
