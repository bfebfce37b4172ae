// Base densities: score = ∂ log p/∂z and log_r += Σ log p(z_r), as `BaseDensity` of the core.
#include "product_of_slopes.cuh"

// The numbers that the host gives densities.
constexpr u32 NORMAL = 0;
constexpr u32 HYPERBOLIC_SECANT = 1;

KERNEL(PASS, base_density)
(u64 rows, u32 dim, u32 shift, u32 base, const real* z, real* score, double* log) {
    const double LN_2 = 0.693147180559945309417232121458176568;
    const double LN_PI = 1.1447298858494002;
    const double HALF_LN_TWO_PI = 0.9189385332046727;
    each_row(rows, shift, [&](u64 row, u32 lane, bool live) {
        // Squares of a normal density, absolute values of the others.
        double sizes = 0.0;
        Logarithm tails;
        if (live) {
            for (u32 j = lane; j < dim; j += 1u << shift) {
                real x = z[row * dim + j];
                real slope;
                if (base == NORMAL) {
                    slope = -x;
                    sizes += (double)x * (double)x;
                } else {
                    slope = -tanh_sech2(base == HYPERBOLIC_SECANT ? x : real(0.5) * x).tanh;
                    sizes += size((double)x);
                    tails.multiply(1.0 + size((double)slope));
                }
                score[row * dim + j] = slope;
            }
        }
        double count = (double)dim;
        double sum;
        if (base == NORMAL) {
            sum = -0.5 * sum_lanes(sizes, shift) - count * HALF_LN_TWO_PI;
        } else {
            double tail = sum_lanes(tails.value(), shift);
            sizes = sum_lanes(sizes, shift);
            sum = base == HYPERBOLIC_SECANT ? tail - sizes - count * LN_PI
                                            : 2.0 * (tail - count * LN_2) - sizes;
        }
        if (live && lane == 0) log[row] += sum;
    });
}
