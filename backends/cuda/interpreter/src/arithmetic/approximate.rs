//! The instructions that a device computes only approximately.
//!
//! By default the result is exact but for its rounding. [`Approximation::Perturbed`] moves it, by
//! an amount that depends on the operand alone, anywhere within the error that the PTX ISA allows.
//! The bounds below want checking against the release of the ISA at hand before a kernel relies on one:
//! none of this project's has such an instruction.

use super::float::{canonical, flushed};

/// How approximate instructions are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Approximation {
    /// Rounded to nearest from the exact result.
    #[default]
    Exact,
    /// Moved within the documented error.
    Perturbed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unary {
    /// `ex2.approx`
    PowerOfTwo,
    /// `lg2.approx`
    LogarithmOfTwo,
    /// `sin.approx`
    Sine,
    /// `cos.approx`
    Cosine,
    /// `tanh.approx`
    HyperbolicTangent,
    /// `rcp.approx`
    Reciprocal,
    /// `rsqrt.approx`
    ReciprocalRoot,
    /// `sqrt.approx`
    Root,
}

/// The largest error of a result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    /// In units of the last place of the result.
    Ulp(f64),
    /// As the binary logarithm of the error over the result.
    Relative(f64),
    /// As the binary logarithm of the error.
    Absolute(f64),
}

impl Unary {
    /// The bounds of the PTX ISA, section "Floating Point Instructions", for f32.
    pub(crate) fn bound(self, x: f32) -> Bound {
        match self {
            // ex2.approx.f32: 2 ulp over the full range.
            Self::PowerOfTwo => Bound::Ulp(2.0),
            // lg2.approx.f32: absolute 2^-22 on (1/2, 2), relative 2^-22 elsewhere.
            Self::LogarithmOfTwo if x > 0.5 && x < 2.0 => Bound::Absolute(-22.0),
            Self::LogarithmOfTwo => Bound::Relative(-22.0),
            // sin.approx.f32, cos.approx.f32: absolute 2^-20.5 on [-2π, 2π], 2^-14.7 on
            // [-100π, 100π], and beyond that nothing is promised.
            Self::Sine | Self::Cosine => {
                let range = f64::from(x.abs()) / std::f64::consts::PI;
                Bound::Absolute(if range <= 2.0 {
                    -20.5
                } else if range <= 100.0 {
                    -14.7
                } else {
                    0.0
                })
            }
            // tanh.approx.f32: relative 2^-11.
            Self::HyperbolicTangent => Bound::Relative(-11.0),
            // rcp.approx.f32: 1 ulp over the full range.
            Self::Reciprocal => Bound::Ulp(1.0),
            // rsqrt.approx.f32: relative 2^-22.9.
            Self::ReciprocalRoot => Bound::Relative(-22.9),
            // sqrt.approx.f32: relative 2^-23.
            Self::Root => Bound::Relative(-23.0),
        }
    }

    fn exact(self, x: f64) -> f64 {
        match self {
            Self::PowerOfTwo => x.exp2(),
            Self::LogarithmOfTwo => x.log2(),
            Self::Sine => x.sin(),
            Self::Cosine => x.cos(),
            Self::HyperbolicTangent => x.tanh(),
            Self::Reciprocal => x.recip(),
            Self::ReciprocalRoot => x.sqrt().recip(),
            Self::Root => x.sqrt(),
        }
    }
}

/// div.approx.f32 for divisors in [2^-126, 2^126], div.full.f32 over the full range.
const DIVISION: Bound = Bound::Ulp(2.0);
/// rsqrt.approx.f64, which is made by software.
const ROOT_OF_DOUBLE: Bound = Bound::Ulp(1.0);
/// rcp.approx.ftz.f64 and rsqrt.approx.ftz.f64 give 20 bits of fraction.
const GROSS: Bound = Bound::Relative(-20.0);

