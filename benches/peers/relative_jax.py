"""The relative gradient in JAX, jitted and tightened by hand: what detfree is measured against.

The formulas (`relative_formulas.py`) are those of `benches/src/relative.rs` with the same weights and data.
Buffers are donated. Where more than one way of writing something is quickest at some size, all are timed at
the start and the quickest is used.

    relative_jax.py --dim 100 relative inverse autodiff adam      one line of JSON for each
    relative_jax.py --dim 100                                     the same for names on stdin
    relative_jax.py --dim 100 check                               gradients against autodiff

`relative` is the gradient of every layer, `inverse` the ordinary gradient by explicit inverses,
`autodiff` that of jax.grad through slogdet, `adam` one training step, `epoch` one epoch.
"""

import argparse
import functools
import json
import math
import os
import sys

from measuring import chosen, each, into_donated, quickest, report, timed, use_threads


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dim", type=int, required=True, help="numbers in a row")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--rows", type=int, default=100, help="rows in a batch")
    parser.add_argument("--epoch-rows", type=int, default=50_000, help="rows in an epoch")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.3, help="to repeat a measurement for")
    parser.add_argument("--variant", help="the way of writing to use, instead of the quickest")
    parser.add_argument("what", nargs="*", help="read from standard input if not given")
    return parser.parse_args()


ARGUMENTS = arguments()
use_threads(ARGUMENTS.threads)
# Only inverses and slogdet use it. Its threads wait for each other in loops: on shared cores, where
# one of them may not run, that made an inverse thirty times slower than on one thread.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from problem import data, unit  # noqa: E402
from relative_formulas import (  # noqa: E402
    Columns,
    Fused,
    Rows,
    adam,
    joint,
    log_likelihood,
    ordinary,
    relative_scanned,
    relative_unrolled,
    separate,
)

RATE = 1e-6


def layers(dim, depth):
    spread = 0.5 / math.sqrt(depth * dim)
    weights, biases = [], []
    for l in range(depth):
        weight = spread * unit(2 * l, dim * dim).reshape(dim, dim)
        weight[np.diag_indices(dim)] += 1
        weights.append(weight.astype(np.float32))
        biases.append((0.1 * unit(2 * l + 1, dim)).astype(np.float32))
    return weights, biases


# Ways of writing the relative gradient.


class Way:
    def __init__(self, function, layout, products):
        self.gradient = functools.partial(function, layout, products)
        # Whether parameters are stacked, and where a row of the data lies.
        self.stacked = function is relative_scanned
        self.axis = layout.axis


def ways(what):
    found = {}
    for layout in (Rows, Columns):
        for products in (joint, separate):
            name = f"{layout.__name__.lower()}, {products.__name__}"
            found[name] = Way(relative_unrolled, layout, products)
            if ARGUMENTS.layers > 2:
                found[name + ", scan"] = Way(relative_scanned, layout, products)
    if what in ("adam", "epoch") and ARGUMENTS.rows <= 16:
        found["rows, fused"] = Way(relative_unrolled, Fused, separate)
    return found


def parameters(stacked):
    weights, biases = layers(ARGUMENTS.dim, ARGUMENTS.layers)
    if stacked:
        return jnp.asarray(np.stack(weights)), jnp.asarray(np.stack(biases))
    return [jnp.asarray(w) for w in weights], [jnp.asarray(b) for b in biases]


# What can be measured: each prepared by a function that returns (run, result, bytes), where run()
# does the work once and waits for it, and result() is a gradient to be compared, or None.


def peak_bytes(compiled):
    memory = compiled.memory_analysis()
    return (
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
        + memory.temp_size_in_bytes
    )


def batches(count, axis):
    x = data(count * ARGUMENTS.rows, ARGUMENTS.dim)
    x = x.reshape(count, ARGUMENTS.rows, ARGUMENTS.dim)
    return jnp.asarray(x if axis == 0 else x.transpose(0, 2, 1))


def gradient(way):
    at = parameters(way.stacked), batches(1, way.axis)[0]
    run, result, compiled = into_donated(way.gradient, *at)
    return run, result, peak_bytes(compiled)


def fresh_state(stacked):
    at = parameters(stacked)
    return at, jax.tree.map(jnp.zeros_like, at), jax.tree.map(jnp.zeros_like, at), jnp.float32(0)


def steps_called(way, count):
    """One call of a jitted step for every batch."""
    state = [fresh_state(way.stacked)]
    rate = jnp.float32(RATE)
    xs = list(batches(count, way.axis))

    def step(state, x, rate):
        return adam(way.gradient, state, x, rate)

    compiled = jax.jit(step, donate_argnums=0).lower(state[0], xs[0], rate).compile()

    def run():
        for x in xs:
            state[0] = compiled(state[0], x, rate)
        jax.block_until_ready(state[0])

    return run, lambda: None, peak_bytes(compiled)


