// A tile of a matrix product, in shared memory and registers.
#pragma once
#include "elementary.cuh"

// A block of 16 x 16 threads computes a tile of 16 MICRO x 16 MICRO elements.
constexpr u32 SIDE = 16;
constexpr u32 PRODUCT = SIDE * SIDE;
// The depth of a step.
constexpr u32 DEPTH = 16;

DEVICE float fused(float x, float y, float z) { return __fmaf_rn(x, y, z); }
DEVICE double fused(double x, double y, double z) { return __fma_rn(x, y, z); }

// A factor of a product: element (i, k) is at i outer + k inner. One of the two is 1, and
// neighbouring threads read along it.
struct Factor {
    const real* at;
    u64 outer, inner;

    DEVICE u32 index(u32 element, u32 tile) const {
        return inner == 1 ? element / DEPTH : element % tile;
    }
    DEVICE u32 depth(u32 element, u32 tile) const {
        return inner == 1 ? element % DEPTH : element / tile;
    }
    DEVICE real operator()(u32 i, u32 k) const { return at[i * outer + k * inner]; }
};

// Calls finish(i, j, sum of left(i, k) right(j, k) over k from begin to end) for every element of
// the tile of this block: a chain of fused multiply-adds in the order of k.
template <u32 MICRO, class Finish>
DEVICE void product_tile(u32 m, u32 n, u32 begin, u32 end, Factor left, Factor right, Finish finish) {
    constexpr u32 TILE = SIDE * MICRO;
    __shared__ real lefts[DEPTH][TILE + 1], rights[DEPTH][TILE + 1];
    u32 across = (n - 1) / TILE + 1;
    u32 top = blockIdx.x / across * TILE, first = blockIdx.x % across * TILE;
    u32 column = threadIdx.x % SIDE, row = threadIdx.x / SIDE;
    real sums[MICRO][MICRO] = {};

    for (u32 at = begin; at < end; at += DEPTH) {
#pragma unroll
        for (u32 e = 0; e < MICRO; e++) {
            u32 element = threadIdx.x + e * PRODUCT;
            u32 i = left.index(element, TILE), k = left.depth(element, TILE);
            lefts[k][i] = top + i < m && at + k < end ? left(top + i, at + k) : real(0);
            u32 j = right.index(element, TILE);
            k = right.depth(element, TILE);
            rights[k][j] = first + j < n && at + k < end ? right(first + j, at + k) : real(0);
        }
        __syncthreads();
#pragma unroll
        for (u32 k = 0; k < DEPTH; k++) {
            real x[MICRO], y[MICRO];
            for (u32 e = 0; e < MICRO; e++) {
                x[e] = lefts[k][row + e * SIDE];
                y[e] = rights[k][column + e * SIDE];
            }
            for (u32 i = 0; i < MICRO; i++) {
                for (u32 j = 0; j < MICRO; j++) sums[i][j] = fused(x[i], y[j], sums[i][j]);
            }
        }
        __syncthreads();
    }

    for (u32 i = 0; i < MICRO; i++) {
        for (u32 j = 0; j < MICRO; j++) {
            u32 r = top + row + i * SIDE, c = first + column + j * SIDE;
            if (r < m && c < n) finish(r, c, sums[i][j]);
        }
    }
}
