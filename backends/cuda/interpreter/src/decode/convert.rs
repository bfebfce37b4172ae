//! `cvt`.

use super::modifiers::Modifiers;
use super::{Decoder, Result};
use crate::arithmetic::convert::Conversion;
use crate::arithmetic::rounding::Rounding;
use crate::instruction::Op;
use crate::source::{Operand, Type};

impl Decoder<'_> {
    /// False where the instruction belongs to another family.
    pub(super) fn convert(&mut self, base: &str, m: &mut Modifiers, o: &[Operand]) -> Result<bool> {
        if base != "cvt" {
            return Ok(false);
        }
        let to_integral = m.choose(&[
            ("rni", Rounding::Nearest),
            ("rzi", Rounding::Zero),
            ("rmi", Rounding::Down),
            ("rpi", Rounding::Up),
        ]);
        let to_format = m.rounding();
        let (flush, saturate) = (m.take("ftz"), m.take("sat"));
        let (Some(to), Some(from)) = (m.kind(), m.kind()) else {
            return self.fail("cvt needs two types");
        };
        if to == Type::Predicate || from == Type::Predicate || bits(to) || bits(from) {
            return self.fail("cvt knows integers and floats only");
        }
        if flush && to != Type::F32 && from != Type::F32 {
            return self.fail("`.ftz` needs .f32");
        }
        let narrows = to == Type::F32 && from == Type::F64;
        let needs = match (from.float(), to.float()) {
            (true, false) => (true, false),
            (false, true) => (false, true),
            _ if narrows => (false, true),
            // An integral value, if a rounding is written.
            (true, true) if from == to => (to_integral.is_some(), false),
            _ => (false, false),
        };
        if needs != (to_integral.is_some(), to_format.is_some()) {
            return self.fail("this conversion has another kind of rounding, or none");
        }
        let conversion = Conversion {
            to,
            from,
            rounding: to_integral.or(to_format).unwrap_or(Rounding::Nearest),
            integral: to_integral.is_some(),
            flush,
            saturate,
        };
        let [d, a] = self.operands(o)?;
        let (d, to_wide) = self.loose(d, to)?;
        let (a, from_wide) = self.loose(a, from)?;
        self.push(Op::Convert {
            conversion,
            to_wide,
            from_wide,
            d,
            a,
        });
        Ok(true)
    }
}

fn bits(kind: Type) -> bool {
    matches!(kind, Type::Bits(_))
}
