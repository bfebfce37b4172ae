// Philox4x32-10 and what is drawn from it: `Key` of the core, word for word.
#pragma once
#include "elementary.cuh"

constexpr u32 DOMAIN_SIGN = 0;
constexpr u32 DOMAIN_NORMAL = 1;

struct Words {
    u32 a, b, c, d;
};

DEVICE Words philox(u64 key, u32 block, u64 row, u32 domain) {
    u32 low = (u32)key, high = (u32)(key >> 32);
    Words at = {block, (u32)row, (u32)(row >> 32), domain};
#pragma unroll
    for (u32 round = 0; round < 10; round++) {
        u64 a = (u64)at.a * 0xD2511F53u;
        u64 b = (u64)at.c * 0xCD9E8D57u;
        at = {(u32)(b >> 32) ^ at.b ^ low, (u32)b, (u32)(a >> 32) ^ at.d ^ high, (u32)a};
        low += 0x9E3779B9u;
        high += 0xBB67AE85u;
    }
    return at;
}

// (n + 1/2) 2^-53 for the 53 high bits n of two words, below 1.
DEVICE double centred(u32 low, u32 high) {
    const double ULP = 1.1102230246251565e-16;
    u64 n = ((u64)low | (u64)high << 32) >> 11;
    double u = ((double)n + 0.5) * ULP;
    return u < 1.0 ? u : 1.0 - ULP;
}

// The standard normals of columns 2 block and 2 block + 1, by Box and Muller.
struct Normals {
    double even, odd;
};

DEVICE Normals normal_pair(u64 key, u64 row, u32 block) {
    Words words = philox(key, block, row, DOMAIN_NORMAL);
    double radius = root(-2.0 * ln(centred(words.a, words.b)));
    Circle<double> angle = sin_cos(6.28318530717958647692528676655900577 * centred(words.c, words.d));
    return {radius * angle.cos, radius * angle.sin};
}
