//! The tree of a PTX module, before any instruction is looked at.

/// Where a variable lives, or which memory an instruction addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    Global,
    Constant,
    Shared,
    Local,
    /// Parameters of a kernel.
    Parameter,
    /// No space named: the address itself tells.
    Generic,
}

/// A fundamental type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Predicate,
    Bits(u8),
    Unsigned(u8),
    Signed(u8),
    F32,
    F64,
}

impl Type {
    /// The type that a modifier such as `u32` names.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "pred" => Self::Predicate,
            "b8" => Self::Bits(1),
            "b16" => Self::Bits(2),
            "b32" => Self::Bits(4),
            "b64" => Self::Bits(8),
            "u8" => Self::Unsigned(1),
            "u16" => Self::Unsigned(2),
            "u32" => Self::Unsigned(4),
            "u64" => Self::Unsigned(8),
            "s8" => Self::Signed(1),
            "s16" => Self::Signed(2),
            "s32" => Self::Signed(4),
            "s64" => Self::Signed(8),
            "f32" => Self::F32,
            "f64" => Self::F64,
            _ => return None,
        })
    }

    pub(crate) fn bytes(self) -> u8 {
        match self {
            Self::Predicate => 1,
            Self::Bits(n) | Self::Unsigned(n) | Self::Signed(n) => n,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    pub(crate) fn signed(self) -> bool {
        matches!(self, Self::Signed(_))
    }

    pub(crate) fn float(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }
}

/// A variable, or a parameter.
#[derive(Clone, Debug)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) space: Space,
    pub(crate) align: u64,
    pub(crate) bytes: u64,
    /// Empty where none was given.
    pub(crate) initial: Vec<u8>,
    /// `.extern .shared x[]`: its size comes with the launch.
    pub(crate) dynamic: bool,
    pub(crate) line: u32,
}

/// An operand as written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand {
    /// A register, symbol or label, and what is added to it.
    Name(String, i64),
    /// `!%p1`
    Not(String),
    Integer(u64),
    Single(u32),
    Double(u64),
    /// `[base + offset]`
    Address(Option<String>, i64),
    /// `{a, b}` or, in a call, `(a, b)`.
    List(Vec<Operand>),
    /// `a|b`: two results.
    Two(Box<Operand>, Box<Operand>),
}

/// `@p` or `@!p`.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    pub(crate) register: String,
    pub(crate) negated: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) line: u32,
    pub(crate) guard: Option<Guard>,
    /// With its modifiers: `ld.global.nc.v2.f32`.
    pub(crate) opcode: String,
    pub(crate) operands: Vec<Operand>,
}

#[derive(Clone, Debug)]
pub(crate) enum Statement {
    Open,
    Close,
    /// `.reg .b32 %r<8>;`: names with their counts, none for a single register.
    Registers {
        kind: Type,
        names: Vec<(String, Option<u32>)>,
        line: u32,
    },
    Variable(Variable),
    Label {
        name: String,
        line: u32,
    },
    /// `name: .branchtargets a, b;`
    Targets {
        name: String,
        labels: Vec<String>,
    },
    Instruction(Written),
}

#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) entry: bool,
    pub(crate) parameters: Vec<Variable>,
    pub(crate) results: Vec<Variable>,
    /// None for a declaration.
    pub(crate) body: Option<Vec<Statement>>,
    pub(crate) most_threads: Option<u32>,
    pub(crate) required_threads: Option<[u32; 3]>,
    pub(crate) line: u32,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    pub(crate) variables: Vec<Variable>,
    pub(crate) functions: Vec<Function>,
}
