"""The relative gradient in JAX, jitted and tightened by hand: what detfree is measured against.

The formulas are those of `benches/src/relative.rs` with the same weights and data: two (or L) square
layers with bias, smooth leaky ReLU between them, a standard normal base, the mean over a batch.
Tightened means: T is kept by its factors (no product of size D^3 and no inverse), the first layer
gets no input gradient, the other layers' two products with W^T are one, an activation computes one
exponential, buffers are donated, and Adam is left to XLA to fuse. Where more than one way of
writing something is quickest at some size, all are timed at the start and the quickest is used.

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
import time


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
# XLA takes as many threads as the process may run on.
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: ARGUMENTS.threads])
# Only inverses and slogdet use it. Its threads wait for each other in loops: on shared cores, where
# one of them may not run, that made an inverse thirty times slower than on one thread.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from problem import data, unit  # noqa: E402

ALPHA = 0.3
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


# The flow.


def activate(y):
    """z, z' and (log z')' of the smooth leaky ReLU, from one exponential and one logarithm."""
    e = jnp.exp(-jnp.abs(y))
    p = jnp.where(y >= 0, 1, e) / (1 + e)
    z = ALPHA * y + (1 - ALPHA) * (jnp.maximum(y, 0) + jnp.log(1 + e))
    slope = ALPHA + (1 - ALPHA) * p
    return z, slope, (1 - ALPHA) * p * (1 - p) / slope


class Rows:
    """A batch is [R, D]."""

    axis = 0

    @staticmethod
    def apply(weight, bias, z):
        return z @ weight.T + bias

    @staticmethod
    def adjoint(weight, y):
        return y @ weight

    @staticmethod
    def outer(delta, image):
        return delta.T @ image

    @staticmethod
    def bias(bias, delta, y):
        return (1 + y @ bias) @ delta


class Columns:
    """A batch is [D, R]."""

    axis = 1

    @staticmethod
    def apply(weight, bias, z):
        return weight @ z + bias[:, None]

    @staticmethod
    def adjoint(weight, y):
        return weight.T @ y

    @staticmethod
    def outer(delta, image):
        return delta @ image.T

    @staticmethod
    def bias(bias, delta, y):
        return delta @ (1 + bias @ y)


class Fused(Rows):
    """The update as R terms that XLA can fuse into the pass over the weights."""

    @staticmethod
    def outer(delta, image):
        return sum(d[:, None] * i[None, :] for d, i in zip(delta, image, strict=True))


def joint(layout, weight, delta, y):
    """W^T [Delta, Y] in one product."""
    both = layout.adjoint(weight, jnp.concatenate([delta, y], layout.axis))
    return jnp.split(both, 2, layout.axis)


def separate(layout, weight, delta, y):
    return layout.adjoint(weight, delta), layout.adjoint(weight, y)


def direction(layout, weight, bias, delta, y, image):
    """(T W, T b + t) from Delta, Y and W^T Y."""
    delta = delta * (1 / delta.shape[layout.axis])
    return weight + layout.outer(delta, image), bias + layout.bias(bias, delta, y)


def relative_unrolled(layout, products, parameters, x):
    weights, biases = parameters
    last = len(weights) - 1
    z, tape = x, []
    for l, (weight, bias) in enumerate(zip(weights, biases)):
        y = layout.apply(weight, bias, z)
        z, slope, score = activate(y) if l < last else (None, None, None)
        tape.append((y, slope, score))
    delta = -y
    out_weights, out_biases = [None] * len(weights), [None] * len(weights)
    for l in range(last, -1, -1):
        weight, bias, y = weights[l], biases[l], tape[l][0]
        if l == 0:
            back, image = None, layout.adjoint(weight, y)
        else:
            back, image = products(layout, weight, delta, y)
        out_weights[l], out_biases[l] = direction(layout, weight, bias, delta, y, image)
        if l > 0:
            _, slope, score = tape[l - 1]
            delta = slope * back + score
    return out_weights, out_biases


def relative_scanned(layout, products, parameters, x):
    """For stacked parameters, [L, D, D] and [L, D]."""
    weights, biases = parameters

    def forward(z, layer):
        y = layout.apply(*layer, z)
        z, slope, score = activate(y)
        return z, (y, slope, score)

    def backward(delta, layer):
        weight, bias, y, slope, score = layer
        back, image = products(layout, weight, delta, y)
        # slope and score are those of the layer below, whose delta this is.
        return slope * back + score, direction(layout, weight, bias, delta, y, image)

    z, (ys, slopes, scores) = jax.lax.scan(forward, x, (weights[:-1], biases[:-1]))
    y = layout.apply(weights[-1], biases[-1], z)
    ys = jnp.concatenate([ys, y[None]])
    delta, (out_weights, out_biases) = jax.lax.scan(
        backward, -y, (weights[1:], biases[1:], ys[1:], slopes, scores), reverse=True
    )
    image = layout.adjoint(weights[0], ys[0])
    first = direction(layout, weights[0], biases[0], delta, ys[0], image)
    return (
        jnp.concatenate([first[0][None], out_weights]),
        jnp.concatenate([first[1][None], out_biases]),
    )


