//! Floating-point arithmetic of f32 and f64, in every rounding, with `.ftz` and `.sat`.

use super::rounding::{DOUBLE, Exact, Format, Rounding, SINGLE};

/// The modifiers of an arithmetic instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode {
    pub(crate) rounding: Rounding,
    /// `.ftz`: subnormal numbers count as zeros of their sign, and become such.
    pub(crate) flush: bool,
    /// `.sat`: the result is clamped to [0, 1], NaN to 0.
    pub(crate) saturate: bool,
}

impl Mode {
    pub(crate) const PLAIN: Self = Self {
        rounding: Rounding::Nearest,
        flush: false,
        saturate: false,
    };

    pub(crate) fn plain(self) -> bool {
        self == Self::PLAIN
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unary {
    Absolute,
    Negate,
    Root,
    Reciprocal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    /// The other operand where one is NaN.
    Minimum,
    Maximum,
    /// `.NaN`: NaN where one is NaN.
    MinimumNan,
    MaximumNan,
    /// The magnitude of the second, the sign of the first.
    CopySign,
}

/// `testp`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Property {
    Finite,
    Infinite,
    Number,
    NotANumber,
    Normal,
    Subnormal,
}

/// The arithmetic of one format over host floats of that format.
pub(crate) trait Float: Copy + PartialEq + PartialOrd {
    const FORMAT: Format;
    /// The NaN that an instruction makes.
    const NAN: Self;
    const ZERO: Self;
    const ONE: Self;

