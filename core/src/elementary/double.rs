//! Reductions and polynomials for `f64`.

use super::{Elementary, Power, if_else, polynomial};

/// Adding it rounds to an integer (ties to even), which the low bits of the sum then hold.
const ROUND: f64 = 6_755_399_441_055_744.0; // 1.5·2⁵²

/// Twice the exponent bias: makes the integer positive, and its halves biased exponents.
const TWO_BIASES: f64 = 2046.0;

const SQRT_HALF_BITS: u64 = 0x3FE6_A09E_667F_3BCD;
const MANTISSA_BITS: u32 = 52;

impl Elementary for f64 {
    const LN_2: (Self, Self) = (0.693_147_180_559_890_3, 5.497_923_018_708_371e-14);

    #[inline(always)]
    fn literal(x: f64) -> Self {
        x
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
        let x = if_else(self < -746.0, -746.0, self);
        let x = if_else(x > 710.0, 710.0, x);
        // n = round(x/ln 2), from −1076 to 1024.
        let shifted = x * core::f64::consts::LOG2_E + (ROUND + TWO_BIASES);
        let n = shifted - (ROUND + TWO_BIASES);
        let biased = shifted.to_bits() & 0xFFF;
        let first = biased >> 1;
        let second = biased.wrapping_sub(first);
        let r = (x - n * Self::LN_2.0) - n * Self::LN_2.1;
        // (eʳ − 1 − r)/r² to 2⁻⁵⁴ of eʳ for |r| ≤ ln 2 / 2.
        let q = polynomial!(r;
            0.5,
            0.166_666_666_666_666_74,
            0.041_666_666_666_624_12,
            0.008_333_333_333_322_208,
            0.001_388_888_891_721_547_3,
            0.000_198_412_698_865_788_3,
            2.480_152_129_338_010_4e-5,
            2.755_724_235_421_484_5e-6,
            2.762_008_957_627_433e-7,
            2.511_004_276_247_508e-8
        );
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
        // 2⁵⁴ makes them normal.
        let x = self * if_else(subnormal, 18_014_398_509_481_984.0, 1.0);
        // k + 1024 for x = 2ᵏ(1 + f): the offset keeps the shift a logical one.
        let biased = x
            .to_bits()
            .wrapping_sub(SQRT_HALF_BITS)
            .wrapping_add(1024 << MANTISSA_BITS)
            >> MANTISSA_BITS;
        let mantissa = x
            .to_bits()
            .wrapping_sub(biased << MANTISSA_BITS)
            .wrapping_add(1024 << MANTISSA_BITS);
        // An integer below 2⁵² in the low bits of 2⁵² adds itself.
        const TWO_52: f64 = 4_503_599_627_370_496.0;
        let k = Self::from_bits(TWO_52.to_bits() | biased)
            - if_else(subnormal, TWO_52 + 1024.0 + 54.0, TWO_52 + 1024.0);
        (k, Self::from_bits(mantissa) - 1.0)
    }

    #[inline(always)]
    fn atanh_tail(z: Self) -> Self {
        // To 2⁻⁵⁹ of the logarithm.
        polynomial!(z;
            0.666_666_666_666_663_1,
            0.400_000_000_001_573_9,
            0.285_714_285_478_341_8,
            0.222_222_239_710_203_44,
            0.181_817_438_774_035_97,
            0.153_865_609_767_061_98,
            0.133_009_592_489_693_82,
            0.121_062_034_043_886_37,
            0.083_395_741_830_489_81,
            0.170_195_799_805_238_52
        )
    }

    #[inline(always)]
    fn sin_cos(self) -> (Self, Self) {
        // π/2 = first + second + third; n·first and n·second are exact for |n| ≤ 2¹⁷.
        const FIRST: f64 = 1.570_796_326_792_333_3;
        const SECOND: f64 = 2.563_344_151_583_955_8e-12;
        const THIRD: f64 = 1.056_299_906_698_742_8e-23;
        let shifted = self * core::f64::consts::FRAC_2_PI + ROUND;
        let n = shifted - ROUND;
        // x − n π/2 = high + low, by an exact difference.
        let (a, b) = (self - n * FIRST, n * SECOND);
        let difference = a - b;
        let b_seen = a - difference;
        let a_seen = difference + b_seen;
        let error = (a - a_seen) + (b_seen - b);
        let high = clamp(difference, 0.8);
        let low = clamp(error - n * THIRD, 1e-3);
        let r = high + low;
        let rest = (high - r) + low;

        let z = r * r;
        // To 2⁻⁵⁷ of sin r and to 2⁻⁶⁴ for |r| ≤ π/4.
        let s = polynomial!(z;
            -0.166_666_666_666_666_3,
            0.008_333_333_333_322_061,
            -0.000_198_412_698_295_423_25,
            2.755_731_360_440_43e-6,
            -2.505_074_502_602_689e-8,
            1.589_606_690_956_098_6e-10
        );
        let c = polynomial!(z;
            0.041_666_666_666_666_6,
            -0.001_388_888_888_887_406_4,
            2.480_158_728_944_351_2e-5,
            -2.755_731_434_067_015e-7,
            2.087_572_162_530_328e-9,
            -1.135_955_941_669_905e-11
        );
        let half = 0.5 * z;
        let top = 1.0 - half;
        let sin = r + (r * z * s + rest * top);
        let cos = top + (((1.0 - top) - half) + (z * z * c - r * rest));

        // Odd quadrants swap the two; the second bits of n and n + 1 are the signs.
        let quadrant = shifted.to_bits();
        let swap = 0_u64.wrapping_sub(quadrant & 1);
        let (sin, cos) = (sin.to_bits(), cos.to_bits());
        let exchanged = (sin ^ cos) & swap;
        (
            Self::from_bits(sin ^ exchanged ^ (quadrant & 2) << 62),
            Self::from_bits(cos ^ exchanged ^ (quadrant.wrapping_add(1) & 2) << 62),
        )
    }
}

/// x held in [−limit, limit]; NaN stays.
#[inline(always)]
fn clamp(x: f64, limit: f64) -> f64 {
    let x = if_else(x < -limit, -limit, x);
    if_else(x > limit, limit, x)
}
