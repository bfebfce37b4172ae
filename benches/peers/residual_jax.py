"""A residual block's log-determinant in JAX, jitted and tightened by hand: what detfree is measured
against.

The formulas are detfree's, on the same net (LipSwish between layers), data and probe: sum over the rows
of the series of log det(I + J) cut after some terms, and its gradient with respect to every weight, bias
and sharpness and to the input. Tightened means: the net is linearised once; a term of the series is the
products of one vjp and nothing else; value and gradient come from one run of the series; the contraction
of the bilinear form is written out, so that nothing is differentiated by JAX; buffers of the results are
donated. g(x), which the next block of a flow needs, is one of the results, as it is in detfree and
normflows. Where more than one way of writing something is quickest at some size, all are timed at the
start and the quickest is used. The probe is given, and costs nothing here.

    residual_jax.py --sizes 2-128-128-128-2 --batch 500 gradient value      one line of JSON for each
    residual_jax.py --sizes 2-128-128-128-2 --batch 500                     the same for names on stdin
    residual_jax.py --sizes 2-128-128-128-2 --batch 500 check               gradients against autodiff

`autodiff` is the same gradient with jax.vjp for the products and jax.grad for the contraction.
"""

import argparse
import functools
import json
import sys

from measuring import chosen, each, into_donated, quickest, report, timed, use_threads


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="2-128-128-128-2", help="widths of the net")
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--terms", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.3, help="to repeat a measurement for")
    parser.add_argument("--variant", help="the way of writing to use, instead of the quickest")
    parser.add_argument("what", nargs="*", help="read from standard input if not given")
    return parser.parse_args()


ARGUMENTS = arguments()
use_threads(ARGUMENTS.threads)

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from problem import data, net, probe, widths  # noqa: E402


def jet(h, beta):
    """sigma, sigma' and sigma'' of LipSwish, from one exponential."""
    t = beta * h
    p = jax.nn.sigmoid(t)
    q = 1 - p
    slope = p * q
    scale = 1 / 1.1
    return h * p * scale, (p + t * slope) * scale, beta * slope * (2 + t * (q - p)) * scale


class Rows:
    """A batch is [R, D]."""

    axis = 0
    over_rows = staticmethod(lambda x: x.sum(0))
    over_columns = staticmethod(lambda x: x.sum(1))
    plain = staticmethod(lambda weight, x: x @ weight.T)
    transposed = staticmethod(lambda weight, x: x @ weight)
    outer = staticmethod(lambda y, x: y.T @ x)
    bias = staticmethod(lambda bias: bias)


class Columns:
    """A batch is [D, R]."""

    axis = 1
    over_rows = staticmethod(lambda x: x.sum(1))
    over_columns = staticmethod(lambda x: x.sum(0))
    plain = staticmethod(lambda weight, x: weight @ x)
    transposed = staticmethod(lambda weight, x: weight.T @ x)
    outer = staticmethod(lambda y, x: y @ x.T)
    bias = staticmethod(lambda bias: bias[:, None])


def linearise(layout, parameters, x):
    weights, biases, betas = parameters
    z, zs, hs, d1s, d2s = x, [x], [], [], []
    for weight, bias, beta in zip(weights, biases, betas):  # all layers but the last
        h = layout.plain(weight, z) + layout.bias(bias)
        z, d1, d2 = jet(h, beta)
        zs.append(z), hs.append(h), d1s.append(d1), d2s.append(d2)
    out = layout.plain(weights[-1], z) + layout.bias(biases[-1])
    return out, zs, hs, d1s, d2s


def vjp(layout, weights, d1s, w):
    w = layout.transposed(weights[-1], w)
    for weight, d1 in zip(weights[-2::-1], d1s[::-1]):
        w = layout.transposed(weight, d1 * w)
    return w


def coefficients(terms):
    sign = -((-1.0) ** np.arange(1, terms + 1))
    return (sign / np.arange(1, terms + 1)).astype(np.float32), (-sign).astype(np.float32)


def unrolled(product, layout, v, terms):
    """The value, and s of the gradient."""
    value, s, w = 0, v, v
    for of_value, of_sum in zip(*coefficients(terms)):
        w = product(w)
        value = value + of_value * layout.over_columns(w * v)
        s = s + of_sum * w
    return value, s


def looped(product, layout, v, terms):
    def term(carry, k):
        value, s, w = carry
        w = product(w)
        return (value + k[0] * layout.over_columns(w * v), s + k[1] * w, w), None

    start = (jnp.zeros(v.shape[layout.axis], v.dtype), v, v)
    (value, s, _), _ = jax.lax.scan(term, start, coefficients(terms))
    return value, s


def summed_first(product, layout, v, terms):
    """The value from one more sum, so that a term ends with a vector's addition."""
    value, s, w = jnp.zeros_like(v), v, v
    for of_value, of_sum in zip(*coefficients(terms)):
        w = product(w)
        value = value + of_value * w
        s = s + of_sum * w
    return layout.over_columns(value * v), s


