//! Errors against `libm` in double precision: for `f32` the true ones, for `f64` with the reference's
//! own 1 to 2 ulp on top. The bounds are those of the module's table.

use std::vec::Vec;

use super::lanes;
use crate::{Key, Scalar};

/// |got − want| over the distance of neighbouring numbers of T around `want`.
fn ulps<T: Scalar>(got: T, want: f64) -> f64 {
    let got = got.to_f64();
    if got == want || (got.is_nan() && want.is_nan()) {
        return 0.0;
    }
    let smallest = if T::EPSILON > 1e-10 {
        f64::from(f32::from_bits(1))
    } else {
        f64::from_bits(1)
    };
    let exponent = libm::ilogb(want.abs());
    let spacing = (libm::exp2(f64::from(exponent)) * T::EPSILON).max(smallest);
    // Beyond the largest number of T, ∞ is the nearest.
    if T::from_f64(want).to_f64() == got {
        return 0.5;
    }
    (got - want).abs() / spacing
}

/// Numbers that fill [low, high] evenly, and at random in magnitude down to 2^−`down` of it.
fn arguments<T: Scalar>(low: f64, high: f64, down: f64) -> Vec<T> {
    let key = Key::new(3);
    let count = 200_000_u32;
    let size = low.abs().max(high.abs());
    let even = (0..=count).map(|i| low + (high - low) * f64::from(i) / f64::from(count));
    let random = (0..count).flat_map(|i| {
        let small = size * libm::exp2(-down * key.uniform(0, i));
        [small, -small]
            .into_iter()
            .filter(|x| (low..=high).contains(x))
    });
    even.chain(random).map(T::from_f64).collect()
}

#[track_caller]
fn assert_close<T: Scalar>(
    name: &str,
    bound: f64,
    x: &[T],
    f: impl Fn(T) -> T,
    reference: impl Fn(f64) -> f64,
) {
    let (mut worst, mut at) = (0.0, T::zero());
    for &x in x {
        let error = ulps(f(x), reference(x.to_f64()));
        if error > worst || error.is_nan() {
            (worst, at) = (error, x);
        }
    }
    std::println!("{name}: {worst:.3} ulp at {at:?}");
    assert!(worst <= bound, "{name}: {worst} ulp at {at:?}");
}

fn sigmoid(x: f64) -> f64 {
    if x < 0.0 {
        libm::exp(x) / (1.0 + libm::exp(x))
    } else {
        1.0 / (1.0 + libm::exp(-x))
    }
}

fn errors<T: Scalar>(exp_range: [f64; 2], smallest_normal: f64) {
    let [low, high] = exp_range;
    let wide = arguments::<T>(low, high, 60.0);
    assert_close("exp", 1.5, &wide, T::exp, libm::exp);
    let negative = arguments::<T>(low, 0.0, 60.0);
    assert_close("exp − 1", 1.5, &negative, |x| x.exp_m1_exp().0, libm::expm1);
    let symmetric = arguments::<T>(low, -low, 60.0);
    let softplus = |x| {
        if x < 0.0 {
            libm::log1p(libm::exp(x))
        } else {
            x + libm::log1p(libm::exp(-x))
        }
    };
    assert_close(
        "softplus",
        2.0,
        &symmetric,
        |x| x.softplus_sigmoid().0,
        softplus,
    );
    assert_close(
        "sigmoid",
        2.5,
        &symmetric,
        |x| x.softplus_sigmoid().1,
        sigmoid,
    );
    assert_close(
        "1 − sigmoid",
        2.5,
        &symmetric,
        |x| x.softplus_sigmoid().2,
        |x| sigmoid(-x),
    );
    assert_close("tanh", 3.5, &symmetric, |x| x.tanh_sech2().0, libm::tanh);
    // Down to where e⁻²ˣ leaves the range.
    let third = arguments::<T>(low / 2.1, -low / 2.1, 60.0);
    let sech2 = |x: f64| {
        if x.abs() < 0.5 {
            return 1.0 - libm::tanh(x) * libm::tanh(x);
        }
        let e = libm::exp(-2.0 * x.abs());
        4.0 * e / ((1.0 + e) * (1.0 + e))
    };
    assert_close("sech²", 4.0, &third, |x| x.tanh_sech2().1, sech2);

    let mut positive = arguments::<T>(0.0, 4.0, 60.0);
    let exponents =
        (libm::log2(smallest_normal) - 20.0) as i32..(-libm::log2(smallest_normal)) as i32;
    positive.extend(exponents.flat_map(|k| {
        [1.0, 1.2, 1.414, 1.415, 1.9].map(|m| T::from_f64(m * libm::exp2(f64::from(k))))
    }));
    positive.retain(|&x| x > T::zero());
    assert_close("ln", 2.0, &positive, T::ln, libm::log);

    let mut angles = arguments::<T>(-1e5, 1e5, 60.0);
    angles.extend(arguments::<T>(-10.0, 10.0, 10.0));
    // The numbers nearest to the zeros.
    angles.extend((1..63_600).map(|k| T::from_f64(f64::from(k) * core::f64::consts::FRAC_PI_2)));
    assert_close("sin", 2.0, &angles, |x| x.sin_cos().0, libm::sin);
    assert_close("cos", 2.0, &angles, |x| x.sin_cos().1, libm::cos);
}

#[test]
fn errors_in_single_precision() {
    errors::<f32>([-110.0, 95.0], f64::from(f32::MIN_POSITIVE));
}

#[test]
fn errors_in_double_precision() {
    errors::<f64>([-750.0, 715.0], f64::MIN_POSITIVE);
}

