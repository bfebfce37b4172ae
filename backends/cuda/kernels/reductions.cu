// Sums in a fixed order, without atomics: the same bits from run to run.
#include "common.cuh"

// out_r += a <x_r, y_r> in double precision. Lane l of 2^shift adds columns l, l + 2^shift, ... in
// order; then the lanes are added by pairs.
KERNEL(PASS, dot_rows)
(u64 rows, u32 dim, u32 shift, double a, const real* x, const real* y, double* out) {
    each_row(rows, shift, [&](u64 row, u32 lane, bool live) {
        double sum = 0.0;
        if (live) {
            for (u32 j = lane; j < dim; j += 1u << shift) {
                sum += (double)x[row * dim + j] * (double)y[row * dim + j];
            }
        }
        sum = sum_lanes(sum, shift);
        if (live && lane == 0) out[row] += a * sum;
    });
}

// Threads of a block that sum the same columns.
constexpr u32 STACKED = 8;

// out = [base +] a sum of rows, or with several parts (gridDim.y) row `part` of `out` is the sum of
// `chunk` rows. Thread (j, t) adds rows t, t + 8, ... of its part in order; then the eight are added
// in order. 32 columns a block.
KERNEL(WARP * STACKED, sum_rows)
(u64 rows, u32 dim, u64 chunk, real a, const real* x, const real* base, real* out) {
    __shared__ real sums[STACKED][WARP];
    u32 lane = threadIdx.x % WARP, stacked = threadIdx.x / WARP;
    u64 column = (u64)blockIdx.x * WARP + lane;
    u64 begin = blockIdx.y * chunk;
    u64 end = begin + chunk < rows ? begin + chunk : rows;
    real sum = 0;
    if (column < dim) {
        for (u64 row = begin + stacked; row < end; row += STACKED) sum += x[row * dim + column];
    }
    sums[stacked][lane] = sum;
    __syncthreads();
    if (stacked == 0 && column < dim) {
        for (u32 t = 1; t < STACKED; t++) sum += sums[t][lane];
        out[(u64)blockIdx.y * dim + column] = base ? base[column] + a * sum : a * sum;
    }
}

// out = [base +] a (part 0 + part 1 + ...), the second half of a sum in several parts; then times
// scale where it is not null.
KERNEL(PASS, fold)
(u64 count, u32 parts, real a, const real* part, const real* base, const real* scale, real* out) {
    each(count, [&](u64 i) {
        real sum = part[i];
        for (u32 p = 1; p < parts; p++) sum += part[p * count + i];
        real value = base ? base[i] + a * sum : a * sum;
        out[i] = scale ? value * scale[i] : value;
    });
}