def ordinary(parameters, x):
    """W^-T + Delta Z^T / R and the mean of Delta."""
    weights, biases = parameters
    last = len(weights) - 1
    z, tape = x, []
    for l, (weight, bias) in enumerate(zip(weights, biases)):
        y = z @ weight.T + bias
        below = z
        z, slope, score = activate(y) if l < last else (None, None, None)
        tape.append((below, slope, score))
    delta = -y
    out_weights, out_biases = [None] * len(weights), [None] * len(weights)
    for l in range(last, -1, -1):
        mean = delta * (1 / len(delta))
        out_weights[l] = jnp.linalg.inv(weights[l]).T + mean.T @ tape[l][0]
        out_biases[l] = mean.sum(0)
        if l > 0:
            _, slope, score = tape[l - 1]
            delta = slope * (delta @ weights[l]) + score
    return out_weights, out_biases


def log_likelihood(parameters, x):
    weights, biases = parameters
    z, log = x, 0
    for l, (weight, bias) in enumerate(zip(weights, biases)):
        y = z @ weight.T + bias
        log += jnp.linalg.slogdet(weight)[1]
        if l + 1 < len(weights):
            log += jnp.log(ALPHA + (1 - ALPHA) * jax.nn.sigmoid(y)).sum(1).mean()
            z = ALPHA * y + (1 - ALPHA) * jax.nn.softplus(y)
    return log - 0.5 * (y**2).sum(1).mean()


def adam(gradient, state, x, rate):
    """One ascent step; the moments' bias corrections are folded into rate and epsilon."""
    parameters, first, second, step = state
    step = step + 1
    correction = jnp.sqrt(1 - 0.999**step)
    size, epsilon = rate * correction / (1 - 0.9**step), 1e-8 * correction
    moved = gradient(parameters, x)
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, moved)
    second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, moved)
    parameters = jax.tree.map(
        lambda w, m, v: w + size * m / (jnp.sqrt(v) + epsilon), parameters, first, second
    )
    return parameters, first, second, step


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
    """A gradient into donated memory, as one does who computes many."""
    at = parameters(way.stacked)
    x = batches(1, way.axis)[0]
    held = [jax.tree.map(jnp.copy, at)]

    def into(old, at, x):
        return way.gradient(at, x)

    compiled = jax.jit(into, donate_argnums=0, keep_unused=True).lower(held[0], at, x).compile()

    def run():
        held[0] = jax.block_until_ready(compiled(held[0], at, x))

    return run, lambda: held[0], peak_bytes(compiled)


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
    if ARGUMENTS.variant not in (None, *found):
        sys.exit(f"no way {ARGUMENTS.variant!r} to do {what}: {'; '.join(found)}")
    return found


def timed(run, seconds):
    times, began = [], time.perf_counter()
    while not times or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return sorted(times)


def quickest(what):
    """Prepares the candidate whose undisturbed time is the shortest, over turns."""
    count = ARGUMENTS.epoch_rows // ARGUMENTS.rows if what == "epoch" else 1
    name = ARGUMENTS.variant
    if name is None:
        tried = {n: prepare()[0] for n, prepare in candidates(what, min(count, 100)).items()}
        best = dict.fromkeys(tried, math.inf)
        for _ in range(4 if len(tried) > 1 else 0):
            for n, run in tried.items():
                times = timed(run, ARGUMENTS.seconds / 4)
                best[n] = min(best[n], times[len(times) // 10])
        name = min(best, key=best.get)
        del tried
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
    for what in ARGUMENTS.what or (line.strip() for line in sys.stdin):
        if what == "check":
            check()
            continue
        if at_hand is None or at_hand[0] != what:
            at_hand = None
            at_hand = (what, *quickest(what))
            if what != "epoch":
                for _ in range(3):
                    at_hand[2][0]()
        _, variant, (run, result, peak) = at_hand
        times = timed(run, ARGUMENTS.seconds)
        found = result()
        parameters = ARGUMENTS.layers * (ARGUMENTS.dim**2 + ARGUMENTS.dim) * 4
        report = {
            "program": "jax",
            "what": what,
            "variant": variant,
            "dim": ARGUMENTS.dim,
            "rows": ARGUMENTS.rows,
            "layers": ARGUMENTS.layers,
            "threads": ARGUMENTS.threads,
            "ms": times[len(times) // 2],
            "low_ms": times[len(times) // 10],
            "repetitions": len(times),
            "square": None if found is None else square(found),
            "peak_bytes": peak,
            "least_bytes": parameters * (4 if what in ("adam", "epoch") else 2),
        }
        print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
