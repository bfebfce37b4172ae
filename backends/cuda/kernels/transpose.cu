// out = xᵀ by tiles in shared memory, so that both sides are read and written along rows.
#include "common.cuh"

constexpr u32 TILE = 32;
constexpr u32 LINES = 8;

KERNEL(TILE * LINES, transpose)(u32 rows, u32 dim, const real* x, real* out) {
    __shared__ real tile[TILE][TILE + 1];
    u32 across = (dim - 1) / TILE + 1;
    u32 top = blockIdx.x / across * TILE, first = blockIdx.x % across * TILE;
    u32 lane = threadIdx.x % TILE, line = threadIdx.x / TILE;
    for (u32 i = line; i < TILE; i += LINES) {
        if (top + i < rows && first + lane < dim) {
            tile[i][lane] = x[(u64)(top + i) * dim + first + lane];
        }
    }
    __syncthreads();
    for (u32 i = line; i < TILE; i += LINES) {
        if (first + i < dim && top + lane < rows) {
            out[(u64)(first + i) * rows + top + lane] = tile[lane][i];
        }
    }
}
