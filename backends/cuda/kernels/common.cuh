// What every kernel shares: the data type, the names, and how threads divide the work.
//
// A source is compiled twice, with REAL=float TYPE=f32 and with REAL=double TYPE=f64. Products and
// sums are never contracted (-fmad=false): passes give the bits of the host.
#pragma once

typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;
typedef REAL real;

#define JOIN_NOW(name, type) name##_##type
#define JOIN(name, type) JOIN_NOW(name, type)
// The name of a kernel carries the data type: axpy_f32.
#define KERNEL(threads, name) extern "C" __global__ void __launch_bounds__(threads, 1) JOIN(name, TYPE)

// Threads of a block of a pass.
constexpr u32 PASS = 128;
constexpr u32 WARP = 32;
constexpr u32 ALL_LANES = 0xFFFFFFFFu;

// Calls f(i) for every i below count, whatever the grid.
template <class F>
__device__ void each(u64 count, F f) {
    u64 stride = (u64)gridDim.x * blockDim.x;
    for (u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride) f(i);
}

// Calls f(row, lane, live) with 2^shift neighbouring lanes of a warp for every row. All lanes of a
// warp make the same calls, so that f may shuffle; where live is false there is no such row.
template <class F>
__device__ void each_row(u64 rows, u32 shift, F f) {
    u64 thread = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    u64 warps = (u64)gridDim.x * blockDim.x / WARP;
    u32 lane = threadIdx.x & ((1u << shift) - 1);
    for (u64 first = thread / WARP << (5 - shift); first < rows; first += warps << (5 - shift)) {
        u64 row = first + ((threadIdx.x & (WARP - 1)) >> shift);
        f(row, lane, row < rows);
    }
}

// The sum over 2^shift neighbouring lanes, in all of them: pairs, pairs of pairs, and so on.
template <class T>
__device__ T sum_lanes(T x, u32 shift) {
    for (u32 offset = 1u << shift >> 1; offset > 0; offset >>= 1) {
        x += __shfl_xor_sync(ALL_LANES, x, offset);
    }
    return x;
}
