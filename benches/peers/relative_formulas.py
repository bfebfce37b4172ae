"""The formulas of relative-gradient flows in JAX, tightened by hand.

Tightened means: T is kept by its factors (no product of size D^3 and no inverse), the first layer gets no
input gradient, the other layers' two products with W^T are one, an activation computes one exponential, and
Adam is left to XLA to fuse. Parameters are (weights, biases) of L square layers with the smooth leaky ReLU
between them; the base is a standard normal.
"""

import jax
import jax.numpy as jnp

ALPHA = 0.3


def activate(y):
    """z, z' and (log z')' of the smooth leaky ReLU, from one exponential and one logarithm."""
    e = jnp.exp(-jnp.abs(y))
    p = jnp.where(y >= 0, 1, e) / (1 + e)
    z = ALPHA * y + (1 - ALPHA) * (jnp.maximum(y, 0) + jnp.log(1 + e))
    slope = ALPHA + (1 - ALPHA) * p
    return z, slope, (1 - ALPHA) * p * (1 - p) / slope


class Rows:
    """A batch is [R, D]."""

    axis = 0

    @staticmethod
    def apply(weight, bias, z):
        return z @ weight.T + bias

    @staticmethod
    def adjoint(weight, y):
        return y @ weight

    @staticmethod
    def outer(delta, image):
        return delta.T @ image

    @staticmethod
    def bias(bias, delta, y):
        return (1 + y @ bias) @ delta


class Columns:
    """A batch is [D, R]."""

    axis = 1

    @staticmethod
    def apply(weight, bias, z):
        return weight @ z + bias[:, None]

    @staticmethod
    def adjoint(weight, y):
        return weight.T @ y

    @staticmethod
    def outer(delta, image):
        return delta @ image.T

    @staticmethod
    def bias(bias, delta, y):
        return delta @ (1 + bias @ y)


class Fused(Rows):
    """The update as R terms that XLA can fuse into the pass over the weights."""

    @staticmethod
    def outer(delta, image):
        return sum(d[:, None] * i[None, :] for d, i in zip(delta, image, strict=True))


def joint(layout, weight, delta, y):
    """W^T [Delta, Y] in one product."""
    both = layout.adjoint(weight, jnp.concatenate([delta, y], layout.axis))
    return jnp.split(both, 2, layout.axis)


def separate(layout, weight, delta, y):
    return layout.adjoint(weight, delta), layout.adjoint(weight, y)


def direction(layout, weight, bias, delta, y, image):
    """(T W, T b + t) from Delta, Y and W^T Y."""
    delta = delta * (1 / delta.shape[layout.axis])
    return weight + layout.outer(delta, image), bias + layout.bias(bias, delta, y)


def relative_unrolled(layout, products, parameters, x):
    weights, biases = parameters
    last = len(weights) - 1
    z, tape = x, []
    for l, (weight, bias) in enumerate(zip(weights, biases)):
        y = layout.apply(weight, bias, z)
        z, slope, score = activate(y) if l < last else (None, None, None)
        tape.append((y, slope, score))
    delta = -y
    out_weights, out_biases = [None] * len(weights), [None] * len(weights)
    for l in range(last, -1, -1):
        weight, bias, y = weights[l], biases[l], tape[l][0]
        if l == 0:
            back, image = None, layout.adjoint(weight, y)
        else:
            back, image = products(layout, weight, delta, y)
        out_weights[l], out_biases[l] = direction(layout, weight, bias, delta, y, image)
        if l > 0:
            _, slope, score = tape[l - 1]
            delta = slope * back + score
    return out_weights, out_biases


def relative_scanned(layout, products, parameters, x):
    """For stacked parameters, [L, D, D] and [L, D]."""
    weights, biases = parameters

    def forward(z, layer):
        y = layout.apply(*layer, z)
        z, slope, score = activate(y)
        return z, (y, slope, score)

    def backward(delta, layer):
        weight, bias, y, slope, score = layer
        back, image = products(layout, weight, delta, y)
        # slope and score are those of the layer below, whose delta this is.
        return slope * back + score, direction(layout, weight, bias, delta, y, image)

    z, (ys, slopes, scores) = jax.lax.scan(forward, x, (weights[:-1], biases[:-1]))
    y = layout.apply(weights[-1], biases[-1], z)
    ys = jnp.concatenate([ys, y[None]])
    delta, (out_weights, out_biases) = jax.lax.scan(
        backward, -y, (weights[1:], biases[1:], ys[1:], slopes, scores), reverse=True
    )
    image = layout.adjoint(weights[0], ys[0])
    first = direction(layout, weights[0], biases[0], delta, ys[0], image)
    return (
        jnp.concatenate([first[0][None], out_weights]),
        jnp.concatenate([first[1][None], out_biases]),
    )


def ordinary(parameters, x):
    """W^-T + Delta Z^T / R and the mean of Delta."""
    weights, biases = parameters
    last = len(weights) - 1
    z, tape = x, []
    for l, (weight, bias) in enumerate(zip(weights, biases)):
        y = z @ weight.T + bias
        below = z
        z, slope, score = activate(y) if l < last else (None, None, None)
        tape.append((below, slope, score))
    delta = -y
    out_weights, out_biases = [None] * len(weights), [None] * len(weights)
    for l in range(last, -1, -1):
        mean = delta * (1 / len(delta))
        out_weights[l] = jnp.linalg.inv(weights[l]).T + mean.T @ tape[l][0]
        out_biases[l] = mean.sum(0)
        if l > 0:
            _, slope, score = tape[l - 1]
            delta = slope * (delta @ weights[l]) + score
    return out_weights, out_biases


def log_likelihood(parameters, x):
    weights, biases = parameters
    z, log = x, 0
    for l, (weight, bias) in enumerate(zip(weights, biases)):
        y = z @ weight.T + bias
        log += jnp.linalg.slogdet(weight)[1]
        if l + 1 < len(weights):
            log += jnp.log(ALPHA + (1 - ALPHA) * jax.nn.sigmoid(y)).sum(1).mean()
            z = ALPHA * y + (1 - ALPHA) * jax.nn.softplus(y)
    return log - 0.5 * (y**2).sum(1).mean()


def adam(gradient, state, x, rate):
    """One ascent step; the moments' bias corrections are folded into rate and epsilon."""
    parameters, first, second, step = state
    step = step + 1
    correction = jnp.sqrt(1 - 0.999**step)
    size, epsilon = rate * correction / (1 - 0.9**step), 1e-8 * correction
    moved = gradient(parameters, x)
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, moved)
    second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, moved)
    parameters = jax.tree.map(
        lambda w, m, v: w + size * m / (jnp.sqrt(v) + epsilon), parameters, first, second
    )
    return parameters, first, second, step
