// The activation of a bijective layer, and its inverse.
#include "activation.cuh"
#include "product_of_slopes.cuh"

// y += bias, z = σ(y), first = σ'(y), score = σ''(y)/σ'(y), and log_r += Σ ln|σ'(y_r)| unless `log`
// is null. Lanes multiply their slopes and take one logarithm; then they are added by pairs.
KERNEL(PASS, bijection)
(u64 rows, u32 dim, u32 shift, u32 activation, real alpha, real beta, const real* bias, real* y,
 real* z, real* first, real* score, double* log) {
    each_row(rows, shift, [&](u64 row, u32 lane, bool live) {
        Logarithm slopes;
        if (live) {
            for (u32 j = lane; j < dim; j += 1u << shift) {
                u64 at = row * dim + j;
                real x = y[at] + bias[j];
                Jet<real> sigma = jet(activation, alpha, beta, x);
                y[at] = x;
                z[at] = sigma.value;
                first[at] = sigma.first;
                score[at] = sigma.second / sigma.first;
                slopes.multiply((double)sigma.first);
            }
        }
        if (log) {
            double sum = sum_lanes(slopes.value(), shift);
            if (live && lane == 0) log[row] += sum;
        }
    });
}

DEVICE Jet<double> slope_of(u32 activation, double alpha, double beta, double x) {
    return activation == LEAKY_SOFTPLUS ? leaky_softplus(x, alpha) : tanh_linear(x, alpha, beta);
}

// x from low to high with σ(x) = z: Newton's steps, and a bisection where one leaves the bracket or
// is not half as long as the step before.
DEVICE double solve(u32 activation, double alpha, double beta, double z, double low, double high,
                    double start) {
    const double EPSILON = 2.220446049250313e-16;
    double x = start;
    if (!(size(low) < INFINITE && size(high) < INFINITE)) return x;
    double last = INFINITE;
    for (u32 step_number = 0; step_number < 2200; step_number++) {
        Jet<double> sigma = slope_of(activation, alpha, beta, x);
        double residual = sigma.value - z;
        if (residual > 0.0) {
            high = x;
        } else {
            low = x;
        }
        double newton = x - residual / sigma.first;
        double step = size(newton - x);
        double extent = size(x), rounding = size(z) / sigma.first;
        if (step <= 2.0 * EPSILON * (extent > rounding ? extent : rounding)) return newton;
        bool safe = low <= newton && newton <= high && 2.0 * step <= last;
        double next = safe ? newton : low + 0.5 * (high - low);
        if (next == x) break;
        last = size(next - x);
        x = next;
    }
    return x;
}

DEVICE double inverse(u32 activation, double alpha, double beta, double z) {
    const double LN_2 = 0.693147180559945309417232121458176568;
    if (activation == LEAKY_SOFTPLUS) {
        double below = z - (1.0 - alpha) * LN_2;
        double low = below > 0.0 ? below : below / alpha;
        double high = z > 0.0 ? z : z / alpha;
        return solve(activation, alpha, beta, z, low, high, high);
    }
    double extent = size(z);
    double steep = extent / (alpha + beta), flat = (extent - 1.0) / beta;
    double low = steep > flat ? steep : flat;
    return with_sign(solve(activation, alpha, beta, extent, low, extent / beta, low), z);
}

// z = σ⁻¹(z) − bias; NaN for an activation that is no bijection.
KERNEL(PASS, inverse_bijection)
(u64 rows, u32 dim, u32 shift, u32 activation, real alpha, real beta, const real* bias, real* z) {
    each_row(rows, shift, [&](u64 row, u32 lane, bool live) {
        if (live) {
            for (u32 j = lane; j < dim; j += 1u << shift) {
                u64 at = row * dim + j;
                real x = z[at];
                if (activation == LEAKY_SOFTPLUS || activation == TANH_LINEAR) {
                    x = (real)inverse(activation, (double)alpha, (double)beta, (double)x);
                } else if (activation != IDENTITY) {
                    x = (real)number(0x7FF8000000000000ull);
                }
                z[at] = x - bias[j];
            }
        }
    });
}