    fn bits(self) -> u64;
    fn of_bits(bits: u64) -> Self;
    fn magnitude(self) -> Self;
    fn is_nan(self) -> bool;
    fn is_finite(self) -> bool;
    fn is_subnormal(self) -> bool;
    fn is_negative(self) -> bool;
    fn negated(self) -> Self;
    fn signed_as(self, other: Self) -> Self;
    fn add(self, other: Self) -> Self;
    fn multiply(self, other: Self) -> Self;
    fn divide(self, other: Self) -> Self;
    fn root(self) -> Self;
    fn fused(self, factor: Self, addend: Self) -> Self;
}

macro_rules! float {
    ($t:ty, $u:ty, $format:expr, $nan:expr) => {
        impl Float for $t {
            const FORMAT: Format = $format;
            const NAN: Self = <$t>::from_bits($nan);
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;

            fn bits(self) -> u64 {
                u64::from(self.to_bits())
            }
            fn of_bits(bits: u64) -> Self {
                Self::from_bits(bits as $u)
            }
            fn magnitude(self) -> Self {
                self.abs()
            }
            fn is_nan(self) -> bool {
                self.is_nan()
            }
            fn is_finite(self) -> bool {
                self.is_finite()
            }
            fn is_subnormal(self) -> bool {
                self.is_subnormal()
            }
            fn is_negative(self) -> bool {
                self.is_sign_negative()
            }
            fn negated(self) -> Self {
                -self
            }
            fn signed_as(self, other: Self) -> Self {
                self.copysign(other)
            }
            fn add(self, other: Self) -> Self {
                self + other
            }
            fn multiply(self, other: Self) -> Self {
                self * other
            }
            fn divide(self, other: Self) -> Self {
                self / other
            }
            fn root(self) -> Self {
                self.sqrt()
            }
            fn fused(self, factor: Self, addend: Self) -> Self {
                self.mul_add(factor, addend)
            }
        }
    };
}

// The ISA: "single precision: NaN results are the canonical 0x7fffffff"; doubles keep payloads.
float!(f32, u32, SINGLE, 0x7fff_ffff);
float!(f64, u64, DOUBLE, 0xfff8_0000_0000_0000);

/// A single-precision result as the device gives it: every NaN is the canonical one.
#[inline(always)]
pub(crate) fn canonical(x: f32) -> f32 {
    if x.is_nan() { <f32 as Float>::NAN } else { x }
}

/// `x`, or a zero of its sign where it is subnormal.
pub(crate) fn flushed<F: Float>(x: F, flush: bool) -> F {
    if flush && x.is_subnormal() {
        F::ZERO.signed_as(x)
    } else {
        x
    }
}

fn finish<F: Float>(x: F, mode: Mode) -> F {
    let x = flushed(x, mode.flush);
    if mode.saturate {
        return saturated(x);
    }
    if x.is_nan() && size_of::<F>() == 4 {
        F::NAN
    } else {
        x
    }
}

pub(crate) fn saturated<F: Float>(x: F) -> F {
    // NaN fails the comparison; so does -0.
    if x > F::ZERO {
        if x < F::ONE { x } else { F::ONE }
    } else {
        F::ZERO
    }
}

/// The operation on finite operands, exact and rounded once; `host` for anything else, and to
/// nearest.
fn rounded<F: Float>(operands: &[F], mode: Mode, host: F, exact: impl Fn() -> Exact) -> F {
    let ordinary = operands.iter().all(|x| x.is_finite());
    if mode.rounding == Rounding::Nearest || !ordinary {
        return finish(host, mode);
    }
    finish(F::of_bits(F::FORMAT.round(exact(), mode.rounding)), mode)
}

fn exact<F: Float>(x: F) -> Exact {
    F::FORMAT.exact(x.bits())
}

pub(crate) fn unary<F: Float>(f: Unary, mode: Mode, x: F) -> F {
    let x = flushed(x, mode.flush);
    match f {
        Unary::Absolute => finish(x.magnitude(), mode),
        Unary::Negate => finish(x.negated(), mode),
        Unary::Root if x < F::ZERO => finish(F::NAN, mode),
        Unary::Root => rounded(&[x], mode, x.root(), || exact(x).root()),
        Unary::Reciprocal => binary(Binary::Divide, mode, F::ONE, x),
    }
}

pub(crate) fn binary<F: Float>(f: Binary, mode: Mode, x: F, y: F) -> F {
    let (x, y) = (flushed(x, mode.flush), flushed(y, mode.flush));
    match f {
        Binary::Add => rounded(&[x, y], mode, x.add(y), || {
            exact(x).plus(exact(y), mode.rounding)
        }),
        Binary::Subtract => binary(Binary::Add, mode, x, y.negated()),
        Binary::Multiply => rounded(&[x, y], mode, x.multiply(y), || exact(x).times(exact(y))),
        Binary::Divide if y == F::ZERO => finish(x.divide(y), mode),
        Binary::Divide => rounded(&[x, y], mode, x.divide(y), || exact(x).over(exact(y))),
        Binary::Minimum | Binary::Maximum => {
            let larger = f == Binary::Maximum;
            finish(
                if x.is_nan() {
                    y
                } else if y.is_nan() {
                    x
                } else {
                    extreme(x, y, larger)
                },
                mode,
            )
        }
        Binary::MinimumNan | Binary::MaximumNan if x.is_nan() || y.is_nan() => F::NAN,
        Binary::MinimumNan => finish(extreme(x, y, false), mode),
        Binary::MaximumNan => finish(extreme(x, y, true), mode),
        Binary::CopySign => y.signed_as(x),
    }
}

/// -0 counts as less than +0.
fn extreme<F: Float>(x: F, y: F, larger: bool) -> F {
    let x_less = x < y || (x == y && x.is_negative());
    if x_less == larger { y } else { x }
}

pub(crate) fn fused<F: Float>(mode: Mode, x: F, y: F, z: F) -> F {
    let (x, y, z) = (
        flushed(x, mode.flush),
        flushed(y, mode.flush),
        flushed(z, mode.flush),
    );
    rounded(&[x, y, z], mode, x.fused(y, z), || {
        exact(x).times(exact(y)).plus(exact(z), mode.rounding)
    })
}

pub(crate) fn has<F: Float>(property: Property, x: F) -> bool {
    match property {
        Property::Finite => x.is_finite(),
        Property::Infinite => !x.is_finite() && !x.is_nan(),
        Property::Number => !x.is_nan(),
        Property::NotANumber => x.is_nan(),
        Property::Normal => x.is_finite() && !x.is_subnormal() && x != F::ZERO,
        Property::Subnormal => x.is_subnormal(),
    }
}
