"""The problems that programs in several languages share: the rules of benches/src/problem.rs, and the
random signs of detfree's keys, so that all can have the same probe."""

import math

import numpy as np

DATA = 1 << 20


def unit(stream, count):
    """Uniform with mean 0 and variance 1, by SplitMix64."""
    z = np.uint64(stream << 40) + np.arange(1, count + 1, dtype=np.uint64)
    z *= np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return math.sqrt(12) * (((z >> np.uint64(40)).astype(float) + 0.5) / 2**24 - 0.5)


def data(rows, dim):
    return unit(DATA, rows * dim).reshape(rows, dim).astype(np.float32)


def net(widths):
    """Weights [out, in] and biases of a residual block's net."""
    weights, biases = [], []
    for l, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        spread = 0.95 / (math.sqrt(inputs) + math.sqrt(outputs))
        weight = spread * unit(2 * l, inputs * outputs).reshape(outputs, inputs)
        weights.append(weight.astype(np.float32))
        biases.append((0.1 * unit(2 * l + 1, outputs)).astype(np.float32))
    return weights, biases


def widths(text):
    return [int(width) for width in text.split("-")]


def philox(counter, key):
    """Philox4x32-10 of counters [4, n] with a key of two words."""
    mask = np.uint64(0xFFFFFFFF)
    counter = [np.asarray(c, dtype=np.uint64) for c in counter]
    key = [np.uint64(k) for k in key]
    for _ in range(10):
        a = counter[0] * np.uint64(0xD2511F53)
        b = counter[2] * np.uint64(0xCD9E8D57)
        counter = [
            (b >> np.uint64(32)) ^ counter[1] ^ key[0],
            b & mask,
            (a >> np.uint64(32)) ^ counter[3] ^ key[1],
            a & mask,
        ]
        key = [(key[0] + np.uint64(0x9E3779B9)) & mask, (key[1] + np.uint64(0xBB67AE85)) & mask]
    return counter


def probe(seed, rows, dim):
    """The Rademacher probe of detfree's first pass with the key of `seed`."""
    sign, fold = 0, 2
    low, high, *_ = philox([0, 0, 0, fold], [seed & 0xFFFFFFFF, seed >> 32])
    row, column = np.meshgrid(np.arange(rows), np.arange(dim), indexing="ij")
    words = philox([column >> 7, row, 0 * row, 0 * row + sign], [low, high])
    word = np.choose((column >> 5) & 3, words)
    bits = (word >> (column & 31).astype(np.uint64)) & np.uint64(1)
    return (1 - 2 * bits.astype(np.float32)).astype(np.float32)