pub(crate) fn unary(f: Unary, flush: bool, how: Approximation, x: f32) -> f32 {
    let x = flushed(x, flush);
    let exact = f.exact(f64::from(x));
    // Zeros and infinities are promised exactly. That a whole power of two is exact the ISA does
    // not say, but the mathematical functions of CUDA are built on it (tanh of doubles loses half
    // its digits otherwise), and with them every program.
    let whole = f == Unary::PowerOfTwo && x.fract() == 0.0;
    let free = exact.is_finite() && exact != 0.0 && !whole && how == Approximation::Perturbed;
    let result = if free {
        moved_single(exact, f.bound(x), noise(u64::from(x.to_bits()), f as u64))
    } else {
        exact as f32
    };
    canonical(flushed(result, flush))
}

/// `div.approx` and, with `full`, `div.full`.
pub(crate) fn divide(full: bool, flush: bool, how: Approximation, x: f32, y: f32) -> f32 {
    let (x, y) = (flushed(x, flush), flushed(y, flush));
    // 2^126: beyond it div.approx gives 0, or NaN for an infinite dividend.
    if !full && y.is_finite() && y.abs() > f32::from_bits(0x7e80_0000) {
        return if x.is_finite() {
            0.0_f32.copysign(x * y.signum())
        } else {
            canonical(f32::NAN)
        };
    }
    let exact = f64::from(x) / f64::from(y);
    let free = exact.is_finite() && exact != 0.0 && how == Approximation::Perturbed;
    let result = if free {
        let key = u64::from(x.to_bits()) << 32 | u64::from(y.to_bits());
        moved_single(exact, DIVISION, noise(key, 64))
    } else {
        exact as f32
    };
    canonical(flushed(result, flush))
}

/// `rcp.approx.ftz.f64` and `rsqrt.approx.ftz.f64`: the low word of operand and result is zero.
pub(crate) fn gross(root: bool, how: Approximation, x: f64) -> f64 {
    let x = f64::from_bits(flushed(x, true).to_bits() >> 32 << 32);
    let exact = if root { x.sqrt().recip() } else { x.recip() };
    if !exact.is_finite() || exact == 0.0 {
        return exact;
    }
    let wanted = match how {
        Approximation::Exact => exact,
        // Half of the bound: the rounding to 20 bits below takes the other half.
        Approximation::Perturbed => {
            exact * (1.0 + noise(x.to_bits(), 128) * error(GROSS, exact, 0.0) / exact.abs() / 2.0)
        }
    };
    flushed(
        f64::from_bits(wanted.to_bits().wrapping_add(1 << 31) >> 32 << 32),
        true,
    )
}

/// `rsqrt.approx.f64`
pub(crate) fn root_of_double(how: Approximation, x: f64) -> f64 {
    let exact = x.sqrt().recip();
    let free = exact.is_finite() && exact != 0.0 && how == Approximation::Perturbed;
    if !free {
        return exact;
    }
    let step = noise(x.to_bits(), 256) * error(ROOT_OF_DOUBLE, exact, ulp(exact, 52));
    exact + step.trunc()
}

fn ulp(x: f64, fraction: i32) -> f64 {
    let least = if fraction == 23 { -149.0 } else { -1074.0 };
    (x.abs().log2().floor() - f64::from(fraction))
        .max(least)
        .exp2()
}

fn error(bound: Bound, exact: f64, ulp: f64) -> f64 {
    match bound {
        Bound::Ulp(units) => units * ulp,
        Bound::Relative(log) => log.exp2() * exact.abs(),
        Bound::Absolute(log) => log.exp2(),
    }
}

/// The single-precision number near `exact + noise · error` whose error is within the bound.
fn moved_single(exact: f64, bound: Bound, noise: f64) -> f32 {
    let error = error(bound, exact, ulp(exact, 23));
    let mut candidate = (exact + noise * error) as f32;
    while (f64::from(candidate) - exact).abs() > error {
        let nearest = exact as f32;
        if candidate == nearest {
            break;
        }
        candidate = if candidate < nearest {
            candidate.next_up()
        } else {
            candidate.next_down()
        };
    }
    candidate
}

/// A number of [-1, 1] that looks random and depends on the arguments alone.
fn noise(bits: u64, salt: u64) -> f64 {
    let mut z = bits.wrapping_add(salt.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    (z >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}
