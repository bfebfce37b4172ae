//! A kernel ready to run: its code, what it needs of registers and memory, calls expanded in place.

use std::sync::Arc;

use crate::instruction::{Instruction, Slot};

/// A special register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Special {
    Thread(u8),
    ThreadCount(u8),
    Block(u8),
    BlockCount(u8),
    Lane,
    Warp,
    WarpCount,
    LanesEqual,
    LanesBelow,
    LanesUpTo,
    LanesAbove,
    LanesFrom,
    DynamicShared,
}

#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) offset: usize,
    pub(crate) bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) name: String,
    pub(crate) source: Arc<str>,
    pub(crate) code: Vec<Instruction>,
    /// Registers of vectors and of operand lists.
    pub(crate) lists: Vec<Slot>,
    pub(crate) targets: Vec<u32>,
    /// Slots of each file.
    pub(crate) narrow_slots: usize,
    pub(crate) wide_slots: usize,
    pub(crate) predicate_slots: usize,
    pub(crate) narrow_constants: Vec<(Slot, u32)>,
    pub(crate) wide_constants: Vec<(Slot, u64)>,
    pub(crate) specials: Vec<(Slot, Special)>,
    pub(crate) parameters: Vec<Parameter>,
    /// Where the dynamic part of the shared memory begins.
    pub(crate) shared_bytes: usize,
    pub(crate) dynamic_shared: bool,
    pub(crate) local_bytes: usize,
    pub(crate) most_threads: Option<u32>,
    pub(crate) required_threads: Option<[u32; 3]>,
    /// Races are looked for byte by byte: some access is narrower than 32 bits.
    pub(crate) byte_wise: bool,
}

impl Kernel {
    pub(crate) fn parameter_bytes(&self) -> usize {
        self.parameters
            .last()
            .map_or(0, |last| last.offset + last.bytes)
    }

    /// How far apart the local memories of two lanes lie.
    pub(crate) fn local_stride(&self) -> usize {
        self.local_bytes.next_multiple_of(16)
    }

    pub(crate) fn line_text(&self, line: u32) -> &str {
        self.source
            .lines()
            .nth(line.saturating_sub(1) as usize)
            .unwrap_or_default()
            .trim()
    }
}
