//! The data types that a backend computes with.

use core::fmt::Debug;
use core::ops::Neg;

use crate::elementary::Elementary;

/// `f32` or `f64`: the type of batches, weights and moments.
///
/// Everything that steers a computation (series weights, statistics, per-row results) is `f64`
/// whatever this is. The trait is sealed: its elementary functions must give the same bits on
/// every host. They are not public: a backend computes from [`Self::to_f64`], or with
/// [`Activation`](crate::Activation), [`BaseDensity`](crate::BaseDensity) and
/// [`Adam`](crate::Adam), which take slices.
pub trait Scalar:
    Elementary
    + num_traits::NumAssign
    + Neg<Output = Self>
    + PartialOrd
    + Copy
    + Default
    + Debug
    + Send
    + Sync
    + 'static
{
    /// The distance from 1 to the next larger number.
    const EPSILON: f64;

    /// A magnitude far below anything that matters and far above the subnormal numbers, whose
    /// arithmetic is slow on many processors: products of smaller ones need not be computed.
    const TINY: Self;

    /// The nearest representable number.
    fn from_f64(x: f64) -> Self;

    /// The same number in double precision (exact).
    fn to_f64(self) -> f64;
}

impl Scalar for f32 {
    const EPSILON: f64 = f32::EPSILON as f64;
    // 2⁻¹⁰⁰
    const TINY: Self = Self::from_bits((127 - 100) << 23);

    #[inline]
    fn from_f64(x: f64) -> Self {
        x as Self
    }

    #[inline]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}

impl Scalar for f64 {
    const EPSILON: f64 = f64::EPSILON;
    // 2⁻⁹⁰⁰
    const TINY: Self = Self::from_bits((1023 - 900) << 52);

    #[inline]
    fn from_f64(x: f64) -> Self {
        x
    }

    #[inline]
    fn to_f64(self) -> f64 {
        self
    }
}
