#!/usr/bin/env python3
"""detfree's relative gradient beside JAX's, taking turns on one machine, as tables of text.

Both programs stay up and measure when told to, one at a time, so that whatever else the machine does
meets both alike. A ratio is the median over pairs of turns of (JAX's time / detfree's time): above 1
detfree is quicker. In brackets are its quartiles. "At best" is the ratio of the shortest times, each
the tenth percentile of a turn: an estimate of the ratio on a machine with nothing else to do.

    benches/peers/install.sh                                        once
    cargo build --release -p detfree-benches
    benches/peers/compare.py                                        everything, for an hour or so
    benches/peers/compare.py gradient --sizes 10,100 --pairs 3 --seconds 0.1    a minute
"""

import argparse
import sys

from turns import at_best, common, detfree, machine, median, quartiles, rounds, script, table

SIZES = [10, 32, 100, 500, 784, 1000, 2000, 4000]
HUGE = 20_000
PRODUCTS = ["plain", "transposed", "outer"]


def ours(options, *size):
    return detfree("relative-gradient", *common(options), *size)


def peer(options, *size):
    return script("relative_jax.py", *common(options), *size)


def same(a, b):
    """The two programs computed the same gradient."""
    if abs(a["square"] / b["square"] - 1) > 1e-4:
        sys.exit(f"the gradients differ: {a} and {b}")


def gradient_row(options, dim):
    size = ("--dim", str(dim))
    with ours(options, *size) as own, peer(options, *size) as jax:
        turns = [lambda: own.measure("relative"), lambda: jax.measure("relative")]
        rows = rounds(options.pairs, turns)
        same(*rows[0])
        mine, theirs = zip(*rows)
        ratios = [b["ms"] / a["ms"] for a, b in rows]

        # Seven products of R x D x D are needed: two forward, one back, two images, two updates.
        with ours(options, *size) as gemm:
            count = max(3, options.pairs // 2)
            turns = [lambda: own.measure("relative"), lambda: gemm.measure("plain")]
            single = rounds(count, turns)
            share = median([7 * b["ms"] / a["ms"] for a, b in single])
            mixed = 0
            for what, times in zip(PRODUCTS, [2, 3, 2], strict=True):
                mixed += times * gemm.measure(what)["ms"]
            mixed /= median([a for a, _ in single], "ms")

        cells = [
            dim,
            f"{median(mine, 'ms'):.3g}",
            f"{median(theirs, 'ms'):.3g}",
            f"{median(ratios):.2f}",
            quartiles(ratios),
            at_best(mine, theirs),
            f"{100 * share:.0f}%",
            f"{100 * mixed:.0f}%",
            f"{mine[0]['peak_bytes'] / 1e6:.3g}",
            f"{mine[0]['peak_bytes'] / mine[0]['least_bytes']:.2f}",
            theirs[0]["variant"],
        ]
    return cells


def huge_row(options, dim):
    """Without turns: two programs of this size do not fit into memory together."""
    size = ("--dim", str(dim))
    with ours(options, *size) as own:
        mine = own.measure("relative")
    with peer(options, *size, "--variant", "rows, separate") as jax:
        theirs = jax.measure("relative")
    same(mine, theirs)
    return [
        dim,
        f"{mine['ms']:.3g}",
        f"{theirs['ms']:.3g}",
        f"{theirs['ms'] / mine['ms']:.2f}",
        "one turn",
        "",
        "",
        "",
        f"{mine['peak_bytes'] / 1e6:.3g}",
        f"{mine['peak_bytes'] / mine['least_bytes']:.2f}",
        theirs["variant"],
    ]


def ordinary_row(options, dim):
    size = ("--dim", str(dim))
    cells, first = [dim], None
    for program, kinds in ((ours, ["inverse", "solve"]), (peer, ["inverse", "autodiff"])):
        with program(options, *size) as relative, program(options, *size) as ordinary:
            for kind in kinds:
                count = 1 if dim >= 2000 else 3
                turns = [lambda: relative.measure("relative"), lambda: ordinary.measure(kind)]
                rows = rounds(count, turns)
                first = first or rows[0][1]
                same(first, rows[0][1])
                cells.append(f"{median([b['ms'] for _, b in rows]):.3g}")
                cells.append(f"{median([b['ms'] / a['ms'] for a, b in rows]):.1f}")
    return cells


def training_row(options, what, name, count, *size):
    with ours(options, *size) as own, peer(options, *size) as jax:
        rows = rounds(count, [lambda: own.measure(what), lambda: jax.measure(what)])
    mine, theirs = zip(*rows)
    ratios = [b["ms"] / a["ms"] for a, b in rows]
    scale, unit = (1e-3, "s") if what == "epoch" else (1, "ms")
    return [
        name,
        f"{median(mine, 'ms') * scale:.3g} {unit}",
        f"{median(theirs, 'ms') * scale:.3g} {unit}",
        f"{median(ratios):.2f}",
        quartiles(ratios),
        at_best(mine, theirs),
        theirs[0]["variant"],
    ]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "what",
        nargs="*",
        default=["gradient", "ordinary", "deep", "epoch"],
        help="gradient, ordinary, deep, epoch; all if not given",
    )
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="dimensions")
    parser.add_argument("--pairs", type=int, default=20, help="turns of each program")
    parser.add_argument("--epoch-pairs", type=int, default=10)
    parser.add_argument("--epoch-rows", type=int, default=50_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.3, help="of a turn")
    parser.add_argument("--huge", action="store_true", help="also D = 20000, in 16 GiB")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]

    print(f"{machine()}; {options.threads} threads each, f32, {options.pairs} pairs")
    if "gradient" in options.what:
        table(
            "One relative gradient of 2 layers at batch 100",
            [
                "    D", "detfree ms", "   JAX ms", "ratio", "   (quartiles)", "at best",
                "of GEMM", "of products", "peak MB", "of least", "JAX's quickest               ",
            ],
            (
                gradient_row(options, dim) if dim < HUGE else huge_row(options, dim)
                for dim in sizes + [HUGE] * options.huge
            ),
        )  # fmt: skip
    if "ordinary" in options.what:
        table(
            "One ordinary gradient, and its time over that of the relative gradient",
            [
                "    D", "inverse ms", "ratio", "  solve ms", "ratio", "JAX inv ms", "ratio",
                "JAX grad ms", "ratio",
            ],
            (ordinary_row(options, dim) for dim in sizes),
        )  # fmt: skip
    head = [
        "                          ", "   detfree", "       JAX", "ratio", "   (quartiles)", "at best",
        "JAX's quickest               ",
    ]  # fmt: skip
    if "deep" in options.what:
        size = ("--dim", "2", "--layers", "100")
        rows = (
            training_row(options, what, name, options.pairs, *size)
            for what, name in [("relative", "gradient"), ("adam", "Adam step")]
        )
        table("100 layers of D = 2 at batch 100", head, rows)
    if "epoch" in options.what:
        rows = (
            training_row(
                options, "epoch", f"epoch, batch {batch}", options.epoch_pairs,
                "--dim", "784", "--rows", str(batch), "--epoch-rows", str(options.epoch_rows),
            )
            for batch in (10, 100)
        )  # fmt: skip
        table(f"{options.epoch_rows} rows of D = 784, 2 layers, Adam", head, rows)


if __name__ == "__main__":
    main()
