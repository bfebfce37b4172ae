// An Adam step along a direction.
#include "adam.cuh"

KERNEL(PASS, adam)
(u64 count, real beta1, real beta2, real rest1, real rest2, real rate, real epsilon,
 const real* direction, real* first, real* second, real* parameter) {
    Step step = {beta1, beta2, rest1, rest2, rate, epsilon};
    each(count, [&](u64 i) { step.ascend(direction[i], first[i], second[i], parameter[i]); });
}
