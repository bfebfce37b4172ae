// Fills: functions of (key, row, column) alone, so that every thread computes its own.
#include "random.cuh"

// x = value
KERNEL(PASS, fill_constant)(u64 count, real value, real* x) {
    each(count, [&](u64 i) { x[i] = value; });
}

// out = value, one number per row.
KERNEL(PASS, fill_rows)(u64 count, double value, double* out) {
    each(count, [&](u64 i) { out[i] = value; });
}

// Row r is the unit vector of column `column + r step`.
KERNEL(PASS, fill_units)(u64 rows, u32 dim, u32 shift, u64 column, u64 step, real* x) {
    each_row(rows, shift, [&](u64 row, u32 lane, bool live) {
        if (live) {
            for (u32 j = lane; j < dim; j += 1u << shift) {
                x[row * dim + j] = j == column + row * step ? real(1) : real(0);
            }
        }
    });
}

// scale times the signs of the key times row `index` of the Walsh-Hadamard matrix. Lanes share a
// block of 128 columns, whose signs are the four words of one counter.
KERNEL(PASS, fill_signs)
(u64 rows, u32 dim, u32 shift, u64 key, u64 first_row, u32 index, real scale, real* x) {
    u32 blocks = (dim - 1) / 128 + 1;
    each_row(rows * blocks, shift, [&](u64 item, u32 lane, bool live) {
        if (live) {
            u64 row = item / blocks;
            u32 block = (u32)(item % blocks);
            Words words = philox(key, block, first_row + row, DOMAIN_SIGN);
            u32 columns = dim - block * 128 < 128 ? dim - block * 128 : 128;
            for (u32 j = lane; j < columns; j += 1u << shift) {
                u32 quarter = j >> 5;
                u32 word = quarter < 2 ? (quarter == 0 ? words.a : words.b)
                                       : (quarter == 2 ? words.c : words.d);
                u32 column = block * 128 + j;
                u32 negative = (word >> (j & 31) ^ __popc(index & column)) & 1;
                x[row * dim + column] = negative ? -scale : scale;
            }
        }
    });
}

// scale times the normals of the key: a pair of columns a lane.
KERNEL(PASS, fill_normals)
(u64 rows, u32 dim, u32 shift, u64 key, u64 first_row, double scale, real* x) {
    u32 pairs = (dim - 1) / 2 + 1;
    each_row(rows, shift, [&](u64 row, u32 lane, bool live) {
        if (live) {
            for (u32 pair = lane; pair < pairs; pair += 1u << shift) {
                Normals normals = normal_pair(key, first_row + row, pair);
                u64 at = row * dim + 2 * pair;
                x[at] = (real)(scale * normals.even);
                if (2 * pair + 1 < dim) x[at + 1] = (real)(scale * normals.odd);
            }
        }
    });
}
