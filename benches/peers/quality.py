#!/usr/bin/env python3
"""What detfree's and normflows' residual flows reach on toy distributions, and in what time, as text.

Both train eight blocks 2-64-64-64-2 at batch 500 on the same points, each once, in turn, and score the same
10,000 held-out points with exact determinants. Then detfree trains for as long as normflows did. Scoring is
not counted. normflows has one thread or two, whichever a short trial finds quicker.

    benches/peers/install.sh                                        once
    cargo build --release -p detfree-benches
    benches/peers/quality.py                                        twenty minutes on a quiet machine
    benches/peers/quality.py 8gaussians --iterations 200            less
"""

import argparse
import json
import subprocess
import tempfile

from turns import PEERS, PYTHON, machine, program, table

TOYS = ["8gaussians", "moons", "2spirals"]
HEAD = [
    "          ", "                           ", "iterations", "seconds", "nats, held out",
    "its seconds / detfree's",
]  # fmt: skip


def run(command):
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def ours(options, toy, iterations, *extra):
    count = ["--iterations", str(iterations), "--threads", str(options.threads)]
    return run([program("residual"), "--quality", toy, *count, *extra])


def theirs(options, folder, iterations, threads, *extra):
    count = ["--iterations", str(iterations), "--threads", str(threads)]
    rate = ["--rate", str(options.rate)]
    return run([PYTHON, PEERS / "quality_normflows.py", folder, *count, *rate, *extra])


def rows(options):
    for toy in options.toys:
        with tempfile.TemporaryDirectory() as folder:
            own = ours(options, toy, options.iterations, "--write", folder)
            yield line(toy, "detfree", own)

            def trial(threads):
                return theirs(options, folder, 20, threads)["seconds"]

            threads = min({1, options.threads}, key=trial)
            roulette = theirs(options, folder, options.iterations, threads)
            yield line("", "normflows", roulette, own)
            if options.exact:
                exact = theirs(options, folder, options.iterations, threads, "--exact")
                yield line("", "normflows, exact gradients", exact, own)
        as_long = round(options.iterations * roulette["seconds"] / own["seconds"])
        yield line("", "detfree, for as long", ours(options, toy, as_long))


def line(toy, name, result, own=None):
    return [
        toy.ljust(len(HEAD[0])),
        name.ljust(len(HEAD[1])),
        result["iterations"],
        f"{result['seconds']:.1f}",
        f"{result['log_likelihood']:.3f}",
        f"{result['seconds'] / own['seconds']:.1f}" if own else "",
    ]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("toys", nargs="*", default=TOYS)
    parser.add_argument("--iterations", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rate", type=float, default=1e-3, help="normflows' learning rate")
    parser.add_argument("--exact", action="store_true", help="also normflows with exact gradients")
    options = parser.parse_args()
    print(f"{machine()}; {options.threads} threads, f32")
    title = "Eight blocks 2-64-64-64-2, batch 500: mean held-out log-likelihood, exact"
    table(title, HEAD, rows(options))


if __name__ == "__main__":
    main()
