"""What the programs of peers share: what they measure is prepared, chosen among several ways, and timed."""

import math
import os
import sys
import time


def use_threads(count):
    """To be called before JAX is imported: XLA takes as many threads as the process may run on."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def into_donated(function, *at):
    """run(), which computes function(*at) into donated memory as one does who computes it often; a
    function that gives the last result; and the compiled program."""
    import jax
    import jax.numpy as jnp

    def into(old, *at):
        return function(*at)

    shapes = jax.eval_shape(function, *at)
    held = [jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)]
    compiled = jax.jit(into, donate_argnums=0, keep_unused=True).lower(held[0], *at).compile()

    def run():
        held[0] = jax.block_until_ready(compiled(held[0], *at))

    return run, lambda: held[0], compiled


def timed(run, seconds):
    """Milliseconds of every run, sorted."""
    times, began = [], time.perf_counter()
    while not times or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return sorted(times)


def report(times):
    """What detfree's programs say about times, too."""
    return {
        "ms": times[len(times) // 2],
        "low_ms": times[len(times) // 10],
        "repetitions": len(times),
    }


def chosen(ways, variant):
    """The ways that are to be tried."""
    if variant is None:
        return ways
    if variant not in ways:
        sys.exit(f"no way {variant!r} to do it: {'; '.join(ways)}")
    return {variant: ways[variant]}


def quickest(runs, seconds):
    """The name of the run whose undisturbed time is the shortest, over turns."""
    best = dict.fromkeys(runs, math.inf)
    for _ in range(4 if len(runs) > 1 else 0):
        for name, run in runs.items():
            best[name] = min(best[name], report(timed(run, seconds / 4))["low_ms"])
    return min(best, key=best.get)


def each(names):
    """The names given, or those on standard input, as they come."""
    return names or (line.strip() for line in sys.stdin)
