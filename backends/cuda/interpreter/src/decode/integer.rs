//! Integer and bitwise instructions.

use super::modifiers::Modifiers;
use super::operands::width;
use super::{Decoder, Result};
use crate::arithmetic::integer::{Binary, Carry, Shift, Unary};
use crate::instruction::{Op, Slot, Width};
use crate::source::{Operand, Type};

const COUNT: Type = Type::Unsigned(4);

impl Decoder<'_> {
    /// False where the instruction belongs to another family.
    pub(super) fn integer(&mut self, base: &str, m: &mut Modifiers, o: &[Operand]) -> Result<bool> {
        let kind = m.kind_ahead();
        if kind.is_some_and(Type::float) || kind == Some(Type::Predicate) {
            return Ok(false);
        }
        match base {
            "add" | "sub" | "addc" | "subc" => self.sum(base, m, o)?,
            "mul" | "mul24" => self.product(base, m, o)?,
            "mad" | "madc" => self.product_sum(base, m, o)?,
            "div" | "rem" | "min" | "max" => {
                let kind = self.integer_kind(m)?;
                let f = match (base, kind.signed()) {
                    ("div", true) => Binary::DivideSigned,
                    ("div", false) => Binary::DivideUnsigned,
                    ("rem", true) => Binary::RemainderSigned,
                    ("rem", false) => Binary::RemainderUnsigned,
                    ("min", true) => Binary::MinimumSigned,
                    ("min", false) => Binary::MinimumUnsigned,
                    (_, true) => Binary::MaximumSigned,
                    (_, false) => Binary::MaximumUnsigned,
                };
                self.two(f, kind, o)?;
            }
            "and" | "or" | "xor" => {
                let kind = self.integer_kind(m)?;
                let f = match base {
                    "and" => Binary::And,
                    "or" => Binary::Or,
                    _ => Binary::ExclusiveOr,
                };
                self.two(f, kind, o)?;
            }
            "neg" | "abs" | "not" | "cnot" | "brev" => {
                let kind = self.integer_kind(m)?;
                let f = match base {
                    "neg" => Unary::Negate,
                    "abs" => Unary::Absolute,
                    "not" => Unary::Not,
                    "cnot" => Unary::LogicalNot,
                    _ => Unary::Reverse,
                };
                let [d, a] = self.operands(o)?;
                let (d, a) = (self.write(d, kind)?, self.read(a, kind)?);
                self.push(Op::Integer1 {
                    f,
                    width: width(kind),
                    d,
                    a,
                });
            }
            "popc" | "clz" | "bfind" => self.count(base, m, o)?,
            "shl" | "shr" => {
                let kind = self.integer_kind(m)?;
                let f = match (base, kind.signed()) {
                    ("shl", _) => Shift::Left,
                    (_, true) => Shift::RightSigned,
                    (_, false) => Shift::RightUnsigned,
                };
                let [d, a, b] = self.operands(o)?;
                let (d, a, b) = (
                    self.write(d, kind)?,
                    self.read(a, kind)?,
                    self.read(b, COUNT)?,
                );
                self.push(Op::Shift {
                    f,
                    width: width(kind),
                    d,
                    a,
                    b,
                });
            }
            "bfe" => {
                let kind = self.integer_kind(m)?;
                let [d, a, start, length] = self.operands(o)?;
                let (d, a) = (self.write(d, kind)?, self.read(a, kind)?);
                let (start, length) = (self.read(start, COUNT)?, self.read(length, COUNT)?);
                let signed = kind.signed();
                self.push(Op::Extract {
                    signed,
                    width: width(kind),
                    d,
                    a,
                    start,
                    length,
                });
            }
            "bfi" => {
                let kind = self.integer_kind(m)?;
                let [d, a, into, start, length] = self.operands(o)?;
                let d = self.write(d, kind)?;
                let (a, into) = (self.read(a, kind)?, self.read(into, kind)?);
                let (start, length) = (self.read(start, COUNT)?, self.read(length, COUNT)?);
                self.push(Op::Insert {
                    width: width(kind),
                    d,
                    a,
                    into,
                    start,
                    length,
                });
            }
            "prmt" => {
                self.word_kind(m)?;
                let [d, a, b, selector] = self.words(o)?;
                self.push(Op::Permute { d, a, b, selector });
            }
            "shf" => {
                let Some(left) = m.choose(&[("l", true), ("r", false)]) else {
                    return self.fail("shf needs .l or .r");
                };
                let Some(clamp) = m.choose(&[("clamp", true), ("wrap", false)]) else {
                    return self.fail("shf needs .clamp or .wrap");
                };
                self.word_kind(m)?;
                let [d, low, high, count] = self.words(o)?;
                self.push(Op::Funnel {
                    left,
                    clamp,
                    d,
                    low,
                    high,
                    count,
                });
            }
            "lop3" => {
                self.word_kind(m)?;
                let [d, a, b, c, entries] = self.operands(o)?;
                let Operand::Integer(entries @ 0..256) = *entries else {
                    return self.fail("lop3 needs a table of eight bits");
                };
                let d = self.write(d, COUNT)?;
                let (a, b, c) = (
                    self.read(a, COUNT)?,
                    self.read(b, COUNT)?,
                    self.read(c, COUNT)?,
                );
                self.push(Op::Table {
                    entries: entries as u8,
                    d,
                    a,
                    b,
                    c,
                });
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn operands<'o, const N: usize>(
        &self,
        operands: &'o [Operand],
    ) -> Result<&'o [Operand; N]> {
        match operands.try_into() {
            Ok(array) => Ok(array),
            Err(_) => self.fail(format!("expected {N} operands, found {}", operands.len())),
        }
    }

    /// A result and operands of 32 bits.
    fn words(&mut self, o: &[Operand]) -> Result<[Slot; 4]> {
        let [d, a, b, c] = self.operands(o)?;
        let d = self.write(d, COUNT)?;
        Ok([
            d,
            self.read(a, COUNT)?,
            self.read(b, COUNT)?,
            self.read(c, COUNT)?,
        ])
    }

    fn integer_kind(&mut self, m: &mut Modifiers) -> Result<Type> {
        match m.kind() {
            Some(kind) if !kind.float() && kind != Type::Predicate && kind.bytes() > 1 => Ok(kind),
            _ => self.fail("expected an integer type of 16, 32 or 64 bits"),
        }
    }

    fn word_kind(&mut self, m: &mut Modifiers) -> Result<()> {
        match m.kind() {
            Some(Type::Bits(4)) => Ok(()),
            _ => self.fail("expected the type .b32"),
        }
    }

    fn two(&mut self, f: Binary, kind: Type, o: &[Operand]) -> Result<()> {
        let [d, a, b] = self.operands(o)?;
        let (d, a, b) = (
            self.write(d, kind)?,
            self.read(a, kind)?,
            self.read(b, kind)?,
        );
        self.push(Op::Integer2 {
            f,
            width: width(kind),
            d,
            a,
            b,
        });
        Ok(())
    }

    fn sum(&mut self, base: &str, m: &mut Modifiers, o: &[Operand]) -> Result<()> {
        let (give, take) = (m.take("cc"), base.ends_with('c'));
        let saturate = m.take("sat");
        let kind = self.integer_kind(m)?;
        let subtract = base.starts_with("sub");
        if give || take {
            let f = if subtract {
                Carry::Subtract
            } else {
                Carry::Add
            };
            let [d, a, b] = self.operands(o)?;
            let (d, a, b) = (
                self.write(d, kind)?,
                self.read(a, kind)?,
                self.read(b, kind)?,
            );
            self.push(Op::Carry {
                f,
                width: width(kind),
                take,
                give,
                d,
                a,
                b,
            });
            return Ok(());
        }
        let f = match (subtract, saturate) {
            (false, false) => Binary::Add,
            (true, false) => Binary::Subtract,
            _ if kind != Type::Signed(4) => return self.fail("only .s32 has .sat"),
            (false, true) => Binary::AddSaturating,
            (true, true) => Binary::SubtractSaturating,
        };
        self.two(f, kind, o)
    }

    fn half(&mut self, base: &str, m: &mut Modifiers, kind: Type) -> Result<Option<Binary>> {
        let signed = kind.signed();
        let f = match (m.choose(&[("lo", 0), ("hi", 1), ("wide", 2)]), base) {
            (Some(0), "mul24") if kind.bytes() != 4 => return self.fail("mul24 needs 32 bits"),
            (Some(0), "mul24") if signed => Some(Binary::Multiply24Signed),
            (Some(0), "mul24") => Some(Binary::Multiply24Unsigned),
            (Some(0), _) => Some(Binary::Multiply),
            (Some(1), "mul" | "mad" | "madc") if signed => Some(Binary::MultiplyHighSigned),
            (Some(1), "mul" | "mad" | "madc") => Some(Binary::MultiplyHighUnsigned),
            (Some(2), "mul" | "mad") if kind.bytes() < 8 => None,
            _ => return self.fail("expected .lo, .hi or .wide"),
        };
        Ok(f)
    }

    fn product(&mut self, base: &str, m: &mut Modifiers, o: &[Operand]) -> Result<()> {
        let kind = self.integer_kind(m)?;
        match self.half(base, m, kind)? {
            Some(f) => self.two(f, kind, o),
            None => {
                let [d, a, b] = self.operands(o)?;
                let (a, b) = (self.read(a, kind)?, self.read(b, kind)?);
                let d = self.write(d, Type::Bits(2 * kind.bytes()))?;
                self.push(Op::MultiplyWide {
                    signed: kind.signed(),
                    width: width(kind),
                    d,
                    a,
                    b,
                });
                Ok(())
            }
        }
    }

    /// A product into a register of its own, and a sum.
    fn product_sum(&mut self, base: &str, m: &mut Modifiers, o: &[Operand]) -> Result<()> {
        let (give, take) = (m.take("cc"), base == "madc");
        let kind = self.integer_kind(m)?;
        let half = self.half(base, m, kind)?;
        let [d, a, b, c] = self.operands(o)?;
        let (a, b) = (self.read(a, kind)?, self.read(b, kind)?);
        let (own, product) = match half {
            Some(f) => {
                let product = self.new_slot(kind)?;
                self.push(Op::Integer2 {
                    f,
                    width: width(kind),
                    d: product,
                    a,
                    b,
                });
                (kind, product)
            }
            None => {
                let double = Type::Bits(2 * kind.bytes());
                let product = self.new_slot(double)?;
                let signed = kind.signed();
                self.push(Op::MultiplyWide {
                    signed,
                    width: width(kind),
                    d: product,
                    a,
                    b,
                });
                (double, product)
            }
        };
        let (d, c) = (self.write(d, own)?, self.read(c, own)?);
        let width = width(own);
        self.push(if give || take {
            Op::Carry {
                f: Carry::Add,
                width,
                take,
                give,
                d,
                a: product,
                b: c,
            }
        } else {
            Op::Integer2 {
                f: Binary::Add,
                width,
                d,
                a: product,
                b: c,
            }
        });
        Ok(())
    }

    fn count(&mut self, base: &str, m: &mut Modifiers, o: &[Operand]) -> Result<()> {
        let shift = m.take("shiftamt");
        let kind = self.integer_kind(m)?;
        let f = match (base, kind.signed(), shift) {
            ("popc", _, false) => Unary::PopulationCount,
            ("clz", _, false) => Unary::LeadingZeros,
            ("bfind", true, false) => Unary::FindSigned,
            ("bfind", false, false) => Unary::FindUnsigned,
            ("bfind", true, true) => Unary::FindSignedShift,
            ("bfind", false, true) => Unary::FindUnsignedShift,
            _ => return self.fail("`.shiftamt` is not known here"),
        };
        let [d, a] = self.operands(o)?;
        let (d, a) = (self.write(d, COUNT)?, self.read(a, kind)?);
        self.push(match width(kind) {
            Width::W64 => Op::Count64 { f, d, a },
            width => Op::Integer1 { f, width, d, a },
        });
        Ok(())
    }
}
