// Logarithms of products whose exponents are counted apart: one logarithm for a whole row.
#pragma once
#include "elementary.cuh"

struct Logarithm {
    double product = 1.0;
    i64 exponent = 0;

    // Factors of any size: neither the product nor a factor leaves the range of a double.
    DEVICE void multiply(double factor) {
        product *= scaled(factor);
        product = scaled(product);
    }

    // ln|product of the factors|
    DEVICE double value() const { return ln_scaled(size(product), (double)exponent); }

  private:
    // x / 2^k in [2^-61, 2^3), from 2^-113 where x is subnormal; 0, infinity and NaN stay.
    DEVICE double scaled(double x) {
        u64 upper = (bits(x) >> 52) & 0x7C0;
        exponent += (i64)upper - 962;
        return x * number((962 + 1023 - upper) << 52);
    }
};
