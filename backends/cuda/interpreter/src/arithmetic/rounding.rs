//! Sums, products, quotients and roots of binary floating point, exact and then rounded once in
//! the wanted direction. The host rounds to nearest only.
//!
//! A finite value is `±mantissa · 2^exponent` with the mantissa in 128 bits, whose lowest bit is
//! sticky: it is set where anything non-zero was lost below it.

/// The directions in which PTX rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// `.rn`: to nearest, ties to even.
    Nearest,
    /// `.rz`
    Zero,
    /// `.rm`
    Down,
    /// `.rp`
    Up,
}

/// A binary format: f32 or f64.
#[derive(Clone, Copy)]
pub(crate) struct Format {
    /// Bits of the stored fraction.
    fraction: u32,
    /// Bits of the exponent.
    exponent: u32,
}

pub(crate) const SINGLE: Format = Format {
    fraction: 23,
    exponent: 8,
};
pub(crate) const DOUBLE: Format = Format {
    fraction: 52,
    exponent: 11,
};

/// A finite value.
#[derive(Clone, Copy)]
pub(crate) struct Exact {
    pub(crate) negative: bool,
    pub(crate) mantissa: u128,
    pub(crate) exponent: i32,
}

/// The highest bit of a normalised mantissa; two bits are left for carries.
const TOP: u32 = 125;

impl Format {
    fn bias(self) -> i32 {
        (1 << (self.exponent - 1)) - 1
    }

    /// The value of finite `bits`.
    pub(crate) fn exact(self, bits: u64) -> Exact {
        let fraction = bits & ((1 << self.fraction) - 1);
        let field = (bits >> self.fraction) & ((1 << self.exponent) - 1);
        let hidden = u64::from(field != 0) << self.fraction;
        Exact {
            negative: bits >> (self.fraction + self.exponent) & 1 == 1,
            mantissa: u128::from(fraction | hidden),
            exponent: (field as i32).max(1) - self.bias() - self.fraction as i32,
        }
    }

    fn infinity(self) -> u64 {
        ((1 << self.exponent) - 1) << self.fraction
    }

    /// The bits of `value`, rounded once.
    pub(crate) fn round(self, value: Exact, rounding: Rounding) -> u64 {
        let sign = u64::from(value.negative) << (self.fraction + self.exponent);
        if value.mantissa == 0 {
            return sign;
        }
        let value = value.normalised();
        // The exponent of the lowest bit that the result can hold.
        let lowest = (value.exponent + (TOP - self.fraction) as i32)
            .max(1 - self.bias() - self.fraction as i32);
        let drop = (lowest - value.exponent) as u32;
        let (kept, half, lost) = if drop > 127 {
            (0, false, true)
        } else {
            let below = value.mantissa & ((1 << (drop - 1)) - 1);
            let half = value.mantissa >> (drop - 1) & 1 == 1;
            ((value.mantissa >> drop) as u64, half, below != 0)
        };
        let up = match rounding {
            Rounding::Nearest => half && (lost || kept & 1 == 1),
            Rounding::Zero => false,
            Rounding::Down => value.negative && (half || lost),
            Rounding::Up => !value.negative && (half || lost),
        };
        let kept = kept + u64::from(up);
        // A mantissa that reached the hidden bit adds one to the exponent by itself.
        let field = lowest + self.bias() + self.fraction as i32 - 1;
        let bits = kept + ((field as u64) << self.fraction);
        if bits < self.infinity() {
            return sign | bits;
        }
        let overflows = match rounding {
            Rounding::Nearest => true,
            Rounding::Zero => false,
            Rounding::Down => value.negative,
            Rounding::Up => !value.negative,
        };
        sign | (self.infinity() - u64::from(!overflows))
    }
}

impl Exact {
    fn normalised(self) -> Self {
        let shift = self.mantissa.leading_zeros() as i32 - (127 - TOP as i32);
        let mantissa = if shift >= 0 {
            self.mantissa << shift
        } else {
            jam(self.mantissa, shift.unsigned_abs())
        };
        Self {
            mantissa,
            exponent: self.exponent - shift,
            ..self
        }
    }

    /// The sum. An exact zero of two unlike signs is positive, negative when rounding down.
    pub(crate) fn plus(self, other: Self, rounding: Rounding) -> Self {
        if self.mantissa == 0 && other.mantissa == 0 {
            let negative = if self.negative == other.negative {
                self.negative
            } else {
                rounding == Rounding::Down
            };
            return Self { negative, ..self };
        }
        if self.mantissa == 0 {
            return other;
        }
        if other.mantissa == 0 {
            return self;
        }
        let (mut high, mut low) = (self.normalised(), other.normalised());
        if high.exponent < low.exponent {
            (high, low) = (low, high);
        }
        let low_mantissa = jam(low.mantissa, (high.exponent - low.exponent).unsigned_abs());
        if high.negative == low.negative {
            return Self {
                mantissa: high.mantissa + low_mantissa,
                ..high
            };
        }
        let negative = if high.mantissa == low_mantissa {
            rounding == Rounding::Down
        } else {
            high.negative != (high.mantissa < low_mantissa)
        };
        Self {
            negative,
            mantissa: high.mantissa.abs_diff(low_mantissa),
            ..high
        }
    }

    pub(crate) fn times(self, other: Self) -> Self {
        Self {
            negative: self.negative != other.negative,
            mantissa: self.mantissa * other.mantissa,
            exponent: self.exponent + other.exponent,
        }
    }

    /// The quotient by a value that is not zero.
    pub(crate) fn over(self, other: Self) -> Self {
        let negative = self.negative != other.negative;
        if self.mantissa == 0 {
            return Self { negative, ..self };
        }
        let (high, low) = (self.normalised(), other.normalised());
        // 126 bits over 60: the quotient keeps more than any format, the rest is sticky.
        let divisor = low.mantissa >> 66;
        let quotient = high.mantissa / divisor;
        let sticky = u128::from(high.mantissa % divisor != 0);
        Self {
            negative,
            mantissa: quotient << 1 | sticky,
            exponent: high.exponent - low.exponent - 66 - 1,
        }
    }

    /// The root of a value that is not negative.
    pub(crate) fn root(self) -> Self {
        if self.mantissa == 0 {
            return self;
        }
        let mut value = self.normalised();
        if value.exponent % 2 != 0 {
            value = Self {
                mantissa: value.mantissa << 1,
                exponent: value.exponent - 1,
                ..value
            };
        }
        let root = value.mantissa.isqrt();
        let sticky = u128::from(root * root != value.mantissa);
        Self {
            mantissa: root << 1 | sticky,
            exponent: value.exponent / 2 - 1,
            ..value
        }
    }
}

/// A shift to the right that keeps a sticky bit.
fn jam(mantissa: u128, by: u32) -> u128 {
    if by == 0 {
        return mantissa;
    }
    if by > 127 {
        return u128::from(mantissa != 0);
    }
    mantissa >> by | u128::from(mantissa & ((1 << by) - 1) != 0)
}
