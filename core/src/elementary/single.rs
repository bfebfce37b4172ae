//! Reductions and polynomials for `f32`.

use super::{Elementary, Power, if_else, polynomial};

/// Adding it rounds to an integer (ties to even), which the low bits of the sum then hold.
const ROUND: f32 = 12_582_912.0; // 1.5·2²³

/// Twice the exponent bias: makes the integer positive, and its halves biased exponents.
const TWO_BIASES: f32 = 254.0;

const SQRT_HALF_BITS: u32 = 0x3F35_04F3;
const MANTISSA_BITS: u32 = 23;

impl Elementary for f32 {
    const LN_2: (Self, Self) = (0.693_145_75, 1.428_606_8e-6);

    #[inline(always)]
    fn literal(x: f64) -> Self {
        x as Self
    }

    #[inline(always)]
    fn abs(self) -> Self {
        Self::abs(self)
    }

    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        Self::copysign(self, sign)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        num_traits::Float::sqrt(self)
    }

    #[inline(always)]
    fn exp_parts(self) -> Power<Self> {
        let x = if_else(self < -104.0, -104.0, self);
        let x = if_else(x > 89.0, 89.0, x);
        // n = round(x/ln 2), from −150 to 128.
        let shifted = x * core::f32::consts::LOG2_E + (ROUND + TWO_BIASES);
        let n = shifted - (ROUND + TWO_BIASES);
        let biased = shifted.to_bits() & 0x1FF;
        let first = biased >> 1;
        let second = biased.wrapping_sub(first);
        let r = (x - n * Self::LN_2.0) - n * Self::LN_2.1;
        // (eʳ − 1 − r)/r² to 2⁻²⁶ of eʳ for |r| ≤ ln 2 / 2.
        let q = polynomial!(r; 0.5, 0.166_665_76, 0.041_666_374, 0.008_363_182, 0.001_394_112_2);
        Power {
            scale: (
                Self::from_bits(first << MANTISSA_BITS),
                Self::from_bits(second << MANTISSA_BITS),
            ),
            more: r + r * r * q,
        }
    }

    #[inline(always)]
    fn ln_parts(self) -> (Self, Self) {
        let subnormal = self < Self::MIN_POSITIVE;
        // 2²⁵ makes them normal.
        let x = self * if_else(subnormal, 33_554_432.0, 1.0);
        // k + 128 for x = 2ᵏ(1 + f): the offset keeps the shift a logical one.
        let biased = x
            .to_bits()
            .wrapping_sub(SQRT_HALF_BITS)
            .wrapping_add(128 << MANTISSA_BITS)
            >> MANTISSA_BITS;
        let mantissa = x
            .to_bits()
            .wrapping_sub(biased << MANTISSA_BITS)
            .wrapping_add(128 << MANTISSA_BITS);
        // An integer below 2²³ in the low bits of 2²³ adds itself.
        const TWO_23: f32 = 8_388_608.0;
        let k = Self::from_bits(TWO_23.to_bits() | biased)
            - if_else(subnormal, TWO_23 + 128.0 + 25.0, TWO_23 + 128.0);
        (k, Self::from_bits(mantissa) - 1.0)
    }

    #[inline(always)]
    fn atanh_tail(z: Self) -> Self {
        // To 2⁻³³ of the logarithm.
        polynomial!(z; 0.666_666_75, 0.399_988_77, 0.286_169, 0.214_274_78, 0.243_016_73)
    }

    #[inline(always)]
    fn sin_cos(self) -> (Self, Self) {
        // The reduction in double precision: n·FIRST is exact for |n| ≤ 2¹⁷.
        const ROUND: f64 = 6_755_399_441_055_744.0; // 1.5·2⁵²
        const FIRST: f64 = 1.570_796_326_792_333_3;
        const SECOND: f64 = 2.563_344_151_594_519e-12;
        let x = f64::from(self);
        let shifted = x * core::f64::consts::FRAC_2_PI + ROUND;
        let n = shifted - ROUND;
        let r = ((x - n * FIRST) - n * SECOND) as Self;
        let r = if_else(r < -0.8, -0.8, r);
        let r = if_else(r > 0.8, 0.8, r);

        let z = r * r;
        // To 2⁻²⁷ of sin r and to 2⁻³³ for |r| ≤ π/4.
        let s = polynomial!(z; -0.166_666_55, 0.008_332_158, -0.000_195_149_58);
        let c = polynomial!(z; 0.041_666_646, -0.001_388_736_4, 2.443_809_2e-5);
        let half = 0.5 * z;
        let top = 1.0 - half;
        let sin = r + r * z * s;
        let cos = top + (((1.0 - top) - half) + z * z * c);

        // Odd quadrants swap the two; the second bits of n and n + 1 are the signs.
        let quadrant = shifted.to_bits() as u32;
        let swap = 0_u32.wrapping_sub(quadrant & 1);
        let (sin, cos) = (sin.to_bits(), cos.to_bits());
        let exchanged = (sin ^ cos) & swap;
        (
            Self::from_bits(sin ^ exchanged ^ (quadrant & 2) << 30),
            Self::from_bits(cos ^ exchanged ^ (quadrant.wrapping_add(1) & 2) << 30),
        )
    }
}
