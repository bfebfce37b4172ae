//! Comparisons, selections and the logic of predicates.

use super::modifiers::Modifiers;
use super::operands::width;
use super::{Decoder, Result};
use crate::arithmetic::integer::Comparison;
use crate::instruction::{FloatComparison, Logic, NONE, Op, Verdict};
use crate::source::{Operand, Type};

const LOGIC: [(&str, Logic); 3] = [
    ("and", Logic::And),
    ("or", Logic::Or),
    ("xor", Logic::ExclusiveOr),
];

impl Decoder<'_> {
    /// False where the instruction belongs to another family.
    pub(super) fn compare(&mut self, base: &str, m: &mut Modifiers, o: &[Operand]) -> Result<bool> {
        let predicate = m.kind_ahead() == Some(Type::Predicate);
        match base {
            "setp" => self.comparison(m, o)?,
            "selp" => {
                let Some(kind) = m.kind().filter(|kind| kind.bytes() > 1) else {
                    return self.fail("a selection of what type?");
                };
                let [d, a, b, p] = self.operands(o)?;
                let (d, a, b) = (
                    self.write(d, kind)?,
                    self.read(a, kind)?,
                    self.read(b, kind)?,
                );
                let (p, negated) = self.condition(p)?;
                self.push(Op::Select {
                    wide: kind.bytes() == 8,
                    d,
                    a,
                    b,
                    p,
                    negated,
                });
            }
            "and" | "or" | "xor" if predicate => {
                m.take("pred");
                let f = LOGIC
                    .iter()
                    .find(|(name, _)| *name == base)
                    .map_or(Logic::And, |l| l.1);
                let [d, a, b] = self.operands(o)?;
                let (d, a, b) = (self.plain(d)?, self.plain(a)?, self.plain(b)?);
                self.push(Op::Logic { f, d, a, b });
            }
            "not" | "mov" if predicate => {
                m.take("pred");
                let [d, a] = self.operands(o)?;
                let d = self.plain(d)?;
                match (base, a) {
                    ("mov", Operand::Integer(value)) => {
                        // p ^ p is false; its negation is true.
                        self.push(Op::Logic {
                            f: Logic::ExclusiveOr,
                            d,
                            a: d,
                            b: d,
                        });
                        if *value != 0 {
                            self.push(Op::NotPredicate { d, a: d });
                        }
                    }
                    ("mov", a) => {
                        let a = self.plain(a)?;
                        self.push(Op::MovePredicate { d, a });
                    }
                    (_, a) => {
                        let a = self.plain(a)?;
                        self.push(Op::NotPredicate { d, a });
                    }
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// A predicate that may not be negated.
    pub(super) fn plain(&mut self, operand: &Operand) -> Result<u16> {
        match self.condition(operand)? {
            (slot, false) => Ok(slot),
            _ => self.fail("a negated predicate cannot stand here"),
        }
    }

    fn comparison(&mut self, m: &mut Modifiers, o: &[Operand]) -> Result<()> {
        let flush = m.take("ftz");
        let logic = m.choose(&LOGIC);
        let Some(kind) = m.kind().filter(|kind| kind.bytes() > 1) else {
            return self.fail("a comparison of what type?");
        };
        let (result, a, b, with) = match (logic, o) {
            (None, [d, a, b]) => (d, a, b, None),
            (Some(logic), [d, a, b, c]) => {
                let (slot, negated) = self.condition(c)?;
                (d, a, b, Some((logic, slot, negated)))
            }
            _ => return self.fail("a comparison with a wrong number of operands"),
        };
        let (yes, no) = match result {
            Operand::Two(yes, no) => (self.verdict(yes)?, self.verdict(no)?),
            single => (self.verdict(single)?, NONE),
        };
        let (a, b) = (self.read(a, kind)?, self.read(b, kind)?);
        let d = Verdict { yes, no, with };
        if kind.float() {
            let Some(f) = m.choose(&float_relations()) else {
                return self.fail("no relation of floats that is known");
            };
            self.push(Op::CompareFloat {
                f,
                flush,
                double: kind == Type::F64,
                d,
                a,
                b,
            });
            return Ok(());
        }
        let Some((f, unsigned)) = m.choose(&[
            ("eq", (Comparison::Equal, false)),
            ("ne", (Comparison::NotEqual, false)),
            ("lt", (Comparison::Less, false)),
            ("le", (Comparison::LessEqual, false)),
            ("gt", (Comparison::Greater, false)),
            ("ge", (Comparison::GreaterEqual, false)),
            ("lo", (Comparison::Less, true)),
            ("ls", (Comparison::LessEqual, true)),
            ("hi", (Comparison::Greater, true)),
            ("hs", (Comparison::GreaterEqual, true)),
        ]) else {
            return self.fail("no relation of integers that is known");
        };
        let ordered = !matches!(f, Comparison::Equal | Comparison::NotEqual);
        if flush || (unsigned && kind.signed()) || (ordered && matches!(kind, Type::Bits(_))) {
            return self.fail("this relation does not fit the type");
        }
        let signed = kind.signed();
        self.push(Op::Compare {
            f,
            signed,
            width: width(kind),
            d,
            a,
            b,
        });
        Ok(())
    }

    fn verdict(&mut self, operand: &Operand) -> Result<u16> {
        match operand {
            Operand::Name(name, 0) if name == "_" => Ok(NONE),
            other => self.plain(other),
        }
    }
}

fn float_relations() -> [(&'static str, FloatComparison); 14] {
    use Comparison::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
    use FloatComparison::{BothNumbers, EitherNan, Ordered, Unordered};
    [
        ("eq", Ordered(Equal)),
        ("ne", Ordered(NotEqual)),
        ("lt", Ordered(Less)),
        ("le", Ordered(LessEqual)),
        ("gt", Ordered(Greater)),
        ("ge", Ordered(GreaterEqual)),
        ("equ", Unordered(Equal)),
        ("neu", Unordered(NotEqual)),
        ("ltu", Unordered(Less)),
        ("leu", Unordered(LessEqual)),
        ("gtu", Unordered(Greater)),
        ("geu", Unordered(GreaterEqual)),
        ("num", BothNumbers),
        ("nan", EitherNan),
    ]
}
