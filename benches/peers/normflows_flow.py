"""A residual flow of normflows, and a step of training it, as in normflows' examples."""

import normflows as nf


def flow(shape, blocks, exact):
    """At the examples' Lipschitz constant, with a last weight near 0 and an ActNorm behind each block.

    In its memory-saving mode with its roulette, or `exact`: with exact determinants, for two dimensions.
    """
    flows = []
    for _ in range(blocks):
        net = nf.nets.LipschitzMLP(shape, lipschitz_const=0.9, init_zeros=True)
        flows.append(nf.flows.Residual(net, reduce_memory=not exact, brute_force=exact))
        flows.append(nf.flows.ActNorm(shape[0]))
    base = nf.distributions.DiagGaussian(shape[0], trainable=False)
    return nf.NormalizingFlow(base, flows)


def step(model, optimizer, rows):
    """Adam, then five power iterations for every weight."""
    optimizer.zero_grad()
    model.forward_kld(rows).backward()
    optimizer.step()
    nf.utils.update_lipschitz(model, 5)
