//! Floating-point instructions.

use super::modifiers::Modifiers;
use super::{Decoder, Result};
use crate::arithmetic::approximate;
use crate::arithmetic::float::{Binary, Mode, Property, Unary};
use crate::arithmetic::rounding::Rounding;
use crate::instruction::Op;
use crate::source::{Operand, Type};

impl Decoder<'_> {
    /// False where the instruction belongs to another family.
    pub(super) fn float(&mut self, base: &str, m: &mut Modifiers, o: &[Operand]) -> Result<bool> {
        match base {
            "ex2" | "lg2" | "sin" | "cos" | "tanh" | "rsqrt" => self.approximate(base, m, o)?,
            "rcp" | "sqrt" => {
                if m.take("approx") {
                    self.approximate_taken(base, m, o)?;
                } else {
                    let f = if base == "rcp" {
                        Unary::Reciprocal
                    } else {
                        Unary::Root
                    };
                    let kind = self.rounded_kind(m, true)?;
                    self.one(f, kind, o)?;
                }
            }
            "neg" | "abs" => {
                let f = if base == "neg" {
                    Unary::Negate
                } else {
                    Unary::Absolute
                };
                let kind = self.kind_of_mode(m, Mode::PLAIN)?;
                self.one(f, kind, o)?;
            }
            "add" | "sub" | "mul" => {
                let f = match base {
                    "add" => Binary::Add,
                    "sub" => Binary::Subtract,
                    _ => Binary::Multiply,
                };
                let kind = self.rounded_kind(m, false)?;
                self.two_floats(f, kind, o)?;
            }
            "div" => self.division(m, o)?,
            "min" | "max" => {
                let f = match (base, m.take("NaN")) {
                    ("min", false) => Binary::Minimum,
                    ("min", true) => Binary::MinimumNan,
                    (_, false) => Binary::Maximum,
                    (_, true) => Binary::MaximumNan,
                };
                let kind = self.kind_of_mode(m, Mode::PLAIN)?;
                self.two_floats(f, kind, o)?;
            }
            "copysign" => {
                let kind = self.float_kind(m)?;
                // The instruction names the sign first; our operation too.
                self.two_floats(Binary::CopySign, (kind, Mode::PLAIN), o)?;
            }
            "fma" | "mad" => {
                let (kind, mode) = self.rounded_kind(m, true)?;
                let [d, a, b, c] = self.operands(o)?;
                let d = self.write(d, kind)?;
                let (a, b, c) = (
                    self.read(a, kind)?,
                    self.read(b, kind)?,
                    self.read(c, kind)?,
                );
                self.push(Op::Fused {
                    mode,
                    double: kind == Type::F64,
                    d,
                    a,
                    b,
                    c,
                });
            }
            "testp" => {
                let Some(property) = m.choose(&[
                    ("finite", Property::Finite),
                    ("infinite", Property::Infinite),
                    ("number", Property::Number),
                    ("notanumber", Property::NotANumber),
                    ("normal", Property::Normal),
                    ("subnormal", Property::Subnormal),
                ]) else {
                    return self.fail("testp of what?");
                };
                let kind = self.float_kind(m)?;
                let [d, a] = self.operands(o)?;
                let (d, _) = self.condition(d)?;
                let a = self.read(a, kind)?;
                self.push(Op::HasProperty {
                    property,
                    double: kind == Type::F64,
                    d,
                    a,
                });
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn float_kind(&mut self, m: &mut Modifiers) -> Result<Type> {
        match m.kind() {
            Some(kind) if kind.float() => Ok(kind),
            _ => self.fail("expected .f32 or .f64"),
        }
    }

    fn kind_of_mode(&mut self, m: &mut Modifiers, mut mode: Mode) -> Result<(Type, Mode)> {
        mode.flush = m.take("ftz");
        let kind = self.float_kind(m)?;
        if kind == Type::F64 && (mode.flush || mode.saturate) {
            return self.fail(".f64 has neither .ftz nor .sat");
        }
        Ok((kind, mode))
    }

    fn rounded_kind(&mut self, m: &mut Modifiers, needed: bool) -> Result<(Type, Mode)> {
        let rounding = m.rounding();
        if needed && rounding.is_none() {
            return self.fail("a rounding is needed: .rn, .rz, .rm or .rp");
        }
        let saturate = m.take("sat");
        let rounding = rounding.unwrap_or(Rounding::Nearest);
        self.kind_of_mode(
            m,
            Mode {
                rounding,
                saturate,
                ..Mode::PLAIN
            },
        )
    }

    fn one(&mut self, f: Unary, (kind, mode): (Type, Mode), o: &[Operand]) -> Result<()> {
        let [d, a] = self.operands(o)?;
        let (d, a) = (self.write(d, kind)?, self.read(a, kind)?);
        self.push(Op::Float1 {
            f,
            mode,
            double: kind == Type::F64,
            d,
            a,
        });
        Ok(())
    }

    fn two_floats(&mut self, f: Binary, (kind, mode): (Type, Mode), o: &[Operand]) -> Result<()> {
        let [d, a, b] = self.operands(o)?;
        let (d, a, b) = (
            self.write(d, kind)?,
            self.read(a, kind)?,
            self.read(b, kind)?,
        );
        self.push(Op::Float2 {
            f,
            mode,
            double: kind == Type::F64,
            d,
            a,
            b,
        });
        Ok(())
    }

    fn division(&mut self, m: &mut Modifiers, o: &[Operand]) -> Result<()> {
        let Some(full) = m.choose(&[("approx", false), ("full", true)]) else {
            let kind = self.rounded_kind(m, true)?;
            return self.two_floats(Binary::Divide, kind, o);
        };
        let flush = m.take("ftz");
        if self.float_kind(m)? != Type::F32 {
            return self.fail("only .f32 has an approximate division");
        }
        let [d, a, b] = self.operands(o)?;
        let kind = Type::F32;
        let (d, a, b) = (
            self.write(d, kind)?,
            self.read(a, kind)?,
            self.read(b, kind)?,
        );
        self.push(Op::ApproximateDivide {
            full,
            flush,
            d,
            a,
            b,
        });
        Ok(())
    }

    fn approximate(&mut self, base: &str, m: &mut Modifiers, o: &[Operand]) -> Result<()> {
        if !m.take("approx") {
            return self.fail("`.approx` is needed");
        }
        self.approximate_taken(base, m, o)
    }

    fn approximate_taken(&mut self, base: &str, m: &mut Modifiers, o: &[Operand]) -> Result<()> {
        let flush = m.take("ftz");
        let kind = self.float_kind(m)?;
        let [d, a] = self.operands(o)?;
        let (d, a) = (self.write(d, kind)?, self.read(a, kind)?);
        let op = match (base, kind == Type::F64, flush) {
            ("rcp", true, true) => Op::Gross { root: false, d, a },
            ("rsqrt", true, true) => Op::Gross { root: true, d, a },
            ("rsqrt", true, false) => Op::RootOfDouble { d, a },
            (_, true, _) => return self.fail("this approximation is not known of .f64"),
            (_, false, _) => {
                let f = match base {
                    "ex2" => approximate::Unary::PowerOfTwo,
                    "lg2" => approximate::Unary::LogarithmOfTwo,
                    "sin" => approximate::Unary::Sine,
                    "cos" => approximate::Unary::Cosine,
                    "tanh" => approximate::Unary::HyperbolicTangent,
                    "rcp" => approximate::Unary::Reciprocal,
                    "rsqrt" => approximate::Unary::ReciprocalRoot,
                    _ => approximate::Unary::Root,
                };
                Op::Approximate { f, flush, d, a }
            }
        };
        self.push(op);
        Ok(())
    }
}
