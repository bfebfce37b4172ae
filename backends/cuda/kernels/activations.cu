// A layer of a multilayer perceptron: h += bias, z = σ(h), first = σ'(h), second = σ''(h).
#include "activation.cuh"

KERNEL(PASS, bias_activate)
(u64 rows, u32 dim, u32 shift, u32 activation, real alpha, real beta, const real* bias, real* h,
 real* z, real* first, real* second) {
    each_row(rows, shift, [&](u64 row, u32 lane, bool live) {
        if (live) {
            for (u32 j = lane; j < dim; j += 1u << shift) {
                u64 at = row * dim + j;
                real x = h[at] + bias[j];
                Jet<real> sigma = jet(activation, alpha, beta, x);
                h[at] = x;
                z[at] = sigma.value;
                first[at] = sigma.first;
                second[at] = sigma.second;
            }
        }
    });
}
