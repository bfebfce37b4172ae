#!/usr/bin/env python3
"""detfree's residual blocks beside JAX's and normflows', taking turns on one machine, as tables of text.

A ratio is the median over turns of (the peer's time / detfree's time): above 1 detfree is quicker. In
brackets are its quartiles. "At best" is the ratio of the shortest times, each the tenth percentile of a
turn: an estimate of the ratio on a machine with nothing else to do. The comparison ends where gradients of
the same weights, data and probe differ by more than 1e-3, or the values.

    benches/peers/install.sh                                        once
    cargo build --release -p detfree-benches
    benches/peers/compare_residual.py                               some minutes
    benches/peers/compare_residual.py gradient --pairs 3 --seconds 0.1
"""

import argparse
import sys

from turns import at_best, common, detfree, machine, median, quartiles, rounds, script, table

SIZES = {"2-128-128-128-2": 500, "64-128-128-64": 64, "784-784-784-784": 64}
FLOW = ("2-64-64-64-2", 500)
HEAD = [
    "                               ", "     ms", "ratio", "     (quartiles)", "at best",
    "how                   ",
]  # fmt: skip


def programs(options, sizes, batch):
    size = [*common(options), "--sizes", sizes, "--batch", str(batch)]
    return (
        detfree("residual", *size),
        script("residual_jax.py", *size),
        script("residual_normflows.py", *size),
    )


def same(results):
    """The programs computed the same gradient, and the same value."""
    first, *others = results
    for other in others:
        if not other["squares"]:
            continue
        pairs = [(first["value"], other["value"]), *zip(first["squares"], other["squares"])]
        if any(abs(a - b) > 1e-3 * (abs(a) + 1e-3) for a, b in pairs):
            sys.exit(f"the gradients differ: {first} and {other}")


def rows(results, names):
    """A line for every program, its ratio to the first."""
    columns = list(zip(*results))
    for name, theirs in zip(names, columns, strict=True):
        ratios = [b["ms"] / a["ms"] for a, b in zip(columns[0], theirs)]
        ratio = ["", "", ""]
        if theirs is not columns[0]:
            ratio = [f"{median(ratios):.2f}", quartiles(ratios), at_best(columns[0], theirs)]
        yield [name.ljust(len(HEAD[0])), f"{median(theirs, 'ms'):.3g}", *ratio, theirs[0]["variant"]]


def block(options, sizes, batch):
    own, jax, normflows = programs(options, sizes, batch)
    with own, jax, normflows:
        turns = [
            (own, "gradient", "detfree"),
            (jax, "gradient", "JAX"),
            (jax, "autodiff", "JAX, by autodiff"),
            (normflows, "gradient", "normflows"),
            (normflows, "forward", "normflows, forward pass alone"),
        ]
        yield from measured(options, turns)
        turns = [
            (own, "certified", "detfree, certified roulette"),
            (normflows, "roulette", "normflows, its roulette"),
        ]
        yield from measured(options, turns)
        turns = [(own, "value", "detfree, value alone"), (jax, "value", "JAX, value alone")]
        yield from measured(options, turns)


def step(options, sizes, batch):
    own, _, normflows = programs(options, sizes, batch)
    with own, normflows:
        turns = [
            (own, "step", "detfree, exact"),
            (own, "step-certified", "detfree, certified roulette"),
            (normflows, "step", "normflows, its roulette"),
            (normflows, "step-exact", "normflows, exact"),
        ]
        yield from measured(options, turns)


def measured(options, turns):
    def turn(program, what):
        return lambda: program.measure(what)

    results = rounds(options.pairs, [turn(program, what) for program, what, _ in turns])
    same(results[0])
    yield from rows(results, [name for *_, name in turns])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "what", nargs="*", default=["gradient", "step"], help="gradient, step; all if not given"
    )
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=SIZES, help="of the blocks")
    parser.add_argument("--pairs", type=int, default=20, help="turns of each program")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.3, help="of a turn")
    options = parser.parse_args()

    print(f"{machine()}; {options.threads} threads each, f32, {options.pairs} turns")
    if "gradient" in options.what:
        for sizes in options.sizes:
            batch = SIZES[sizes]
            title = f"Value and gradient of a block {sizes} at batch {batch}, 10 terms"
            table(title, HEAD, block(options, sizes, batch))
    if "step" in options.what:
        sizes, batch = FLOW
        title = f"A training step of eight blocks {sizes} at batch {batch}"
        table(title, HEAD, step(options, sizes, batch))


if __name__ == "__main__":
    main()
