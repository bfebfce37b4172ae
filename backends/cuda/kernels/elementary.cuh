// Elementary functions with the bits of the host: the core's `elementary`, operation by operation.
// See there for the errors and the reasons.
#pragma once
#include "common.cuh"

#define DEVICE __device__ __forceinline__

#define INFINITE __longlong_as_double(0x7FF0000000000000ll)

DEVICE u32 bits(float x) { return __float_as_uint(x); }
DEVICE u64 bits(double x) { return (u64)__double_as_longlong(x); }
DEVICE float number(u32 x) { return __uint_as_float(x); }
DEVICE double number(u64 x) { return __longlong_as_double((i64)x); }

DEVICE float size(float x) { return fabsf(x); }
DEVICE double size(double x) { return fabs(x); }
DEVICE float root(float x) { return __fsqrt_rn(x); }
DEVICE double root(double x) { return __dsqrt_rn(x); }
DEVICE float with_sign(float x, float sign) {
    return number(bits(x) & 0x7FFFFFFFu | bits(sign) & 0x80000000u);
}
DEVICE double with_sign(double x, double sign) {
    return number(bits(x) & 0x7FFFFFFFFFFFFFFFull | bits(sign) & 0x8000000000000000ull);
}

// c0 + s (c2 + s (c4 + ...))
template <class T>
DEVICE T every_other(T, T last) {
    return last;
}
template <class T>
DEVICE T every_other(T, T last, T) {
    return last;
}
template <class T, class... Rest>
DEVICE T every_other(T s, T first, T, T next, Rest... rest) {
    return first + s * every_other(s, next, rest...);
}
// c0 + c1 x + c2 x^2 + ...: the even and the odd terms by Horner's rule.
template <class T, class... Rest>
DEVICE T polynomial(T x, T first, Rest... rest) {
    T square = x * x;
    return every_other(square, first, rest...) + x * every_other(square, rest...);
}

// A power of e: first * second * (1 + more).
template <class T>
struct Power {
    T first, second, more;

    DEVICE T value() const { return (T(1) + more) * first * second; }
    // e^x - 1, for x <= 0.
    DEVICE T minus_one() const {
        T scale = first * second;
        return scale * more + (scale - T(1));
    }
};

DEVICE Power<float> exp_parts(float x) {
    const float ROUND = 12582912.0f + 254.0f;
    x = x < -104.0f ? -104.0f : x;
    x = x > 89.0f ? 89.0f : x;
    float shifted = x * 1.44269504088896340735992468100189214f + ROUND;
    float n = shifted - ROUND;
    u32 biased = bits(shifted) & 0x1FF;
    u32 first = biased >> 1;
    u32 second = biased - first;
    float r = (x - n * 0.69314575f) - n * 1.4286068e-6f;
    float q = polynomial(r, 0.5f, 0.16666576f, 0.041666374f, 0.008363182f, 0.0013941122f);
    return {number(first << 23), number(second << 23), r + r * r * q};
}

DEVICE Power<double> exp_parts(double x) {
    const double ROUND = 6755399441055744.0 + 2046.0;
    x = x < -746.0 ? -746.0 : x;
    x = x > 710.0 ? 710.0 : x;
    double shifted = x * 1.44269504088896340735992468100189214 + ROUND;
    double n = shifted - ROUND;
    u64 biased = bits(shifted) & 0xFFF;
    u64 first = biased >> 1;
    u64 second = biased - first;
    double r = (x - n * 0.6931471805598903) - n * 5.497923018708371e-14;
    double q = polynomial(
        r, 0.5, 0.16666666666666674, 0.04166666666662412, 0.008333333333322208,
        0.0013888888917215473, 0.0001984126988657883, 2.4801521293380104e-5,
        2.7557242354214845e-6, 2.762008957627433e-7, 2.511004276247508e-8);
    return {number(first << 52), number(second << 52), r + r * r * q};
}

DEVICE float atanh_tail(float z) {
    return polynomial(z, 0.66666675f, 0.39998877f, 0.286169f, 0.21427478f, 0.24301673f);
}

DEVICE double atanh_tail(double z) {
    return polynomial(
        z, 0.6666666666666631, 0.4000000000015739, 0.2857142854783418, 0.22222223971020344,
        0.18181743877403597, 0.15386560976706198, 0.13300959248969382, 0.12106203404388637,
        0.08339574183048981, 0.17019579980523852);
}

// log(1 + f) for 1 + f from sqrt(1/2) to 2.
template <class T>
DEVICE T ln_1p_reduced(T f) {
    T s = f / (f + T(2));
    T z = s * s;
    return f - s * (f - z * atanh_tail(z));
}

