"""A residual block's log-determinant by normflows (PyTorch), as its users have it: what detfree is
measured against.

`nf.flows.Residual` with `nf.nets.LipschitzMLP` in its memory-saving mode, with a fixed number of terms.
The net has detfree's weights, below normflows' bound of the norms so that both compute the same function;
the activation that LipschitzMLP has in front of its first weight is taken out, which spares it some work.

    residual_normflows.py --sizes 2-128-128-128-2 --batch 500 gradient forward     a line of JSON for each
    residual_normflows.py --sizes 2-128-128-128-2 --batch 500                      the same for names on stdin

`forward` is the block's pass in training mode, in which the log-determinant's gradients are already taken;
`gradient` is that and the backward pass that hands them over. `roulette` is `gradient` with its unbiased
estimator (two terms, then continued with one half). `step` is a training step of a flow of eight such
blocks, `step-exact` the same with its exact determinants, which it has for two dimensions. Each is tried on
one thread and on all, and the quicker way is used.
"""

import argparse
import functools
import json
import os
import sys

from measuring import each, quickest, report, timed


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="2-128-128-128-2", help="widths of the net")
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--terms", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.3, help="to repeat a measurement for")
    parser.add_argument("what", nargs="*", help="read from standard input if not given")
    return parser.parse_args()


ARGUMENTS = arguments()
# Threads that wait in loops lose their cores to those that work, where others use them too.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import normflows as nf  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

import normflows_flow  # noqa: E402
from problem import data, net, probe, widths  # noqa: E402

BLOCKS = 8


def block(series, reduce_memory=True):
    """detfree's net in a block of normflows'."""
    shape = widths(ARGUMENTS.sizes)
    mlp = nf.nets.LipschitzMLP(shape, lipschitz_const=0.97, init_zeros=False)
    linears = [layer for layer in mlp.net if isinstance(layer, nf.nets.lipschitz.InducedNormLinear)]
    with torch.no_grad():
        for linear, weight, bias in zip(linears, *net(shape), strict=True):
            linear.weight.copy_(torch.from_numpy(weight))
            linear.bias.copy_(torch.from_numpy(bias))
            linear.compute_weight(True, n_iterations=50)
        for layer in mlp.net:
            if isinstance(layer, nf.nets.lipschitz.Swish):
                layer.beta.fill_(np.log(np.expm1(1.0)))  # its softplus is 1
    mlp.net[0] = torch.nn.Identity()
    return nf.flows.Residual(mlp, reduce_memory=reduce_memory, **series), mlp, linears


FIXED = {"n_power_series": ARGUMENTS.terms}
ROULETTE = {"n_exact_terms": 2, "geom_p": 0.5}


def log_det(what):
    flow, mlp, linears = block(ROULETTE if what == "roulette" else FIXED)
    x = torch.from_numpy(data(ARGUMENTS.batch, widths(ARGUMENTS.sizes)[0])).requires_grad_()

    def run():
        x.grad = None
        mlp.zero_grad(set_to_none=True)
        _, log_det = flow.inverse(x)
        if what != "forward":
            log_det.sum().backward()

    def sums():
        """With detfree's probe; the value by the series itself, which the memory-saving mode lacks."""
        own_probe, shape = torch.randn_like, x.shape
        torch.randn_like = lambda _: torch.from_numpy(probe(1, *shape))
        try:
            if what != "gradient":
                return None, []
            run()
            squares = [square(layer.weight) + square(layer.bias) for layer in linears]
            squares.append(square(x))
            # d beta/d log beta = 1, and d softplus/d its argument = sigmoid.
            slope = 1 - np.exp(-1.0)
            betas = (m.beta for m in mlp.net if isinstance(m, nf.nets.lipschitz.Swish))
            squares.append(sum(square(beta) / slope**2 for beta in betas))
            series, *_ = block(FIXED, reduce_memory=False)
            return series.inverse(x)[1].sum().item(), squares
        finally:
            torch.randn_like = own_probe

    return run, sums


def square(parameter):
    gradient = parameter.grad
    return 0.0 if gradient is None else float((gradient.double() ** 2).sum())


def step(what):
    shape = widths(ARGUMENTS.sizes)
    model = normflows_flow.flow(shape, BLOCKS, exact=what == "step-exact")
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)
    x = torch.from_numpy(data(ARGUMENTS.batch, shape[0]))

    def run():
        normflows_flow.step(model, optimizer, x)

    return run, lambda: (None, [])


KINDS = {
    "gradient": log_det,
    "forward": log_det,
    "roulette": log_det,
    "step": step,
    "step-exact": step,
}


def quicker(run):
    """The number of threads that is the quickest."""

    def on(count):
        torch.set_num_threads(count)
        run()

    counts = {1, ARGUMENTS.threads}
    return quickest({n: functools.partial(on, n) for n in counts}, ARGUMENTS.seconds)


def main():
    at_hand = None
    for what in each(ARGUMENTS.what):
        if what not in KINDS:
            sys.exit(f"unknown measurement {what!r}: {', '.join(KINDS)}")
        if at_hand is None or at_hand[0] != what:
            run, sums = KINDS[what](what)
            at_hand = (what, run, sums, quicker(run))
            torch.set_num_threads(at_hand[-1])
        _, run, sums, threads = at_hand
        for _ in range(3):
            run()
        times = timed(run, ARGUMENTS.seconds)
        value, squares = sums()
        line = {
            "program": "normflows",
            "what": what,
            "variant": f"{threads} thread" + "s" * (threads > 1),
            "batch": ARGUMENTS.batch,
            "threads": ARGUMENTS.threads,
            **report(times),
            "value": value,
            "squares": squares,
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
