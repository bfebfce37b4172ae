//! What can be wrong: with a module, with a launch, with a call of the driver.

use std::fmt;

/// Why a module is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// The line of the PTX, counted from one.
    pub line: u32,
    /// That line.
    pub text: String,
    /// What is wrong with it.
    pub message: String,
}

impl LoadError {
    pub(crate) fn at(line: u32, message: String) -> Self {
        Self {
            line,
            text: String::new(),
            message,
        }
    }

    /// The same, with the line quoted.
    pub(crate) fn quoting(mut self, source: &str) -> Self {
        let index = self.line.saturating_sub(1) as usize;
        source
            .lines()
            .nth(index)
            .unwrap_or_default()
            .trim()
            .clone_into(&mut self.text);
        self
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "PTX line {}: {}\n    {}",
            self.line, self.message, self.text
        )
    }
}

impl std::error::Error for LoadError {}

/// The family of a fault; each has one code of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// An access outside of every allocation, or of the shared or local memory of a block.
    OutOfBounds,
    /// An access to an allocation that has been freed.
    UseAfterFree,
    /// An address that is no multiple of the size of the access.
    Misaligned,
    /// A store to constant memory.
    ReadOnly,
    /// A read of memory that nothing has written.
    Uninitialised,
    /// Two threads, one address, at least one write, and nothing that orders them.
    Race,
    /// A barrier that part of a warp, or of a block, does not reach.
    DivergentBarrier,
    /// A warp instruction whose mask does not fit the lanes that execute it.
    WarpMask,
    /// More instructions than the budget allows.
    InstructionBudget,
    /// `trap`.
    Trap,
}

/// An error of a running kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its family.
    pub kind: FaultKind,
    /// The kernel that ran.
    pub kernel: String,
    /// The line of the PTX, counted from one.
    pub line: u32,
    /// That line.
    pub text: String,
    /// Index of the block.
    pub block: [u32; 3],
    /// Index of the thread in its block.
    pub thread: [u32; 3],
    /// The address of the access, if it was one.
    pub address: Option<u64>,
    /// What happened.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            kernel,
            line,
            text,
            block,
            thread,
            address,
            message,
        } = self;
        write!(
            f,
            "{kind:?} in kernel {kernel}, block {block:?}, thread {thread:?}"
        )?;
        if let Some(address) = address {
            write!(f, ", address {address:#x}")?;
        }
        write!(f, ": {message}\n    PTX line {line}: {text}")
    }
}

impl std::error::Error for Fault {}
