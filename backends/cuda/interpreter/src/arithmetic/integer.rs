//! Integer arithmetic of 16, 32 and 64 bits.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unary {
    Negate,
    Absolute,
    Not,
    /// 1 where the operand is 0, else 0.
    LogicalNot,
    Reverse,
    PopulationCount,
    LeadingZeros,
    /// Position of the highest bit that differs from the sign, or of the highest set bit.
    FindSigned,
    FindUnsigned,
    /// The same, counted from the top: the shift that brings it there.
    FindSignedShift,
    FindUnsignedShift,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Subtract,
    Multiply,
    MultiplyHighSigned,
    MultiplyHighUnsigned,
    DivideSigned,
    DivideUnsigned,
    RemainderSigned,
    RemainderUnsigned,
    MinimumSigned,
    MinimumUnsigned,
    MaximumSigned,
    MaximumUnsigned,
    And,
    Or,
    ExclusiveOr,
    /// `.sat`, which only s32 has.
    AddSaturating,
    SubtractSaturating,
    /// `mul24.lo`
    Multiply24Signed,
    Multiply24Unsigned,
}

/// The second operand is a 32-bit count; counts beyond the width shift everything out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shift {
    Left,
    RightSigned,
    RightUnsigned,
}

/// With a carry out (`.cc`), a carry in (`addc`, `subc`), or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carry {
    Add,
    /// `a - b`, whose carry is a borrow.
    Subtract,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// One width.
pub(crate) trait Word: Copy + Default + PartialEq {
    fn unary(f: Unary, x: Self) -> Self;
    fn binary(f: Binary, x: Self, y: Self) -> Self;
    fn shift(f: Shift, x: Self, count: u32) -> Self;
    fn compare(f: Comparison, signed: bool, x: Self, y: Self) -> bool;
    /// Result and carry (or borrow).
    fn carry(f: Carry, x: Self, y: Self, carry: bool) -> (Self, bool);
    /// `bfe`: `length` bits from `start`, the sign repeated above them.
    fn extract(signed: bool, x: Self, start: u32, length: u32) -> Self;
    /// `bfi`: the low `length` bits of `x` at `start` in `into`.
    fn insert(x: Self, into: Self, start: u32, length: u32) -> Self;
}