def gradient(layout, series, parameters, x, v):
    """Value and g(x) of every row, and the gradient of the values' sum by a contraction that is written out."""
    weights, biases, betas = parameters
    out, zs, hs, d1s, d2s = linearise(layout, parameters, x)
    value, s = series(
        functools.partial(vjp, layout, weights, d1s), layout, v, ARGUMENTS.terms
    )
    tangents, pushed = [], [v]
    for weight, d1 in zip(weights, d1s):
        tangents.append(layout.plain(weight, pushed[-1]))
        pushed.append(d1 * tangents[-1])
    d_weights, d_biases, d_betas = [None] * len(weights), [None] * len(weights), [None] * len(betas)
    d_biases[-1] = jnp.zeros_like(biases[-1])
    above, p = s, None
    for l in range(len(weights) - 1, -1, -1):
        d_weights[l] = layout.outer(above, pushed[l])
        if p is not None:
            d_weights[l] = d_weights[l] + layout.outer(p, zs[l])
            d_biases[l] = layout.over_rows(p)
        pulled = 0 if p is None else layout.transposed(weights[l], p)
        if l == 0:
            return (value, out), (d_weights, d_biases, d_betas, pulled)
        e = layout.transposed(weights[l], above)
        p = d2s[l - 1] * tangents[l - 1] * e + d1s[l - 1] * pulled
        d_betas[l - 1] = (hs[l - 1] * p - zs[l] * pulled).sum()
        above = d1s[l - 1] * e


def value(layout, series, parameters, x, v):
    weights, _, _ = parameters
    out, _, _, d1s, _ = linearise(layout, parameters, x)
    product = functools.partial(vjp, layout, weights, d1s)
    return (series(product, layout, v, ARGUMENTS.terms)[0], out), ()


def autodiff(layout, series, parameters, x, v):
    """What JAX makes of the formulas without help. Sharpnesses by their logarithms."""

    def g(parameters, x):
        weights, biases, logs = parameters
        return linearise(layout, (weights, biases, [jnp.exp(log) for log in logs]), x)[0]

    weights, biases, betas = parameters
    at = weights, biases, [jnp.log(beta) for beta in betas]
    out, pull = jax.vjp(functools.partial(g, at), x)
    value, s = series(lambda w: pull(w)[0], layout, v, ARGUMENTS.terms)

    def bilinear(at, x):
        return (s * jax.jvp(functools.partial(g, at), (x,), (v,))[1]).sum()

    (d_weights, d_biases, d_betas), d_x = jax.grad(bilinear, (0, 1))(at, x)
    return (value, out), (d_weights, d_biases, d_betas, d_x)


def problem(layout, dtype=np.float32):
    shape = widths(ARGUMENTS.sizes)
    weights, biases = net(shape)
    parameters = (
        [jnp.asarray(w, dtype) for w in weights],
        [jnp.asarray(b, dtype) for b in biases],
        [jnp.asarray(1, dtype) for _ in shape[2:]],
    )
    batches = [data(ARGUMENTS.batch, shape[0]), probe(1, ARGUMENTS.batch, shape[0])]
    return parameters, *(jnp.asarray(b if layout is Rows else b.T, dtype) for b in batches)


KINDS = {"gradient": gradient, "value": value, "autodiff": autodiff}


def candidates(what):
    if what not in KINDS:
        sys.exit(f"unknown measurement {what!r}: {', '.join(KINDS)} or check")
    found = {}
    for layout in (Rows, Columns):
        for series in (unrolled, looped, summed_first):
            name = f"{layout.__name__.lower()}, {series.__name__}"
            found[name] = functools.partial(prepare, KINDS[what], layout, series)
    return chosen(found, ARGUMENTS.variant)


def prepare(kind, layout, series):
    return into_donated(functools.partial(kind, layout, series), *problem(layout))


def sums(found):
    """What benches/src/block.rs calls its sums."""
    (value, _), rest = found
    if not rest:
        return float(np.asarray(value, float).sum()), []
    d_weights, d_biases, d_betas, d_x = rest

    def square(x):
        return float((np.asarray(x, float) ** 2).sum())

    squares = [square(w) + square(b) for w, b in zip(d_weights, d_biases)]
    squares += [square(d_x), sum(map(square, d_betas))]
    return float(np.asarray(value, float).sum()), squares


def check():
    """Every way of writing the gradient against JAX's autodiff, in double precision."""
    jax.config.update("jax_enable_x64", True)
    for layout in (Rows, Columns):
        at = problem(layout, float)
        expected = jax.tree.leaves(autodiff(layout, unrolled, *at))
        for series in (unrolled, looped, summed_first):
            found = jax.tree.leaves(gradient(layout, series, *at))
            pairs = zip(found, expected, strict=True)
            error = max(float(abs(a - b).max() / (1e-9 + abs(b).max())) for a, b in pairs)
            name = f"{layout.__name__.lower()}, {series.__name__}"
            if not error < 1e-6:
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
            ways = {name: way() for name, way in candidates(what).items()}
            name = quickest({n: run for n, (run, *_) in ways.items()}, ARGUMENTS.seconds)
            at_hand = (what, name, *ways[name])
        _, variant, run, result, _ = at_hand
        for _ in range(3):
            run()
        times = timed(run, ARGUMENTS.seconds)
        value, squares = sums(result())
        line = {
            "program": "jax",
            "what": what,
            "variant": variant,
            "batch": ARGUMENTS.batch,
            "threads": ARGUMENTS.threads,
            **report(times),
            "value": value,
            "squares": squares,
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
