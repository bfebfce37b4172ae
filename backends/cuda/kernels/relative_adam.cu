// An Adam step of a weight [n, n] along weight + a leftᵀ right, for left and right [rows, n]: the
// product and the step in one pass, and the direction nowhere in memory.
#include "adam.cuh"
#include "tile.cuh"

template <u32 MICRO>
DEVICE void ascend(u32 n, u32 rows, real a, const real* left, const real* right, Step step,
                   real* first, real* second, real* weight) {
    Factor lefts = {left, 1, n}, rights = {right, 1, n};
    product_tile<MICRO>(n, n, 0, rows, lefts, rights, [&](u32 i, u32 j, real sum) {
        u64 at = (u64)i * n + j;
        step.ascend(weight[at] + a * sum, first[at], second[at], weight[at]);
    });
}

KERNEL(PRODUCT, relative_adam_small)
(u32 n, u32 rows, real a, const real* left, const real* right, real beta1, real beta2, real rest1,
 real rest2, real rate, real epsilon, real* first, real* second, real* weight) {
    ascend<1>(n, rows, a, left, right, {beta1, beta2, rest1, rest2, rate, epsilon}, first, second,
              weight);
}

KERNEL(PRODUCT, relative_adam_large)
(u32 n, u32 rows, real a, const real* left, const real* right, real beta1, real beta2, real rest1,
 real rest2, real rate, real epsilon, real* first, real* second, real* weight) {
    ascend<4>(n, rows, a, left, right, {beta1, beta2, rest1, rest2, rate, epsilon}, first, second,
              weight);
}
