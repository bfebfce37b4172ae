//! Moves within registers, and of addresses between spaces.

use super::modifiers::Modifiers;
use super::operands::width;
use super::{Binding, Decoder, Result};
use crate::arithmetic::integer::Binary;
use crate::instruction::{Op, Width};
use crate::run::{LOCAL_WINDOW, SHARED_WINDOW};
use crate::source::{Operand, Space, Type};

const ADDRESS: Type = Type::Unsigned(8);

impl Decoder<'_> {
    /// False where the instruction belongs to another family.
    pub(super) fn transfer(
        &mut self,
        base: &str,
        m: &mut Modifiers,
        o: &[Operand],
    ) -> Result<bool> {
        match base {
            "mov" => self.moved(m, o)?,
            "cvta" => self.generic_address(m, o)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn moved(&mut self, m: &mut Modifiers, o: &[Operand]) -> Result<()> {
        let Some(kind) = m.kind().filter(|kind| kind.bytes() > 1) else {
            return self.fail("a move of what type?");
        };
        let [d, a] = self.operands(o)?;
        match (d, a) {
            (Operand::List(halves), a) => {
                let half = self.half_of(kind, halves.len())?;
                let [low, high] = self.operands(halves)?;
                let (low, high) = (self.write(low, half)?, self.write(high, half)?);
                let a = self.read(a, kind)?;
                self.push(Op::Unpack {
                    width: width(kind),
                    low,
                    high,
                    a,
                });
            }
            (d, Operand::List(halves)) => {
                let half = self.half_of(kind, halves.len())?;
                let [low, high] = self.operands(halves)?;
                let (low, high) = (self.read(low, half)?, self.read(high, half)?);
                let d = self.write(d, kind)?;
                self.push(Op::Pack {
                    width: width(kind),
                    d,
                    low,
                    high,
                });
            }
            (d, a) => {
                let (d, a) = (self.write(d, kind)?, self.read(a, kind)?);
                self.push(Op::Move {
                    wide: width(kind) == Width::W64,
                    d,
                    a,
                });
            }
        }
        Ok(())
    }

    fn half_of(&mut self, kind: Type, count: usize) -> Result<Type> {
        match (kind.bytes(), count) {
            (8, 2) => Ok(Type::Bits(4)),
            (4, 2) => Ok(Type::Bits(2)),
            _ => self.fail("only halves of 32 or 64 bits can be packed"),
        }
    }

    /// Global and constant addresses are generic as they are; the other spaces have windows.
    fn generic_address(&mut self, m: &mut Modifiers, o: &[Operand]) -> Result<()> {
        let to_space = m.take("to");
        let Some(window) = m.choose(&[
            ("global", 0),
            ("const", 0),
            ("shared", SHARED_WINDOW),
            ("local", LOCAL_WINDOW),
        ]) else {
            return self.fail("a space of addresses that is not known");
        };
        if m.kind() != Some(ADDRESS) {
            return self.fail("addresses have the type .u64");
        }
        let [d, a] = self.operands(o)?;
        if let Operand::Name(name, _) = a
            && !name.starts_with('%')
            && matches!(
                self.lookup(name)?,
                Binding::Symbol {
                    space: Space::Parameter,
                    ..
                }
            )
        {
            return self.fail("the address of a parameter");
        }
        let (d, a) = (self.write(d, ADDRESS)?, self.read(a, ADDRESS)?);
        let b = self.wide_constant(window)?;
        let f = if to_space {
            Binary::Subtract
        } else {
            Binary::Add
        };
        self.push(Op::Integer2 {
            f,
            width: Width::W64,
            d,
            a,
            b,
        });
        Ok(())
    }
}
