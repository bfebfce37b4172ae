// Kernels of the interpreter's own tests. `programs.ptx` is this file, compiled by NVRTC 12.9 for
// compute_70.

extern "C" __global__ void axpy(float a, const float* x, float* y, unsigned n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = a * x[i] + y[i];
}

// One sum per block: lanes by shuffles, warps through shared memory.
extern "C" __global__ void block_sums(const double* x, double* sums, unsigned n) {
    __shared__ double of_warps[32];
    double sum = 0;
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        sum += x[i];
    for (int step = 16; step > 0; step /= 2) sum += __shfl_down_sync(0xffffffff, sum, step);
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x < 32) {
        sum = threadIdx.x < blockDim.x / 32 ? of_warps[threadIdx.x] : 0;
        for (int step = 16; step > 0; step /= 2) sum += __shfl_down_sync(0xffffffff, sum, step);
        if (threadIdx.x == 0) sums[blockIdx.x] = sum;
    }
}

// c = a b, row-major, in tiles of 8 by 8.
extern "C" __global__ void tiled_product(const float* a, const float* b, float* c,
                                         int rows, int inner, int columns) {
    __shared__ float tile_a[8][8], tile_b[8][9];
    int x = threadIdx.x, y = threadIdx.y;
    int row = blockIdx.y * 8 + y, column = blockIdx.x * 8 + x;
    float sum = 0;
#pragma unroll 1
    for (int start = 0; start < inner; start += 8) {
        tile_a[y][x] = row < rows && start + x < inner ? a[row * inner + start + x] : 0;
        tile_b[y][x] = start + y < inner && column < columns ? b[(start + y) * columns + column] : 0;
        __syncthreads();
        for (int k = 0; k < 8; k++) sum += tile_a[y][k] * tile_b[k][x];
        __syncthreads();
    }
    if (row < rows && column < columns) c[row * columns + column] = sum;
}

// Reverses each block's part through dynamic shared memory.
extern "C" __global__ void reversed(const int* x, int* y, int n) {
    extern __shared__ int part[];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    part[threadIdx.x] = i < n ? x[i] : 0;
    __syncthreads();
    int j = blockIdx.x * blockDim.x + (blockDim.x - 1 - threadIdx.x);
    if (j < n) y[j] = part[threadIdx.x];
}

// Counts by digit, through a local array that the compiler cannot keep in registers.
extern "C" __global__ void digits(const unsigned* x, unsigned* counts, unsigned n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    unsigned mine[10] = {0};
    for (unsigned v = x[i]; v > 0; v /= 10) mine[v % 10]++;
    for (int d = 0; d < 10; d++) atomicAdd(counts + d, mine[d]);
}
