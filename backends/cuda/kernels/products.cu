// out = [base +] a left rightᵀ, for left [m, k] and right [n, k] stored either way; then times scale
// where it is not null.
//
// With several parts (gridDim.y) each is the product over `chunk` of the k, and row `part` of
// `out` receives it; `fold` adds them.
#include "elementary.cuh"
#include "tile.cuh"

template <u32 MICRO>
DEVICE void product(u32 m, u32 n, u32 k, u32 chunk, real a, Factor left, Factor right,
                    const real* base, const real* scale, real* out) {
    u32 begin = blockIdx.y * chunk;
    u32 end = k - begin < chunk ? k : begin + chunk;
    real* part = out + (u64)blockIdx.y * m * n;
    product_tile<MICRO>(m, n, begin, end, left, right, [&](u32 i, u32 j, real sum) {
        u64 at = (u64)i * n + j;
        real value = base ? base[at] + a * sum : a * sum;
        part[at] = scale ? value * scale[at] : value;
    });
}

// Tiles of 16 x 16, for small products.
KERNEL(PRODUCT, product_small)
(u32 m, u32 n, u32 k, u32 chunk, real a, const real* left, u64 left_outer, u64 left_inner,
 const real* right, u64 right_outer, u64 right_inner, const real* base, const real* scale,
 real* out) {
    product<1>(m, n, k, chunk, a, {left, left_outer, left_inner},
               {right, right_outer, right_inner}, base, scale, out);
}

// Tiles of 64 x 64.
KERNEL(PRODUCT, product_large)
(u32 m, u32 n, u32 k, u32 chunk, real a, const real* left, u64 left_outer, u64 left_inner,
 const real* right, u64 right_outer, u64 right_inner, const real* base, const real* scale,
 real* out) {
    product<4>(m, n, k, chunk, a, {left, left_outer, left_inner},
               {right, right_outer, right_inner}, base, scale, out);
}
