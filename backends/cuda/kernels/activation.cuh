// Activations and their two derivatives, as `Activation` of the core.
#pragma once
#include "elementary.cuh"

// The numbers that the host gives activations.
constexpr u32 IDENTITY = 0;
constexpr u32 LEAKY_SOFTPLUS = 1;
constexpr u32 TANH_LINEAR = 2;
constexpr u32 TANH = 3;
constexpr u32 ELU = 4;
constexpr u32 SINE = 5;
constexpr u32 LIP_SWISH = 6;

template <class T>
struct Jet {
    T value, first, second;
};

template <class T>
DEVICE Jet<T> leaky_softplus(T x, T alpha) {
    T rest = T(1) - alpha;
    Softplus<T> s = softplus_sigmoid(x);
    return {alpha * x + rest * s.value, alpha + rest * s.p, rest * (s.p * s.q)};
}

template <class T>
DEVICE Jet<T> tanh_linear(T x, T alpha, T beta) {
    Tanh<T> t = tanh_sech2(alpha * x);
    T slope = alpha * t.sech2;
    return {t.tanh + beta * x, slope + beta, -(alpha + alpha) * (slope * t.tanh)};
}

// `beta` alone is the parameter of LipSwish.
template <class T>
DEVICE Jet<T> jet(u32 activation, T alpha, T beta, T x) {
    switch (activation) {
        case LEAKY_SOFTPLUS: return leaky_softplus(x, alpha);
        case TANH_LINEAR: return tanh_linear(x, alpha, beta);
        case TANH: {
            Tanh<T> t = tanh_sech2(x);
            return {t.tanh, t.sech2, -(t.tanh + t.tanh) * t.sech2};
        }
        case ELU: {
            bool positive = x > T(0);
            Power<T> power = exp_parts(positive ? T(0) : x);
            T exp = power.value();
            return {positive ? x : power.minus_one(), exp, positive ? T(0) : exp};
        }
        case SINE: {
            Circle<T> c = sin_cos(x);
            return {c.sin, c.cos, -c.sin};
        }
        case LIP_SWISH: {
            const T SCALE = (T)(1.0 / 1.1);
            T t = beta * x;
            Softplus<T> s = softplus_sigmoid(t);
            T slope = s.p * s.q;
            return {x * s.p * SCALE, (s.p + t * slope) * SCALE,
                    beta * slope * (T(2) + t * (s.q - s.p)) * SCALE};
        }
        default: return {x, T(1), T(0)};
    }
}
