//! Operands become slots.

use super::{Binding, Decoder, Result};
use crate::instruction::{Address, Slot, Width};
use crate::kernel::Special;
use crate::source::{Operand, Space, Type};

pub(super) fn width(kind: Type) -> Width {
    match kind.bytes() {
        8 => Width::W64,
        4 => Width::W32,
        _ => Width::W16,
    }
}

impl Decoder<'_> {
    pub(super) fn lookup(&mut self, name: &str) -> Result<Binding> {
        let frame = self.frames.last();
        let scopes = frame
            .into_iter()
            .flat_map(|frame| frame.scopes.iter().rev());
        if let Some(binding) = scopes.filter_map(|scope| scope.get(name)).next() {
            return Ok(*binding);
        }
        let source = self.source;
        let variable = source
            .variables
            .iter()
            .find(|variable| variable.name == name);
        match (variable, self.addresses.get(name)) {
            (Some(variable), _) if variable.space == Space::Shared => {
                Ok(self.shared(name, variable))
            }
            (Some(variable), Some(&value)) => Ok(Binding::Symbol {
                space: variable.space,
                value,
            }),
            _ => self.fail(format!("`{name}` is not declared")),
        }
    }

    pub(super) fn narrow_constant(&mut self, value: u32) -> Result<Slot> {
        if let Some(&slot) = self.narrow_known.get(&value) {
            return Ok(slot);
        }
        let slot = self.new_slot(Type::Bits(4))?;
        self.narrow_known.insert(value, slot);
        self.kernel.narrow_constants.push((slot, value));
        Ok(slot)
    }

    pub(super) fn wide_constant(&mut self, value: u64) -> Result<Slot> {
        if let Some(&slot) = self.wide_known.get(&value) {
            return Ok(slot);
        }
        let slot = self.new_slot(Type::Bits(8))?;
        self.wide_known.insert(value, slot);
        self.kernel.wide_constants.push((slot, value));
        Ok(slot)
    }

    fn dynamic(&mut self, wide: bool) -> Result<Slot> {
        let known = if wide {
            self.wide_dynamic
        } else {
            self.narrow_dynamic
        };
        if let Some(slot) = known {
            return Ok(slot);
        }
        let slot = self.new_slot(Type::Bits(if wide { 8 } else { 4 }))?;
        let place = if wide {
            &mut self.wide_dynamic
        } else {
            &mut self.narrow_dynamic
        };
        *place = Some(slot);
        Ok(slot)
    }

    pub(super) fn predicate(&mut self, name: &str) -> Result<Slot> {
        match self.lookup(name)? {
            Binding::Register {
                kind: Type::Predicate,
                slot,
            } => Ok(slot),
            _ => self.fail(format!("`{name}` is no predicate")),
        }
    }

    /// A predicate operand, maybe negated.
    pub(super) fn condition(&mut self, operand: &Operand) -> Result<(Slot, bool)> {
        match operand {
            Operand::Name(name, 0) => Ok((self.predicate(name)?, false)),
            Operand::Not(name) => Ok((self.predicate(name)?, true)),
            _ => self.fail("expected a predicate"),
        }
    }

    /// The register or constant of type `kind` that `operand` is.
    pub(super) fn read(&mut self, operand: &Operand, kind: Type) -> Result<Slot> {
        let wide = kind.bytes() == 8;
        match operand {
            Operand::Name(name, 0) if name.starts_with('%') => self.register(name, kind, false),
            Operand::Name(name, offset) => match self.lookup(name)? {
                Binding::Register { .. } if *offset == 0 => self.register(name, kind, false),
                Binding::Symbol { value, .. } if !kind.float() => {
                    self.constant(value.wrapping_add_signed(*offset), kind)
                }
                Binding::Dynamic if *offset == 0 => self.dynamic(wide),
                _ => self.fail(format!("`{name}` cannot stand here")),
            },
            Operand::Integer(value) if !kind.float() => self.constant(*value, kind),
            Operand::Single(bits) if kind == Type::F32 || kind == Type::Bits(4) => {
                self.narrow_constant(*bits)
            }
            Operand::Double(bits) if kind == Type::F64 || kind == Type::Bits(8) => {
                self.wide_constant(*bits)
            }
            Operand::Double(bits) if kind == Type::F32 => {
                self.narrow_constant((f64::from_bits(*bits) as f32).to_bits())
            }
            Operand::Single(bits) if kind == Type::F64 => {
                self.wide_constant(f64::from(f32::from_bits(*bits)).to_bits())
            }
            _ => self.fail("this operand does not fit the type of the instruction"),
        }
    }

    pub(super) fn constant(&mut self, value: u64, kind: Type) -> Result<Slot> {
        match kind.bytes() {
            8 => self.wide_constant(value),
            4 => self.narrow_constant(value as u32),
            _ => self.narrow_constant(u32::from(value as u16)),
        }
    }

    /// The register that takes a result of type `kind`.
    pub(super) fn write(&mut self, operand: &Operand, kind: Type) -> Result<Slot> {
        match operand {
            Operand::Name(name, 0) if name == "_" => self.new_slot(kind),
            Operand::Name(name, 0) => match self.lookup(name)? {
                Binding::Register { .. } => self.register(name, kind, false),
                _ => self.fail(format!("`{name}` is no register")),
            },
            _ => self.fail("the result needs a register"),
        }
    }

    /// Like [`Self::read`] and [`Self::write`] for instructions whose registers may be wider than
    /// their type; true for a register of 64 bits.
    pub(super) fn loose(&mut self, operand: &Operand, kind: Type) -> Result<(Slot, bool)> {
        match operand {
            Operand::Name(name, 0) if name == "_" => Ok((self.new_slot(kind)?, kind.bytes() == 8)),
            Operand::Name(name, 0) => match self.lookup_or_special(name)? {
                Some(Binding::Register { kind: own, slot }) if own.bytes() >= kind.bytes() => {
                    Ok((slot, own.bytes() == 8))
                }
                None => Ok((self.register(name, kind, true)?, false)),
                _ => self.fail(format!("`{name}` is no register of at least that width")),
            },
            Operand::Integer(_) if kind.bytes() == 1 => {
                Ok((self.read(operand, Type::Bits(2))?, false))
            }
            _ => Ok((self.read(operand, kind)?, kind.bytes() == 8)),
        }
    }

    /// None for a special register.
    fn lookup_or_special(&mut self, name: &str) -> Result<Option<Binding>> {
        if special(name).is_some() {
            Ok(None)
        } else {
            self.lookup(name).map(Some)
        }
    }

    fn register(&mut self, name: &str, kind: Type, loose: bool) -> Result<Slot> {
        if let Some(special) = special(name) {
            if kind.bytes() != 4 && !loose {
                return self.fail(format!("`{name}` has 32 bits"));
            }
            if let Some(&slot) = self.special_known.get(&special) {
                return Ok(slot);
            }
            let slot = self.new_slot(Type::Bits(4))?;
            self.special_known.insert(special, slot);
            self.kernel.specials.push((slot, special));
            return Ok(slot);
        }
        match self.lookup(name)? {
            Binding::Register { kind: own, slot }
                if own != Type::Predicate && width(own) == width(kind) =>
            {
                Ok(slot)
            }
            Binding::Register { kind: own, .. } => self.fail(format!(
                "`{name}` is declared as {own:?}, which does not fit the type of the instruction"
            )),
            _ => self.fail(format!("`{name}` is no register")),
        }
    }

    /// An address, and the space of the symbol in it.
    pub(super) fn address(&mut self, operand: &Operand) -> Result<(Address, Option<Space>)> {
        let Operand::Address(base, offset) = operand else {
            return self.fail("expected an address in brackets");
        };
        let Ok(short) = i32::try_from(*offset) else {
            return self.fail("an offset of more than 32 bits");
        };
        let Some(name) = base else {
            let base = self.wide_constant(0)?;
            return Ok((
                Address {
                    base,
                    wide: true,
                    offset: short,
                },
                None,
            ));
        };
        match self.lookup(name)? {
            Binding::Register { kind, slot } if kind.bytes() >= 4 => Ok((
                Address {
                    base: slot,
                    wide: kind.bytes() == 8,
                    offset: short,
                },
                None,
            )),
            Binding::Register { .. } => self.fail(format!("`{name}` is too narrow an address")),
            Binding::Symbol { space, value } => {
                let base = self.wide_constant(value)?;
                Ok((
                    Address {
                        base,
                        wide: true,
                        offset: short,
                    },
                    Some(space),
                ))
            }
            Binding::Dynamic => {
                let base = self.dynamic(true)?;
                Ok((
                    Address {
                        base,
                        wide: true,
                        offset: short,
                    },
                    Some(Space::Shared),
                ))
            }
        }
    }
}

/// The special register of that name.
fn special(name: &str) -> Option<Special> {
    let axis = |rest: &str| {
        ["x", "y", "z"]
            .iter()
            .position(|&a| a == rest)
            .map(|a| a as u8)
    };
    let (base, rest) = name
        .strip_prefix('%')?
        .split_once('.')
        .unwrap_or((&name[1..], ""));
    Some(match (base, axis(rest)) {
        ("tid", Some(axis)) => Special::Thread(axis),
        ("ntid", Some(axis)) => Special::ThreadCount(axis),
        ("ctaid", Some(axis)) => Special::Block(axis),
        ("nctaid", Some(axis)) => Special::BlockCount(axis),
        ("laneid", None) => Special::Lane,
        ("warpid", None) => Special::Warp,
        ("nwarpid", None) => Special::WarpCount,
        ("lanemask_eq", None) => Special::LanesEqual,
        ("lanemask_lt", None) => Special::LanesBelow,
        ("lanemask_le", None) => Special::LanesUpTo,
        ("lanemask_gt", None) => Special::LanesAbove,
        ("lanemask_ge", None) => Special::LanesFrom,
        ("dynamic_smem_size", None) => Special::DynamicShared,
        _ => return None,
    })
}