fn special_values<T: Scalar>() {
    let number = T::from_f64;
    let [infinity, nan] = [f64::INFINITY, f64::NAN].map(number);
    let is_nan = |x: T| x.to_f64().is_nan();
    let zero_sign = |x: T| (x == T::zero()).then(|| x.to_f64().is_sign_negative());

    assert_eq!(infinity.exp(), infinity);
    assert_eq!(number(800.0).exp(), infinity);
    assert_eq!(number(-800.0).exp(), T::zero());
    assert_eq!((-infinity).exp(), T::zero());
    assert_eq!(T::zero().exp(), T::one());
    assert_eq!(infinity.ln(), infinity);
    assert_eq!(T::one().ln(), T::zero());
    assert_eq!(T::zero().ln(), -infinity);
    assert_eq!((-T::zero()).ln(), -infinity);
    assert!(is_nan(number(-1.0).ln()) && is_nan((-infinity).ln()));
    assert_eq!(infinity.softplus_sigmoid(), (infinity, T::one(), T::zero()));
    assert_eq!(
        (-infinity).softplus_sigmoid(),
        (T::zero(), T::zero(), T::one())
    );
    assert_eq!(infinity.tanh_sech2(), (T::one(), T::zero()));
    assert_eq!((-infinity).tanh_sech2(), (-T::one(), T::zero()));
    for zero in [T::zero(), -T::zero()] {
        assert_eq!(zero_sign(zero.tanh_sech2().0), zero_sign(zero));
        assert_eq!(zero_sign(zero.exp_m1_exp().0), Some(false));
        assert_eq!(zero.sin_cos(), (T::zero(), T::one()));
    }
    for x in [nan, infinity, -infinity] {
        let (sin, cos) = x.sin_cos();
        assert!(is_nan(sin) && is_nan(cos));
    }
    assert!(is_nan(nan.exp()) && is_nan(nan.ln()));
    let ((a, b, c), (d, e), (f, g)) = (nan.softplus_sigmoid(), nan.tanh_sech2(), nan.exp_m1_exp());
    assert!([a, b, c, d, e, f, g].into_iter().all(is_nan));
    // Past 10⁵ sine and cosine lose accuracy, in proportion, but never leave [−1, 1].
    for exponent in 17..128 {
        let x = number(1.37 * libm::exp2(f64::from(exponent)));
        let (sin, cos) = x.sin_cos();
        assert!(sin.abs() <= T::one() && cos.abs() <= T::one(), "{x:?}");
        let allowed = 2.0 * f64::EPSILON * x.to_f64() + T::EPSILON;
        assert!(
            (sin.to_f64() - libm::sin(x.to_f64())).abs() <= allowed,
            "{x:?}"
        );
    }
}

#[test]
fn special_values_in_both_types() {
    special_values::<f32>();
    special_values::<f64>();
}

#[test]
fn sums_and_products_of_any_length() {
    let key = Key::new(5);
    let x: Vec<f64> = (0..333).map(|i| 4.0 * key.uniform(0, i) - 2.0).collect();
    for length in (0..70).chain([127, 128, 129, 333]) {
        let x = &x[..length];
        let sum: f64 = x.iter().sum();
        let log: f64 = x.iter().map(|x| libm::log(x.abs())).sum();
        // Two orders of summation differ by at most ε a term of size at most 2; a logarithm of a
        // product by ε a factor, and the reference by ε a term of size at most 10.
        let tolerance = f64::EPSILON * length as f64;
        assert!((lanes::sum(x, |x| x) - sum).abs() <= 2.0 * tolerance);
        assert!((lanes::sum_ln_abs(x, |x| x) - log).abs() <= 12.0 * tolerance);
    }
}

/// Short rows together have the bits that each has alone.
#[test]
fn logarithms_of_rows_are_those_of_each_row() {
    let key = Key::new(6);
    for (rows, dim) in [(1, 1), (7, 2), (8, 3), (9, 8), (33, 5), (4, 9), (3, 70)] {
        let mut x: Vec<f64> = (0..rows * dim)
            .map(|i| 4.0 * key.uniform(dim as u64, i) - 2.0)
            .collect();
        for (x, special) in x
            .iter_mut()
            .zip([f64::from_bits(3), f64::MAX, 0.0, f64::NAN])
        {
            *x = special;
        }
        let dim = dim as usize;
        let mut got = [0.25; 33];
        let got = &mut got[..rows as usize];
        lanes::add_rows_ln_abs(&x, dim, got, |x| x);
        let want = x
            .chunks_exact(dim)
            .map(|x| 0.25 + lanes::sum_ln_abs(x, |x| x));
        for (got, want) in got.iter().zip(want) {
            assert_eq!(got.to_bits(), want.to_bits(), "{rows} rows of {dim}");
        }
    }
}

#[test]
fn products_reach_past_the_exponents() {
    for x in [
        f64::MAX,
        f64::MIN_POSITIVE,
        f64::from_bits(1),
        1.0,
        0.7,
        1e300,
    ] {
        let want = 5000.0 * libm::log(x);
        let got = lanes::sum_ln_abs(&[x; 5000], |x| x);
        // ε/2 for each of 5000 factors, and a rounding of the result.
        let tolerance = f64::EPSILON * (2500.0 + want.abs());
        assert!((got - want).abs() <= tolerance, "{x}: {got} for {want}");
    }
    assert_eq!(lanes::sum_ln_abs(&[1.0; 1000], |x| x), 0.0);
    let with = |x: f64| {
        let mut factors = [0.5; 100];
        factors[37] = x;
        lanes::sum_ln_abs(&factors, |x| x)
    };
    assert_eq!(with(0.0), f64::NEG_INFINITY);
    assert_eq!(with(f64::INFINITY), f64::INFINITY);
    assert_eq!(with(f64::NEG_INFINITY), f64::INFINITY);
    assert!(with(f64::NAN).is_nan());
}
