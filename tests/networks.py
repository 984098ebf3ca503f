"""Networks and inputs that several test files share."""

import numpy as np

WIDTH, DEPTH = 4, 2


def shaken(network, seed=0):
    """The network with all biases and statistics away from their initial values: none can be forgotten."""
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        layer.set_weights([weights + 0.3 * (weights.ndim == 1) * rng.random(weights.shape, np.float32)
                           for weights in layer.get_weights()])
    return network


def squares(count=2, height=32, width=48, seed=1):
    """(count, height, width, 3) float32 in [0, 1]."""
    return np.random.default_rng(seed).random((count, height, width, 3), dtype=np.float32)
