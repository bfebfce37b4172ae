"""Trains a residual flow of normflows (PyTorch) on points from a folder, and scores held-out ones.

    quality_normflows.py FOLDER --iterations 2000 --threads 1

The folder is what `residual --quality NAME --write FOLDER` leaves. The flow is of the same blocks as
detfree's; training is as in normflows' examples, with a learning rate that falls as detfree's does.
"""

import argparse
import json
import os
import pathlib
import time


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--sizes", default="2-64-64-64-2", help="widths of the nets")
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--iterations", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--exact", action="store_true", help="train with exact determinants")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


ARGUMENTS = arguments()
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np  # noqa: E402
import torch  # noqa: E402

from normflows_flow import flow, step  # noqa: E402
from problem import widths  # noqa: E402


def points(name, dim):
    numbers = np.fromfile(ARGUMENTS.folder / name, dtype="<f4")
    return torch.from_numpy(numbers.reshape(-1, dim))


def main():
    torch.set_num_threads(ARGUMENTS.threads)
    torch.manual_seed(1)
    shape = widths(ARGUMENTS.sizes)
    training, held_out = (points(f"{name}.f32", shape[0]) for name in ("training", "held-out"))
    model = flow(shape, ARGUMENTS.blocks, ARGUMENTS.exact)
    optimizer = torch.optim.Adam(model.parameters(), lr=ARGUMENTS.rate, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, ARGUMENTS.iterations)
    began = time.perf_counter()
    batches = training.split(ARGUMENTS.batch)
    for i in range(ARGUMENTS.iterations):
        step(model, optimizer, batches[i % len(batches)])
        schedule.step()
    seconds = time.perf_counter() - began
    # In evaluation its determinants of two dimensions are exact.
    model.eval()
    log_likelihood = model.log_prob(held_out).mean().item()
    report = {
        "program": "normflows",
        "iterations": ARGUMENTS.iterations,
        "seconds": seconds,
        "log_likelihood": log_likelihood,
    }
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
