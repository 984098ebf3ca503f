"""The network as it predicts against the one that was trained."""

import numpy as np
import pytest
import tensorflow as tf
from networks import DEPTH, WIDTH, shaken, squares

from model import unet
from prediction.folded_network import compiled, folded


@pytest.fixture(scope="module")
def network():
    return shaken(unet(WIDTH, DEPTH))


def test_folding_keeps_the_probabilities(network):
    twin = folded(network)
    assert not any("Normalization" in type(layer).__name__ for layer in twin.layers)
    assert np.asarray(network(squares())).std() > 0.01
    np.testing.assert_allclose(network(squares()), twin(squares()), atol=1e-5)
    np.testing.assert_allclose(network(squares()), folded(network, "bfloat16")(squares()), atol=0.05)


@pytest.mark.parametrize("precision, tolerance", [("float32", 1e-5), ("bfloat16", 0.05)])
def test_the_compiled_network_gives_the_same(network, precision, tolerance):
    function = compiled(folded(network, precision), squares().shape)
    found = function(tf.cast(squares(), precision))
    assert found.dtype == tf.float32
    np.testing.assert_allclose(network(squares()), found, atol=tolerance)
