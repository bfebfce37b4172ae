#!/usr/bin/env python3
"""FastICA of scikit-learn on a table of mixed signals: what `detfree unmix` is measured against.

    benches/peers/install.sh                                        once
    fastica.py MIXED.csv TRUE_MIXING.csv [--repeats 3] [--seed 0]

MIXED.csv has a row for every moment and a column for every sensor, TRUE_MIXING.csv a row for every
sensor and a column for every source; neither has a header. Settings are symmetric FastICA with the
log cosh contrast, unit-variance whitening, a tolerance of 1e-6 (its default is 1e-4) and at most
2000 iterations, in double precision: in single precision it does not come to that tolerance from
about 32 sources on, nor in double precision much below it. Whitening is timed both ways that
scikit-learn offers, and the quicker one counts.
The answer is one line of JSON: the Amari distance, the median seconds of `fit` over the repeats
after one to warm up, and whether it converged.
"""

import argparse
import json
import statistics
import time
import warnings

import numpy
from sklearn.decomposition import FastICA
from sklearn.exceptions import ConvergenceWarning


def amari(product):
    """The Amari distance of W A from a permutation with scales: 0 for one, at most 1.

    (1/(2 D (D-1))) (sum_i (sum_j |p_ij| / max_k |p_ik| - 1) + sum_j (sum_i |p_ij| / max_k |p_kj| - 1))
    """
    p = numpy.abs(product)
    d = len(p)
    rows = (p / p.max(axis=1, keepdims=True)).sum(axis=1) - 1
    columns = (p / p.max(axis=0, keepdims=True)).sum(axis=0) - 1
    return float((rows.sum() + columns.sum()) / (2 * d * (d - 1)))


def measure(mixed, solver, seed, repeats):
    """A fitted model, the median seconds of a fit, and whether it converged."""
    seconds = []
    for _ in range(repeats + 1):
        model = FastICA(
            fun="logcosh",
            whiten="unit-variance",
            whiten_solver=solver,
            tol=1e-6,
            max_iter=2000,
            random_state=seed,
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            started = time.perf_counter()
            model.fit(mixed)
            seconds.append(time.perf_counter() - started)
    converged = not any(issubclass(w.category, ConvergenceWarning) for w in caught)
    return model, statistics.median(seconds[1:]), converged


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mixed")
    parser.add_argument("mixing")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    mixed = numpy.loadtxt(options.mixed, delimiter=",", ndmin=2)
    mixing = numpy.loadtxt(options.mixing, delimiter=",", ndmin=2)
    measured = [measure(mixed, s, options.seed, options.repeats) for s in ("svd", "eigh")]
    model, seconds, converged = min(measured, key=lambda m: m[1])
    print(
        json.dumps(
            {
                "amari": amari(model.components_ @ mixing),
                "seconds": seconds,
                "iterations": model.n_iter_,
                "converged": converged,
                "whitening": model.whiten_solver,
            }
        )
    )


if __name__ == "__main__":
    main()
