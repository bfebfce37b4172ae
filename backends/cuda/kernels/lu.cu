// Gaussian elimination with row pivoting by one block, and the solution of triangular systems.
#include "elementary.cuh"

constexpr u32 MOST_THREADS = 512;

// The largest pivot candidate and its row, the first of several.
struct Pivot {
    double extent;
    u32 row;

    DEVICE void take(double other, u32 at) {
        if (other > extent || other == extent && at < row) {
            extent = other;
            row = at;
        }
    }
};

// P A = L U in the place of A [n, n], whose element (i, j) is at i outer + j inner, and x_r = P x_r
// for `count` rows of x. outcome = (sign, ln|det A|), or (0, −∞) where a pivot vanishes or is not
// finite.
KERNEL(MOST_THREADS, lu)
(u32 n, u64 outer, u64 inner, real* a, u64 count, real* x, double* outcome) {
    __shared__ double extents[MOST_THREADS / WARP];
    __shared__ u32 places[MOST_THREADS / WARP];
    u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, warps = blockDim.x / WARP;
    double sign = 1.0, log = 0.0;
    for (u32 k = 0; k < n; k++) {
        Pivot best = {0.0, k};
        for (u32 i = k + threadIdx.x; i < n; i += blockDim.x) {
            double extent = size((double)a[i * outer + k * inner]);
            // Neither is a pivot: NaN must win as infinity does.
            best.take(extent == extent ? extent : INFINITE, i);
        }
        for (u32 offset = WARP / 2; offset > 0; offset /= 2) {
            double extent = __shfl_xor_sync(ALL_LANES, best.extent, offset);
            u32 row = __shfl_xor_sync(ALL_LANES, best.row, offset);
            best.take(extent, row);
        }
        if (lane == 0) {
            extents[warp] = best.extent;
            places[warp] = best.row;
        }
        __syncthreads();
        for (u32 w = 0; w < warps; w++) best.take(extents[w], places[w]);
        if (!(best.extent > 0.0 && best.extent < INFINITE)) {
            // All threads agree.
            sign = 0.0;
            log = -INFINITE;
            break;
        }
        if (best.row != k) {
            for (u32 j = threadIdx.x; j < n; j += blockDim.x) {
                real upper = a[k * outer + j * inner];
                a[k * outer + j * inner] = a[best.row * outer + j * inner];
                a[best.row * outer + j * inner] = upper;
            }
            for (u64 r = threadIdx.x; r < count; r += blockDim.x) {
                real upper = x[r * n + k];
                x[r * n + k] = x[r * n + best.row];
                x[r * n + best.row] = upper;
            }
            sign = -sign;
        }
        __syncthreads();
        real pivot = a[k * outer + k * inner];
        sign = pivot < real(0) ? -sign : sign;
        if (threadIdx.x == 0) log += ln(size((double)pivot));
        for (u32 i = k + 1 + warp; i < n; i += warps) {
            real multiplier = a[i * outer + k * inner] / pivot;
            for (u32 j = k + 1 + lane; j < n; j += WARP) {
                a[i * outer + j * inner] -= multiplier * a[k * outer + j * inner];
            }
            __syncwarp();
            if (lane == 0) a[i * outer + k * inner] = multiplier;
        }
        __syncthreads();
    }
    if (threadIdx.x == 0) {
        outcome[0] = sign;
        outcome[1] = log;
    }
}

// x_r = U⁻¹ L⁻¹ x_r with the factors of `lu`, for `count` rows of x: a warp a row. Nothing where it
// found no factors.
KERNEL(PASS, solve_triangles)
(u32 n, u64 outer, u64 inner, const real* a, u64 count, real* x, const double* outcome) {
    u32 lane = threadIdx.x % WARP;
    u64 warps = (u64)gridDim.x * blockDim.x / WARP;
    u64 warp = ((u64)blockIdx.x * blockDim.x + threadIdx.x) / WARP;
    u64 end = outcome[0] == 0.0 ? 0 : count;
    for (u64 r = warp; r < end; r += warps) {
        real* row = x + r * n;
        for (u32 i = 1; i < n; i++) {
            real sum = 0;
            for (u32 j = lane; j < i; j += WARP) sum += a[i * outer + j * inner] * row[j];
            sum = sum_lanes(sum, 5);
            if (lane == 0) row[i] -= sum;
            __syncwarp();
        }
        for (u32 i = n; i-- > 0;) {
            real sum = 0;
            for (u32 j = i + 1 + lane; j < n; j += WARP) sum += a[i * outer + j * inner] * row[j];
            sum = sum_lanes(sum, 5);
            if (lane == 0) row[i] = (row[i] - sum) / a[i * outer + i * inner];
            __syncwarp();
        }
    }
}