macro_rules! word {
    ($u:ty, $i:ty, $wide_u:ty, $wide_i:ty) => {
        impl Word for $u {
            #[inline(always)]
            fn unary(f: Unary, x: Self) -> Self {
                let signed = x.cast_signed();
                let flipped = if signed < 0 { !x } else { x };
                let position = |x: $u| (<$u>::BITS - 1).wrapping_sub(x.leading_zeros()) as $u;
                let shift = |x: $u| {
                    if x == 0 {
                        <$u>::MAX
                    } else {
                        x.leading_zeros() as $u
                    }
                };
                match f {
                    Unary::Negate => x.wrapping_neg(),
                    Unary::Absolute => signed.unsigned_abs(),
                    Unary::Not => !x,
                    Unary::LogicalNot => <$u>::from(x == 0),
                    Unary::Reverse => x.reverse_bits(),
                    Unary::PopulationCount => x.count_ones() as $u,
                    Unary::LeadingZeros => x.leading_zeros() as $u,
                    Unary::FindSigned => position(flipped),
                    Unary::FindUnsigned => position(x),
                    Unary::FindSignedShift => shift(flipped),
                    Unary::FindUnsignedShift => shift(x),
                }
            }

            #[inline(always)]
            fn binary(f: Binary, x: Self, y: Self) -> Self {
                let (i, j) = (x.cast_signed(), y.cast_signed());
                match f {
                    Binary::Add => x.wrapping_add(y),
                    Binary::Subtract => x.wrapping_sub(y),
                    Binary::Multiply => x.wrapping_mul(y),
                    Binary::MultiplyHighSigned => {
                        ((<$wide_i>::from(i) * <$wide_i>::from(j)) >> <$u>::BITS) as $u
                    }
                    Binary::MultiplyHighUnsigned => {
                        ((<$wide_u>::from(x) * <$wide_u>::from(y)) >> <$u>::BITS) as $u
                    }
                    // The ISA leaves division by zero open; devices give all ones.
                    Binary::DivideSigned if j == 0 => <$u>::MAX,
                    Binary::DivideSigned => i.wrapping_div(j).cast_unsigned(),
                    Binary::DivideUnsigned => x.checked_div(y).unwrap_or(<$u>::MAX),
                    Binary::RemainderSigned if j == 0 => x,
                    Binary::RemainderSigned => i.wrapping_rem(j).cast_unsigned(),
                    Binary::RemainderUnsigned => x.checked_rem(y).unwrap_or(x),
                    Binary::MinimumSigned => i.min(j).cast_unsigned(),
                    Binary::MinimumUnsigned => x.min(y),
                    Binary::MaximumSigned => i.max(j).cast_unsigned(),
                    Binary::MaximumUnsigned => x.max(y),
                    Binary::And => x & y,
                    Binary::Or => x | y,
                    Binary::ExclusiveOr => x ^ y,
                    Binary::AddSaturating => i.saturating_add(j).cast_unsigned(),
                    Binary::SubtractSaturating => i.saturating_sub(j).cast_unsigned(),
                    Binary::Multiply24Signed => {
                        let low = |v: $i| (v as i32) << 8 >> 8;
                        low(i).wrapping_mul(low(j)) as $u
                    }
                    Binary::Multiply24Unsigned => {
                        let low = |v: $u| v as u32 & 0xff_ffff;
                        low(x).wrapping_mul(low(y)) as $u
                    }
                }
            }

            #[inline(always)]
            fn shift(f: Shift, x: Self, count: u32) -> Self {
                let all = count >= <$u>::BITS;
                match f {
                    Shift::Left if all => 0,
                    Shift::Left => x << count,
                    Shift::RightUnsigned if all => 0,
                    Shift::RightUnsigned => x >> count,
                    Shift::RightSigned => {
                        (x.cast_signed() >> count.min(<$u>::BITS - 1)).cast_unsigned()
                    }
                }
            }

            #[inline(always)]
            fn compare(f: Comparison, signed: bool, x: Self, y: Self) -> bool {
                let flip = if signed { 1 << (<$u>::BITS - 1) } else { 0 };
                let (x, y) = (x ^ flip, y ^ flip);
                match f {
                    Comparison::Equal => x == y,
                    Comparison::NotEqual => x != y,
                    Comparison::Less => x < y,
                    Comparison::LessEqual => x <= y,
                    Comparison::Greater => x > y,
                    Comparison::GreaterEqual => x >= y,
                }
            }

            #[inline(always)]
            fn carry(f: Carry, x: Self, y: Self, carry: bool) -> (Self, bool) {
                let (first, second) = match f {
                    Carry::Add => {
                        let (sum, one) = x.overflowing_add(y);
                        (sum.overflowing_add(<$u>::from(carry)), one)
                    }
                    Carry::Subtract => {
                        let (rest, one) = x.overflowing_sub(y);
                        (rest.overflowing_sub(<$u>::from(carry)), one)
                    }
                };
                (first.0, first.1 | second)
            }

            fn extract(signed: bool, x: Self, start: u32, length: u32) -> Self {
                let (start, length) = (start & 0xff, length & 0xff);
                let top = <$u>::BITS - 1;
                let sign = if !signed || length == 0 {
                    0
                } else {
                    x >> (start + length - 1).min(top) & 1
                };
                (0..<$u>::BITS).fold(0, |result, at| {
                    let bit = if at < length && at + start <= top {
                        x >> (at + start) & 1
                    } else {
                        sign
                    };
                    result | bit << at
                })
            }

            fn insert(x: Self, into: Self, start: u32, length: u32) -> Self {
                let (start, length) = (start & 0xff, length & 0xff);
                (0..length)
                    .take_while(|at| start + at < <$u>::BITS)
                    .fold(into, |result, at| {
                        let place = start + at;
                        result & !(1 << place) | (x >> at & 1) << place
                    })
            }
        }
    };
}

word!(u16, i16, u32, i32);
word!(u32, i32, u64, i64);
word!(u64, i64, u128, i128);

/// `prmt`: bytes of the pair (a, b) by the nibbles of the selector; a nibble's high bit spreads
/// the sign of the byte.
pub(crate) fn permute(a: u32, b: u32, selector: u32) -> u32 {
    let pair = u64::from(b) << 32 | u64::from(a);
    (0..4).fold(0, |result, at| {
        let nibble = selector >> (4 * at) & 15;
        let byte = (pair >> (8 * (nibble & 7))) as u8;
        let byte = if nibble & 8 == 0 {
            byte
        } else {
            (byte.cast_signed() >> 7).cast_unsigned()
        };
        result | u32::from(byte) << (8 * at)
    })
}

/// `shf`: the pair `high:low` shifted, and its high (left) or low (right) half.
pub(crate) fn funnel(left: bool, clamp: bool, low: u32, high: u32, count: u32) -> u32 {
    let count = if clamp { count.min(32) } else { count & 31 };
    let pair = u64::from(high) << 32 | u64::from(low);
    if left {
        ((pair << count) >> 32) as u32
    } else {
        (pair >> count) as u32
    }
}

/// `lop3`: the table is indexed by the three bits.
pub(crate) fn table(a: u32, b: u32, c: u32, entries: u8) -> u32 {
    (0..8_u32)
        .filter(|index| entries >> index & 1 == 1)
        .fold(0, |result, index| {
            let pick = |x: u32, bit: u32| if index >> bit & 1 == 1 { x } else { !x };
            result | pick(a, 2) & pick(b, 1) & pick(c, 0)
        })
}