def steps_scanned(way, count):
    """All batches in one call: no dispatch between steps."""
    state = [fresh_state(way.stacked)]
    rate = jnp.float32(RATE)
    xs = batches(count, way.axis)

    def epoch(state, xs, rate):
        return jax.lax.scan(lambda s, x: (adam(way.gradient, s, x, rate), None), state, xs)[0]

    compiled = jax.jit(epoch, donate_argnums=0).lower(state[0], xs, rate).compile()

    def run():
        state[0] = jax.block_until_ready(compiled(state[0], xs, rate))

    return run, lambda: None, peak_bytes(compiled)


class Ordinary:
    """An ordinary gradient, as a way."""

    stacked, axis = False, 0

    def __init__(self, gradient):
        self.gradient = gradient


def candidates(what, count):
    """Name of every way to do it, with a function that prepares it for so many batches."""
    if what == "inverse":
        found = {what: lambda: gradient(Ordinary(ordinary))}
    elif what == "autodiff":
        found = {what: lambda: gradient(Ordinary(jax.grad(log_likelihood)))}
    elif what == "relative":
        found = {name: functools.partial(gradient, way) for name, way in ways(what).items()}
    elif what in ("adam", "epoch"):
        found = {}
        for name, way in ways(what).items():
            found[name] = functools.partial(steps_called, way, count)
            if what == "epoch":
                found[name + ", one call"] = functools.partial(steps_scanned, way, count)
    else:
        sys.exit(f"unknown measurement {what!r}: relative, inverse, autodiff, adam, epoch or check")
    return chosen(found, ARGUMENTS.variant)


def prepared(what):
    """The name of the quickest way, and what prepares it. The choice is made on a short epoch."""
    count = ARGUMENTS.epoch_rows // ARGUMENTS.rows if what == "epoch" else 1
    short = candidates(what, min(count, 100))
    name = quickest({name: way()[0] for name, way in short.items()}, ARGUMENTS.seconds)
    return name, candidates(what, count)[name]()


def square(gradient):
    return sum(float((np.asarray(x, dtype=float) ** 2).sum()) for x in jax.tree.leaves(gradient))


def check():
    """Every way of writing the gradient against jax.grad, in double precision.

    In the coordinates of the affine group, T = G W^T + g b^T and t = g of the ordinary gradient
    (G, g), so the relative direction is T W and T b + t.
    """
    jax.config.update("jax_enable_x64", True)
    depth = ARGUMENTS.layers
    x = jnp.asarray(data(ARGUMENTS.rows, ARGUMENTS.dim), float)
    weights, biases = layers(ARGUMENTS.dim, depth)
    at = [jnp.asarray(w, float) for w in weights], [jnp.asarray(b, float) for b in biases]
    slopes = jax.grad(log_likelihood)(at, x)
    tangents = [
        (g @ w.T + jnp.outer(h, b), h) for g, h, w, b in zip(*slopes, *at, strict=True)
    ]
    right = (
        [t @ w for (t, _), w in zip(tangents, at[0], strict=True)],
        [t @ b + h for (t, h), b in zip(tangents, at[1], strict=True)],
    )
    pairs = {"ordinary": (ordinary(at, x), slopes)}
    for name, way in ways("adam").items():
        where = (jnp.stack(at[0]), jnp.stack(at[1])) if way.stacked else at
        found = way.gradient(where, x if way.axis == 0 else x.T)
        pairs[name] = (tuple(list(part) for part in found), right)
    for name, pair in pairs.items():
        found, expected = (
            np.concatenate([np.ravel(numbers) for numbers in jax.tree.leaves(tree)]) for tree in pair
        )
        error = float(np.abs(found - expected).max() / np.abs(expected).max())
        if not error < 1e-9:
            sys.exit(f"{name}: differs from autodiff by {error:.1e} of its largest number")
        print(json.dumps({"program": "jax", "check": name, "error": error}), flush=True)


def main():
    at_hand = None
    for what in each(ARGUMENTS.what):
        if what == "check":
            check()
            continue
        if at_hand is None or at_hand[0] != what:
            at_hand = None
            at_hand = (what, *prepared(what))
            if what != "epoch":
                for _ in range(3):
                    at_hand[2][0]()
        _, variant, (run, result, peak) = at_hand
        times = timed(run, ARGUMENTS.seconds)
        found = result()
        least = ARGUMENTS.layers * (ARGUMENTS.dim**2 + ARGUMENTS.dim) * 4
        line = {
            "program": "jax",
            "what": what,
            "variant": variant,
            "dim": ARGUMENTS.dim,
            "rows": ARGUMENTS.rows,
            "layers": ARGUMENTS.layers,
            "threads": ARGUMENTS.threads,
            **report(times),
            "square": None if found is None else square(found),
            "peak_bytes": peak,
            "least_bytes": least * (4 if what in ("adam", "epoch") else 2),
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
