// Up to four products of a chain in one launch: x_r = scale_r ∘ op(W) x_r, link after link, for
// vectors of at most 128 numbers. Results stay in shared memory but for the last.
#include "tile.cuh"

constexpr u32 WIDEST = 128;
// Rows of a block, and of a thread: it computes them in one column.
constexpr u32 TOGETHER = 8;
constexpr u32 MINE = 4;
constexpr u32 THREADS = WIDEST * TOGETHER / MINE;

// The multiple of DEPTH that zeros fill a vector up to.
DEVICE u32 filled(u32 dim) { return (dim + DEPTH - 1) / DEPTH * DEPTH; }

// `links` products from d0 numbers to d1, ..., to d4; that of link l is with the transpose where bit
// l of `transposed` is set, and a null scale is none. A sum is a chain of fused multiply-adds in the
// order of k, as those of `product_tile` are.
KERNEL(THREADS, chain)
(u64 rows, u32 links, u32 transposed, u32 d0, u32 d1, u32 d2, u32 d3, u32 d4, const real* x,
 const real* weight0, const real* scale0, const real* weight1, const real* scale1,
 const real* weight2, const real* scale2, const real* weight3, const real* scale3, real* out) {
    // Aligned for loads of several numbers at once.
    __shared__ __align__(16) real values[WIDEST][TOGETHER];
    __shared__ real weights[DEPTH][WIDEST + 1];
    u64 top = (u64)blockIdx.x * TOGETHER;
    u32 column = threadIdx.x % WIDEST, mine = threadIdx.x / WIDEST * MINE;
    for (u32 e = threadIdx.x; e < TOGETHER * filled(d0); e += THREADS) {
        u32 r = e / filled(d0), k = e % filled(d0);
        values[k][r] = top + r < rows && k < d0 ? x[(top + r) * d0 + k] : real(0);
    }

    u32 k = d0;
    for (u32 link = 0; link < links; link++) {
        u32 n = link == 0 ? d1 : link == 1 ? d2 : link == 2 ? d3 : d4;
        const real* at = link == 0 ? weight0 : link == 1 ? weight1 : link == 2 ? weight2 : weight3;
        const real* scale = link == 0 ? scale0 : link == 1 ? scale1 : link == 2 ? scale2 : scale3;
        bool is_transposed = transposed >> link & 1;
        Factor weight = {at, is_transposed ? 1 : k, is_transposed ? n : 1};
        real sums[MINE] = {};
        for (u32 first = 0; first < k; first += DEPTH) {
#pragma unroll
            for (u32 element = threadIdx.x; element < DEPTH * WIDEST; element += THREADS) {
                u32 j = weight.index(element, WIDEST), depth = weight.depth(element, WIDEST);
                weights[depth][j] = j < n && first + depth < k ? weight(j, first + depth) : real(0);
            }
            __syncthreads();
#pragma unroll
            for (u32 depth = 0; depth < DEPTH; depth++) {
                real y = weights[depth][column];
                for (u32 i = 0; i < MINE; i++) {
                    sums[i] = fused(values[first + depth][mine + i], y, sums[i]);
                }
            }
            __syncthreads();
        }

        // All threads have read what is overwritten here. Columns behind the last one are zeros again.
        bool last = link == links - 1;
        for (u32 i = 0; i < MINE; i++) {
            u64 row = top + mine + i, place = row * n + column;
            bool live = column < n && row < rows;
            real value = !live ? real(0) : scale ? sums[i] * scale[place] : sums[i];
            if (!last) values[column][mine + i] = value;
            if (last && live) out[place] = value;
        }
        k = n;
    }
}
