//! Who touched what since when: the search for races.
//!
//! A clock counts the events that order threads: the start of a launch, of a block, a barrier of a
//! block, a `bar.warp.sync` of a warp. Of every word of memory the last write, the last read and
//! the last atomic are remembered as stamps: the clock then, the thread, and whether others share
//! the stamp. An access conflicts with an earlier one, at least one of them a write and not both
//! atomic, unless it is of the same thread, or an event lies between the two that orders both
//! threads.

/// The last write and the last read of a word. Atomics have a stamp of their own, where there are
/// any.
pub(crate) type Cell = [u64; 2];

const LANE: u64 = 31;
const MANY_LANES: u64 = 1 << 5;
const WARP_SHIFT: u32 = 6;
const WARP: u64 = 31 << WARP_SHIFT;
const MANY_WARPS: u64 = 1 << 11;
/// Another block of the same launch shares the stamp.
const FOREIGN: u64 = 1 << 12;
/// The time stands above all of these, so that stamps compare as their times do.
const TIME_SHIFT: u32 = 16;

/// Times of the clock that order the accesses of a warp after earlier ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) now: u64,
    /// Whatever happened before does not matter: the launch, or for shared memory the block.
    pub(crate) scope: u64,
    /// Since when this block runs.
    pub(crate) block: u64,
    /// The last barrier of this block.
    pub(crate) barrier: u64,
    /// The last synchronisation of this warp.
    pub(crate) warp_sync: u64,
}

/// A warp of a block that accesses memory; its times as the lowest stamps that are not earlier.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observer {
    /// The stamp of lane 0.
    stamp: u64,
    scope: u64,
    block: u64,
    barrier: u64,
    warp_sync: u64,
}

impl Observer {
    pub(crate) fn new(times: Times, warp: u8) -> Self {
        Self {
            stamp: times.now << TIME_SHIFT | u64::from(warp) << WARP_SHIFT,
            scope: times.scope << TIME_SHIFT,
            block: times.block << TIME_SHIFT,
            barrier: times.barrier << TIME_SHIFT,
            warp_sync: times.warp_sync << TIME_SHIFT,
        }
    }

    /// Whether the access behind `old` is not ordered before an access of this lane.
    #[inline(always)]
    fn conflicts(&self, old: u64, lane: u32) -> bool {
        if old < self.barrier {
            return old >= self.scope && (old < self.block || old & FOREIGN != 0);
        }
        self.conflicts_now(old, lane)
    }

    /// As above, since the last barrier.
    #[inline(never)]
    fn conflicts_now(&self, old: u64, lane: u32) -> bool {
        if old & (FOREIGN | MANY_WARPS) != 0 || (old ^ self.stamp) & WARP != 0 {
            return true;
        }
        old >= self.warp_sync && (old & MANY_LANES != 0 || old & LANE != u64::from(lane))
    }

    /// The stamp of this lane, together with those of `old` that still matter.
    #[inline(always)]
    fn joined(&self, old: u64, lane: u32) -> u64 {
        let new = self.stamp | u64::from(lane);
        if old < self.scope {
            new
        } else if old < self.block {
            new | FOREIGN
        } else if old < self.barrier {
            new | old & FOREIGN
        } else if old & MANY_WARPS != 0 {
            // Whoever comes now conflicts with it anyway.
            old
        } else if (old ^ new) & WARP != 0 {
            new | old & FOREIGN | MANY_WARPS
        } else {
            let others =
                old >= self.warp_sync && (old & MANY_LANES != 0 || old & LANE != u64::from(lane));
            new | old & FOREIGN | if others { MANY_LANES } else { 0 }
        }
    }

    /// Notes a read; false if it conflicts with an earlier write.
    #[inline(always)]
    pub(crate) fn read(&self, [write, read]: &mut Cell, lane: u32) -> bool {
        *read = self.joined(*read, lane);
        !self.conflicts(*write, lane)
    }

    /// Notes a write; false if it conflicts with an earlier access.
    #[inline(always)]
    pub(crate) fn write(&self, [write, read]: &mut Cell, lane: u32) -> bool {
        let fine = !self.conflicts(*write, lane) & !self.conflicts(*read, lane);
        *write = self.stamp | u64::from(lane);
        fine
    }

    /// Notes an atomic; false if it conflicts with an earlier access that is none.
    pub(crate) fn atomic(&self, [write, read]: &Cell, atomic: &mut u64, lane: u32) -> bool {
        *atomic = self.joined(*atomic, lane);
        !self.conflicts(*write, lane) && !self.conflicts(*read, lane)
    }

    /// Whether a read or a write goes well with the atomics before it.
    pub(crate) fn beside_atomics(&self, atomic: u64, lane: u32) -> bool {
        !self.conflicts(atomic, lane)
    }
}
