//! `cvt`: between integers and floats of all widths.

use super::float::{Float, canonical, flushed, saturated};
use super::rounding::{DOUBLE, Exact, Rounding, SINGLE};
use crate::source::Type;

/// One conversion; values travel as bits in 64-bit words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conversion {
    pub(crate) to: Type,
    pub(crate) from: Type,
    /// To an integral value (`.rni` …), or to the nearest value of a narrower float (`.rn` …).
    pub(crate) rounding: Rounding,
    /// From float to float of one width: round to an integral value.
    pub(crate) integral: bool,
    pub(crate) flush: bool,
    pub(crate) saturate: bool,
}

/// How the low bits of a word fill it.
#[derive(Clone, Copy)]
pub(crate) struct Extension {
    unused: u32,
    /// Of the bits above, those that repeat the sign.
    signed: bool,
}

impl Extension {
    fn of(kind: Type) -> Self {
        Self {
            unused: 64 - 8 * u32::from(kind.bytes()),
            signed: kind.signed(),
        }
    }

    #[inline(always)]
    pub(crate) fn extend(self, bits: u64) -> u64 {
        let high = bits << self.unused;
        if self.signed {
            (high.cast_signed() >> self.unused).cast_unsigned()
        } else {
            high >> self.unused
        }
    }
}

impl Conversion {
    /// From 32 bits to 64: whether by the sign.
    pub(crate) fn widens(self) -> Option<bool> {
        match (self.from, self.to, self.saturate) {
            (Type::Signed(4), Type::Signed(8) | Type::Unsigned(8), false) => Some(true),
            (Type::Unsigned(4), Type::Signed(8) | Type::Unsigned(8), false) => Some(false),
            _ => None,
        }
    }

    /// Between integers, without saturation: the operand extended, then the result.
    pub(crate) fn plain(self) -> Option<(Extension, Extension)> {
        let plain = !self.saturate && !self.from.float() && !self.to.float();
        plain.then(|| (Extension::of(self.from), Extension::of(self.to)))
    }

    /// The bits of the result, extended to 64 by its sign if its type is signed.
    pub(crate) fn apply(self, bits: u64) -> u64 {
        match (self.from, self.to) {
            (Type::F32, Type::F32) => {
                let x = flushed(f32::from_bits(bits as u32), self.flush);
                let x = if self.integral {
                    integral(x.into(), self.rounding) as f32
                } else {
                    x
                };
                let x = flushed(x, self.flush);
                let x = if self.saturate {
                    saturated(x)
                } else {
                    canonical(x)
                };
                u64::from(x.to_bits())
            }
            (Type::F64, Type::F64) => {
                let x = f64::from_bits(bits);
                let x = if self.integral {
                    integral(x, self.rounding)
                } else {
                    x
                };
                if self.saturate {
                    saturated(x).to_bits()
                } else {
                    x.to_bits()
                }
            }
            (Type::F32, Type::F64) => {
                let x = f64::from(flushed(f32::from_bits(bits as u32), self.flush));
                if self.saturate {
                    saturated(x).to_bits()
                } else {
                    x.to_bits()
                }
            }
            (Type::F64, Type::F32) => {
                let x = f64::from_bits(bits);
                let narrow = if x.is_finite() && self.rounding != Rounding::Nearest {
                    f32::from_bits(SINGLE.round(DOUBLE.exact(bits), self.rounding) as u32)
                } else {
                    x as f32
                };
                let narrow = flushed(narrow, self.flush);
                let narrow = if self.saturate {
                    saturated(narrow)
                } else {
                    canonical(narrow)
                };
                u64::from(narrow.to_bits())
            }
            (Type::F32, to) => {
                let x = flushed(f32::from_bits(bits as u32), self.flush);
                integer(x.into(), self.rounding, to, to.bytes() < 8)
            }
            (Type::F64, to) => integer(f64::from_bits(bits), self.rounding, to, false),
            (from, to) if to.float() => {
                let value = extended(bits, from);
                let exact = Exact {
                    negative: value < 0,
                    mantissa: value.unsigned_abs(),
                    exponent: 0,
                };
                let format = if to == Type::F32 { SINGLE } else { DOUBLE };
                let bits = format.round(exact, self.rounding);
                match (self.saturate, to) {
                    (false, _) => bits,
                    (true, Type::F32) => saturated(<f32 as Float>::of_bits(bits)).bits(),
                    (true, _) => saturated(<f64 as Float>::of_bits(bits)).bits(),
                }
            }
            (from, to) => {
                let value = extended(bits, from);
                let value = if self.saturate {
                    let (least, most) = range(to);
                    value.clamp(least, most)
                } else {
                    value
                };
                extended(value as u64, to) as u64
            }
        }
    }
}

/// The value of the low bits of `bits`, read as `kind`.
fn extended(bits: u64, kind: Type) -> i128 {
    let bits = Extension::of(kind).extend(bits);
    if kind.signed() {
        i128::from(bits.cast_signed())
    } else {
        i128::from(bits)
    }
}

fn range(kind: Type) -> (i128, i128) {
    let bits = 8 * u32::from(kind.bytes());
    if kind.signed() {
        (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    } else {
        (0, (1 << bits) - 1)
    }
}

fn integral(x: f64, rounding: Rounding) -> f64 {
    match rounding {
        Rounding::Nearest => x.round_ties_even(),
        Rounding::Zero => x.trunc(),
        Rounding::Down => x.floor(),
        Rounding::Up => x.ceil(),
    }
}

/// Out of range is clamped. NaN is 0 from f32 to at most 32 bits, else only the highest bit is
/// set.
fn integer(x: f64, rounding: Rounding, to: Type, zero_nan: bool) -> u64 {
    let value = if x.is_nan() {
        if zero_nan {
            0
        } else {
            1_i128 << (8 * u32::from(to.bytes()) - 1)
        }
    } else {
        let (least, most) = range(to);
        (integral(x, rounding) as i128).clamp(least, most)
    };
    extended(value as u64, to) as u64
}
