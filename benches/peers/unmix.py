#!/usr/bin/env python3
"""`detfree unmix` beside scikit-learn's FastICA on the same mixtures, as a table of text.

All get the same file of mixed signals, in turn, each in a process of its own. Amari distances are
from the matrix that made the mixtures: 0 is perfect. Seconds are medians over seeds of those of the
separation alone, from a table in memory to the unmixing matrix: of `detfree unmix --json` the
median of three runs of the command, each cold; of FastICA that of three fits in a process that has
warmed up. A ratio is FastICA's time over ours in the same turn. `command` is the whole of `detfree
unmix`, with the file read and three files written.

    benches/peers/install.sh                                                         once
    cargo build --release -p detfree-cli
    target/peers/venv/bin/python benches/peers/unmix.py                              some minutes
    target/peers/venv/bin/python benches/peers/unmix.py --sources 8,16 --seeds 2     a few seconds
    target/peers/venv/bin/python benches/peers/unmix.py --threads 1                  one thread each

Sources are Laplace distributed; hyperbolic-secant, the law that detfree assumes; or by thirds
Laplace, secant and logistic, whose tails are hardly heavier than a Gaussian's. Every element of the
mixing matrix is standard normal.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy

from fastica import amari

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEER = pathlib.Path(__file__).resolve().parent / "fastica.py"


def secant(rng, rows):
    return numpy.log(numpy.tan(0.5 * numpy.pi * rng.uniform(size=rows)))


LAWS = {
    "laplace": [lambda rng, rows: rng.laplace(size=rows)],
    "secant": [secant],
    "mixed": [
        lambda rng, rows: rng.laplace(size=rows),
        secant,
        lambda rng, rows: rng.logistic(size=rows),
    ],
}


def mixture(law, sources, rows, seed):
    """Rows of mixed signals, and the matrix that mixed them."""
    rng = numpy.random.default_rng(seed)
    draws = LAWS[law]
    signals = numpy.array([draws[i % len(draws)](rng, rows) for i in range(sources)])
    mixing = rng.normal(size=(sources, sources))
    return (mixing @ signals).T, mixing


def ours(program, folder, mixing, threads, precision):
    results = {name: folder / f"{name}.csv" for name in ("sources", "unmixing", "mixing")}
    paths = [f"--{name}={path}" for name, path in results.items()]
    how = ["--json", f"--threads={threads}", f"--precision={precision}"]
    reports = []
    for _ in range(3):
        started = time.perf_counter()
        done = subprocess.run(
            [program, "unmix", folder / "mixed.csv", *how, *paths],
            check=True,
            capture_output=True,
            text=True,
        )
        command = time.perf_counter() - started
        reports.append({**json.loads(done.stdout), "command": command})
    unmixing = numpy.loadtxt(results["unmixing"], delimiter=",", skiprows=1, ndmin=2)[:, :-1]
    medians = {
        key: statistics.median(report[key] for report in reports) for key in ("seconds", "command")
    }
    return {**reports[-1], **medians, "amari": amari(unmixing @ mixing)}


def theirs(folder, seed, threads):
    # Whatever numerical library numpy came with.
    variables = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    done = subprocess.run(
        [sys.executable, PEER, folder / "mixed.csv", folder / "true.csv", f"--seed={seed}"],
        env=os.environ | dict.fromkeys(variables, str(threads)),
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


def measure(program, law, sources, rows, seed, threads):
    """The three answers to one problem, by name; who begins changes with the seed."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        mixed, mixing = mixture(law, sources, rows, seed)
        numpy.savetxt(folder / "mixed.csv", mixed, delimiter=",", fmt="%.17g")
        numpy.savetxt(folder / "true.csv", mixing, delimiter=",", fmt="%.17g")
        turns = {
            "f32": lambda: ours(program, folder, mixing, threads, "f32"),
            "FastICA": lambda: theirs(folder, seed, threads),
            "f64": lambda: ours(program, folder, mixing, threads, "f64"),
        }
        names = list(turns)
        first = seed % len(names)
        return {name: turns[name]() for name in names[first:] + names[:first]}


def line(law, sources, turns):
    """A line of the table."""
    names = ("f32", "f64", "FastICA")

    def median(key, name):
        return statistics.median(turn[name][key] for turn in turns)

    amaris = [statistics.mean(turn[name]["amari"] for turn in turns) for name in names]
    worse = sum(turn["f32"]["amari"] > turn["FastICA"]["amari"] for turn in turns)
    seconds = [median("seconds", name) for name in names]
    ratios = [
        statistics.median(turn["FastICA"]["seconds"] / turn[name]["seconds"] for turn in turns)
        for name in names[:2]
    ]
    failed = [sum(not turn[name]["converged"] for turn in turns) for name in names]
    return (
        f"{law:<8}{sources:>4}  "
        + "".join(f"{x:>9.5f}" for x in amaris)
        + f"{f'{worse}/{len(turns)}':>7}  "
        + "".join(f"{x:>9.4f}" for x in seconds)
        + "".join(f"{x:>7.2f}" for x in ratios)
        + f"{median('command', 'f32'):>9.3f}   {failed[0]}, {failed[1]}, {failed[2]}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", default="8,16,32,64")
    parser.add_argument("--laws", default=",".join(LAWS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    program = target / "release" / "detfree"

    print(f"{'':<14}{'Amari distance':^27}{'worse':>7}  {'seconds':^27}{'ratio':^14}")
    print(
        f"{'sources':<14}{'f32':>9}{'f64':>9}{'FastICA':>9}{'(f32)':>7}  "
        f"{'f32':>9}{'f64':>9}{'FastICA':>9}{'f32':>7}{'f64':>7}{'command':>9}   not converged"
    )
    for law in options.laws.split(","):
        for sources in map(int, options.sources.split(",")):
            turns = [
                measure(program, law, sources, options.rows, seed, options.threads)
                for seed in range(options.seeds)
            ]
            print(line(law, sources, turns), flush=True)


if __name__ == "__main__":
    main()
