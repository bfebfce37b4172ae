//! Instructions as they run: decoded, with registers resolved to slots.
//!
//! Registers of at most 32 bits are slots of one file, those of 64 bits of another, predicates of
//! a third. Constants and special registers are slots too, filled before a block runs, so that
//! no operand needs a case of its own.

use crate::arithmetic::{approximate, convert::Conversion, float, integer};
use crate::source::{Space, Type};

/// A register's place in its file.
pub(crate) type Slot = u16;

/// No register.
pub(crate) const NONE: Slot = Slot::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    W16,
    W32,
    W64,
}

/// When an instruction runs in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sense {
    Always,
    If,
    Unless,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Instruction {
    pub(crate) op: Op,
    pub(crate) line: u32,
    pub(crate) guard: Slot,
    pub(crate) sense: Sense,
}

/// What an address is made of: a register of 64 bits (`wide`) or 32, and an offset.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address {
    pub(crate) base: Slot,
    pub(crate) wide: bool,
    pub(crate) offset: i32,
}

/// What a memory instruction moves: `count` values into registers listed from `list`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access {
    pub(crate) space: Space,
    pub(crate) kind: Type,
    pub(crate) count: u8,
    /// The registers are of 64 bits.
    pub(crate) wide: bool,
    pub(crate) list: u32,
    pub(crate) address: Address,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logic {
    And,
    Or,
    ExclusiveOr,
}

/// Where the results of a comparison go, and what they are combined with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    pub(crate) yes: Slot,
    pub(crate) no: Slot,
    pub(crate) with: Option<(Logic, Slot, bool)>,
}

/// A comparison of floats: its relation, and what it says of NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FloatComparison {
    /// False where one is NaN.
    Ordered(integer::Comparison),
    /// True where one is NaN.
    Unordered(integer::Comparison),
    BothNumbers,
    EitherNan,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shuffle {
    Up,
    Down,
    Butterfly,
    Index,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vote {
    All,
    Any,
    Unanimous,
    Ballot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BarrierReduction {
    None,
    Count,
    And,
    Or,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Atomic {
    Add,
    Minimum,
    Maximum,
    Increment,
    Decrement,
    And,
    Or,
    ExclusiveOr,
    Exchange,
    CompareAndSwap,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Integer1 {
        f: integer::Unary,
        width: Width,
        d: Slot,
        a: Slot,
    },
    Integer2 {
        f: integer::Binary,
        width: Width,
        d: Slot,
        a: Slot,
        b: Slot,
    },
    Shift {
        f: integer::Shift,
        width: Width,
        d: Slot,
        a: Slot,
        b: Slot,
    },
    Carry {
        f: integer::Carry,
        width: Width,
        take: bool,
        give: bool,
        d: Slot,
        a: Slot,
        b: Slot,
    },
    /// To twice the width of the operands.
    MultiplyWide {
        signed: bool,
        width: Width,
        d: Slot,
        a: Slot,
        b: Slot,
    },
    /// The count of a 64-bit operand is 32 bits wide.
    Count64 {
        f: integer::Unary,
        d: Slot,
        a: Slot,
    },
    Extract {
        signed: bool,
        width: Width,
        d: Slot,
        a: Slot,
        start: Slot,
        length: Slot,
    },
    Insert {
        width: Width,
        d: Slot,
        a: Slot,
        into: Slot,
        start: Slot,
        length: Slot,
    },
    Permute {
        d: Slot,
        a: Slot,
        b: Slot,
        selector: Slot,
    },
    Funnel {
        left: bool,
        clamp: bool,
        d: Slot,
        low: Slot,
        high: Slot,
        count: Slot,
    },
    Table {
        entries: u8,
        d: Slot,
        a: Slot,
        b: Slot,
        c: Slot,
    },
    Float1 {
        f: float::Unary,
        mode: float::Mode,
        double: bool,
        d: Slot,
        a: Slot,
    },
    Float2 {
        f: float::Binary,
        mode: float::Mode,
        double: bool,
        d: Slot,
        a: Slot,
        b: Slot,
    },
    Fused {
        mode: float::Mode,
        double: bool,
        d: Slot,
        a: Slot,
        b: Slot,
        c: Slot,
    },
    Approximate {
        f: approximate::Unary,
        flush: bool,
        d: Slot,
        a: Slot,
    },
    ApproximateDivide {
        full: bool,
        flush: bool,
        d: Slot,
        a: Slot,
        b: Slot,
    },
    Gross {
        root: bool,
        d: Slot,
        a: Slot,
    },
    RootOfDouble {
        d: Slot,
        a: Slot,
    },
    HasProperty {
        property: float::Property,
        double: bool,
        d: Slot,
        a: Slot,
    },
    Convert {
        conversion: Conversion,
        to_wide: bool,
        from_wide: bool,
        d: Slot,
        a: Slot,
    },
    Move {
        wide: bool,
        d: Slot,
        a: Slot,
    },
    /// Two halves into one register: `width` is that of the whole.
    Pack {
        width: Width,
        d: Slot,
        low: Slot,
        high: Slot,
    },
    Unpack {
        width: Width,
        low: Slot,
        high: Slot,
        a: Slot,
    },
    Compare {
        f: integer::Comparison,
        signed: bool,
        width: Width,
        d: Verdict,
        a: Slot,
        b: Slot,
    },
    CompareFloat {
        f: FloatComparison,
        flush: bool,
        double: bool,
        d: Verdict,
        a: Slot,
        b: Slot,
    },
    Select {
        wide: bool,
        d: Slot,
        a: Slot,
        b: Slot,
        p: Slot,
        negated: bool,
    },
    Logic {
        f: Logic,
        d: Slot,
        a: Slot,
        b: Slot,
    },
    NotPredicate {
        d: Slot,
        a: Slot,
    },
    MovePredicate {
        d: Slot,
        a: Slot,
    },
    Load(Access),
    Store(Access),
    /// `list` holds the operands: one, or two for compare-and-swap; `d` may be [`NONE`].
    Atomic {
        f: Atomic,
        d: Slot,
        access: Access,
    },
    Shuffle {
        f: Shuffle,
        d: Slot,
        p: Slot,
        a: Slot,
        b: Slot,
        c: Slot,
        members: Slot,
    },
    Vote {
        f: Vote,
        d: Slot,
        p: Slot,
        negated: bool,
        members: Slot,
    },
    ActiveMask {
        d: Slot,
    },
    SyncWarp {
        members: Slot,
    },
    Barrier {
        f: BarrierReduction,
        d: Slot,
        p: Slot,
        negated: bool,
    },
    Branch {
        target: u32,
    },
    /// To the entry of `targets` that the register counts.
    BranchTable {
        a: Slot,
        first: u32,
        count: u32,
    },
    Exit,
    Trap,
    /// The bytes of a local variable hold nothing any more.
    Forget {
        offset: u32,
        bytes: u32,
    },
}
