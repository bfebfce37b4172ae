// Linear passes, an element at a time.
#include "common.cuh"

// y += a x
KERNEL(PASS, axpy)(u64 count, real a, const real* x, real* y) {
    each(count, [&](u64 i) { y[i] += a * x[i]; });
}

// out = [out +] x y
KERNEL(PASS, hadamard)(u64 count, u32 add, const real* x, const real* y, real* out) {
    if (add) {
        each(count, [&](u64 i) { out[i] += x[i] * y[i]; });
    } else {
        each(count, [&](u64 i) { out[i] = x[i] * y[i]; });
    }
}

// x = scale x [+ shift]; a null shift is none.
KERNEL(PASS, scale_shift)(u64 count, const real* scale, const real* shift, real* x) {
    if (shift) {
        each(count, [&](u64 i) { x[i] = x[i] * scale[i] + shift[i]; });
    } else {
        each(count, [&](u64 i) { x[i] *= scale[i]; });
    }
}

// x_r = c_r x_r
KERNEL(PASS, scale_rows)(u64 rows, u32 dim, u32 shift, const double* c, real* x) {
    each_row(rows, shift, [&](u64 row, u32 lane, bool live) {
        if (live) {
            real factor = (real)c[row];
            for (u32 j = lane; j < dim; j += 1u << shift) x[row * dim + j] *= factor;
        }
    });
}

// x_r += bias
KERNEL(PASS, add_bias)(u64 rows, u32 dim, u32 shift, const real* bias, real* x) {
    each_row(rows, shift, [&](u64 row, u32 lane, bool live) {
        if (live) {
            for (u32 j = lane; j < dim; j += 1u << shift) x[row * dim + j] += bias[j];
        }
    });
}
