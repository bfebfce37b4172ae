// Whether the symmetric part of a matrix is positive definite, by one block.
#include "elementary.cuh"

constexpr u32 MOST_THREADS = 512;

// outcome = (1, 0) where every pivot of the Cholesky factorisation of (A + Aᵀ)/2 is finite and exceeds
// n epsilon times the largest diagonal element, else (0, 0). The upper triangle of A becomes Lᵀ.
KERNEL(MOST_THREADS, is_definite)(u32 n, double epsilon, real* a, double* outcome) {
    __shared__ double largest[MOST_THREADS / WARP];
    u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, warps = blockDim.x / WARP;
    double most = 0.0;
    for (u32 i = warp; i < n; i += warps) {
        for (u32 j = i + 1 + lane; j < n; j += WARP) {
            real mean = (a[(u64)i * n + j] + a[(u64)j * n + i]) * real(0.5);
            a[(u64)i * n + j] = mean;
        }
        double diagonal = (double)a[(u64)i * n + i];
        most = diagonal > most ? diagonal : most;
    }
    if (lane == 0) largest[warp] = most;
    __syncthreads();
    for (u32 w = 0; w < warps; w++) most = largest[w] > most ? largest[w] : most;
    double floor = (double)n * epsilon * most;

    bool definite = true;
    for (u32 k = 0; k < n; k++) {
        real* row = a + (u64)k * n;
        double pivot = (double)row[k];
        if (!(pivot > floor && pivot < INFINITE)) {
            // All threads agree.
            definite = false;
            break;
        }
        real diagonal = root(row[k]);
        for (u32 j = k + 1 + threadIdx.x; j < n; j += blockDim.x) row[j] /= diagonal;
        __syncthreads();
        for (u32 i = k + 1 + warp; i < n; i += warps) {
            for (u32 j = i + lane; j < n; j += WARP) a[(u64)i * n + j] -= row[i] * row[j];
        }
        __syncthreads();
    }
    if (threadIdx.x == 0) {
        outcome[0] = definite ? 1.0 : 0.0;
        outcome[1] = 0.0;
    }
}