// ln(2^more x)
DEVICE double ln_scaled(double x, double more) {
    const double TWO_52 = 4503599627370496.0;
    const u64 SQRT_HALF = 0x3FE6A09E667F3BCDull;
    bool subnormal = x < 2.2250738585072014e-308;
    double normal = x * (subnormal ? 18014398509481984.0 : 1.0);
    u64 biased = (bits(normal) - SQRT_HALF + (1024ull << 52)) >> 52;
    u64 mantissa = bits(normal) - (biased << 52) + (1024ull << 52);
    double k = number(bits(TWO_52) | biased) - (subnormal ? TWO_52 + 1024.0 + 54.0 : TWO_52 + 1024.0);
    k += more;
    double value = k * 0.6931471805598903 + (k * 5.497923018708371e-14 + ln_1p_reduced(number(mantissa) - 1.0));
    double finite = x > 0.0 ? value : x < 0.0 ? number(0x7FF8000000000000ull) : -INFINITE;
    return x < INFINITE ? finite : x;
}

DEVICE double ln(double x) { return ln_scaled(x, 0.0); }

// p with p(x) = 1 / (1 + e^-x), q = 1 - p, and log(1 + e^x).
template <class T>
struct Softplus {
    T value, p, q;
};

template <class T>
DEVICE Softplus<T> softplus_sigmoid(T x) {
    T e = exp_parts(-size(x)).value();
    T larger = T(1) / (T(1) + e);
    T smaller = e * larger;
    bool positive = x > T(0);
    return {(positive ? x : T(0)) + ln_1p_reduced(e), positive ? larger : smaller,
            positive ? smaller : larger};
}

// tanh x and 1 - tanh^2 x.
template <class T>
struct Tanh {
    T tanh, sech2;
};

template <class T>
DEVICE Tanh<T> tanh_sech2(T x) {
    T a = size(x);
    Power<T> power = exp_parts(-(a + a));
    T e = power.value();
    T w = T(1) / (T(1) + e);
    T two_w = w + w;
    return {with_sign(-power.minus_one() * w, x), e * two_w * two_w};
}

template <class T>
struct Circle {
    T sin, cos;
};

DEVICE Circle<float> sin_cos(float given) {
    const double ROUND = 6755399441055744.0;
    double x = (double)given;
    double shifted = x * 0.63661977236758134307553505349005744 + ROUND;
    double n = shifted - ROUND;
    float r = (float)((x - n * 1.5707963267923333) - n * 2.563344151594519e-12);
    r = r < -0.8f ? -0.8f : r;
    r = r > 0.8f ? 0.8f : r;
    float z = r * r;
    float s = polynomial(z, -0.16666655f, 0.008332158f, -0.00019514958f);
    float c = polynomial(z, 0.041666646f, -0.0013887364f, 2.4438092e-5f);
    float half = 0.5f * z;
    float top = 1.0f - half;
    float sin = r + r * z * s;
    float cos = top + (((1.0f - top) - half) + z * z * c);
    u32 quadrant = (u32)bits(shifted);
    u32 exchanged = (bits(sin) ^ bits(cos)) & (0u - (quadrant & 1));
    return {number(bits(sin) ^ exchanged ^ (quadrant & 2) << 30),
            number(bits(cos) ^ exchanged ^ (quadrant + 1 & 2) << 30)};
}

DEVICE double clamp(double x, double limit) {
    x = x < -limit ? -limit : x;
    return x > limit ? limit : x;
}

DEVICE Circle<double> sin_cos(double x) {
    const double ROUND = 6755399441055744.0;
    double shifted = x * 0.63661977236758134307553505349005744 + ROUND;
    double n = shifted - ROUND;
    double a = x - n * 1.5707963267923333;
    double b = n * 2.5633441515839558e-12;
    double difference = a - b;
    double b_seen = a - difference;
    double a_seen = difference + b_seen;
    double error = (a - a_seen) + (b_seen - b);
    double high = clamp(difference, 0.8);
    double low = clamp(error - n * 1.0562999066987428e-23, 1e-3);
    double r = high + low;
    double rest = (high - r) + low;
    double z = r * r;
    double s = polynomial(
        z, -0.1666666666666663, 0.008333333333322061, -0.00019841269829542325,
        2.75573136044043e-6, -2.505074502602689e-8, 1.5896066909560986e-10);
    double c = polynomial(
        z, 0.0416666666666666, -0.0013888888888874064, 2.4801587289443512e-5,
        -2.755731434067015e-7, 2.087572162530328e-9, -1.135955941669905e-11);
    double half = 0.5 * z;
    double top = 1.0 - half;
    double sin = r + (r * z * s + rest * top);
    double cos = top + (((1.0 - top) - half) + (z * z * c - r * rest));
    u64 quadrant = bits(shifted);
    u64 exchanged = (bits(sin) ^ bits(cos)) & (0ull - (quadrant & 1));
    return {number(bits(sin) ^ exchanged ^ (quadrant & 2) << 62),
            number(bits(cos) ^ exchanged ^ (quadrant + 1 & 2) << 62)};
}
