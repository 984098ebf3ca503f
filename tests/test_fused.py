"""The layers and gradients for processors against Keras's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import DEPTH, WIDTH, shaken, squares

from fitting import fused, kernel_gradient
from fitting.layers import trainable
from model import copy_weights, unet


@pytest.fixture(params=["whole", "by products", "in strips", "not composed"])
def way(request, monkeypatch):
    """How gradients of kernels, and convolutions on the way up, are computed."""
    monkeypatch.setattr(kernel_gradient, "AVX2_ALONE", request.param == "by products")
    monkeypatch.setattr(fused, "_composing_pays", lambda *arguments: request.param != "not composed")
    if request.param == "in strips":
        for module in (fused, kernel_gradient):
            monkeypatch.setattr(module, "strips_of", lambda inputs: 4 if inputs.shape[1] % 8 == 0 else 1)
    return request.param


# ---- the whole network -------------------------------------------------------------------------------------

def trained(network, steps=3):
    network.compile(keras.optimizers.SGD(0.01), "mse", jit_compile=False)
    reference = (squares(4, seed=3)[..., :1] > 0.6).astype("float32")
    for _ in range(steps):
        network.train_on_batch(squares(4, seed=2), reference)


def test_training_the_fused_network_is_training_the_stock_one(way):
    keras.utils.set_random_seed(0)
    stock = shaken(unet(WIDTH, DEPTH))
    ours = trainable(stock)
    copy_weights(stock, ours)
    trained(stock)
    trained(ours)
    for of_stock, of_ours in zip(stock.weights, ours.weights, strict=True):
        np.testing.assert_allclose(of_stock, of_ours, rtol=1e-5, atol=1e-5, err_msg=of_stock.path)
    np.testing.assert_allclose(stock(squares()), ours(squares()), atol=1e-5)


def test_bfloat16_stays_close_to_float32():
    network = shaken(unet(WIDTH, DEPTH))
    half = trainable(network, "bfloat16")
    copy_weights(network, half)
    difference = np.abs(np.asarray(network(squares())) - np.asarray(half(squares())))
    assert 0 < difference.max() < 0.05


def test_probabilities_are_float32_and_finer_than_bfloat16():
    output = trainable(unet(WIDTH, DEPTH), "bfloat16")(squares(1))
    assert output.dtype == tf.float32
    assert not np.array_equal(output, tf.cast(tf.cast(output, tf.bfloat16), tf.float32))


# ---- single layers -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("training", [True, False])
def test_fused_normalization_is_keras_normalization(training):
    inputs = tf.constant(np.random.default_rng(0).normal(2, 3, (3, 7, 5, 6)).astype("float32"))
    weight = np.random.default_rng(1).random((3, 7, 5, 6)).astype("float32")
    results = []
    for kind in (keras.layers.BatchNormalization, fused.BatchNormalization):
        layer = kind(momentum=0.8)
        layer.build(inputs.shape)
        layer.set_weights([np.random.default_rng(2).random(6) + 0.5 for _ in range(4)])
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, training=training)
            loss = tf.reduce_sum(outputs * weight)
        gradients = tape.gradient(loss, [inputs, layer.gamma.value, layer.beta.value])
        results.append([outputs, *gradients, *layer.get_weights()])
    for stock, ours in zip(*results, strict=True):
        np.testing.assert_allclose(stock, ours, rtol=1e-5, atol=1e-5)


def gradients(layer, inputs, weight):
    """(outputs, gradient by the inputs, gradients by the layer's weights) of sum(outputs * weight)."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs)
        loss = tf.reduce_sum(tf.cast(outputs, "float32") * weight)
    variables = [variable.value for variable in layer.trainable_variables]
    return outputs, *tape.gradient(loss, [inputs, *variables])


def test_the_gradient_of_relu_is_keras_gradient():
    inputs = tf.cast(np.random.default_rng(0).normal(size=(2, 8, 8, 4)), "bfloat16")
    inputs = tf.where(tf.abs(inputs) < 0.2, tf.zeros_like(inputs), inputs)
    weight = np.random.default_rng(1).normal(size=(2, 8, 8, 4)).astype("float32")
    for run in (gradients, tf.function(gradients)):
        for ours, stock in zip(run(fused.ReLU(dtype="bfloat16"), inputs, weight),
                               run(keras.layers.ReLU(dtype="bfloat16"), inputs, weight), strict=True):
            assert ours.dtype == stock.dtype == tf.bfloat16 and np.array_equal(ours, stock)


def test_the_last_layer_gives_keras_values_and_gradients_to_the_precision_of_bfloat16():
    inputs = tf.cast(np.random.default_rng(0).normal(size=(2, 8, 8, 4)), "bfloat16")
    weight = np.random.default_rng(1).normal(size=(2, 8, 8, 1)).astype("float32")
    results = []
    for kind in (fused.Conv2D, keras.layers.Conv2D):
        layer = kind(1, 1, activation="sigmoid", dtype="float32")
        layer.build(inputs.shape)
        layer.set_weights([np.full((1, 1, 4, 1), 0.3), np.full(1, 0.1)])
        results.append(gradients(layer, inputs, weight))
    (ours, *our_gradients), (stock, *stock_gradients) = results
    assert ours.dtype == tf.float32 and np.array_equal(ours, stock)
    for of_ours, of_stock in zip(our_gradients, stock_gradients, strict=True):
        assert of_ours.dtype == of_stock.dtype
        of_ours, of_stock = tf.cast(of_ours, "float32"), tf.cast(of_stock, "float32")
        np.testing.assert_allclose(of_ours, of_stock, rtol=0.02, atol=0.01)


@pytest.mark.parametrize("rows", [7, 8])
def test_a_kernels_gradient_is_keras_gradient(way, rows):
    inputs = tf.constant(np.random.default_rng(0).normal(size=(2, rows, 10, 16)).astype("float32"))
    weight = np.random.default_rng(1).normal(size=(2, rows, 10, 32)).astype("float32")
    results = []
    for kind in (fused.Conv2D, keras.layers.Conv2D):
        layer = kind(32, 3, padding="same", use_bias=False)
        layer.build(inputs.shape)
        layer.set_weights([np.random.default_rng(2).normal(size=(3, 3, 16, 32))])
        results.append(tf.function(gradients)(layer, inputs, weight))
        assert kernel_gradient.by_products(layer.kernel) == (way == "by products")
    for ours, stock in zip(*results, strict=True):
        np.testing.assert_allclose(ours, stock, rtol=1e-5, atol=1e-4)


def test_kernels_are_composed_where_that_saves_multiplications():
    grow, kernel = tf.zeros((2, 2, 128, 256)), tf.zeros((3, 3, 128, 128))
    # a pixel below takes 720,896 multiplications apart, 524,288 composed; composing takes 150,994,944
    for pixels, pays in (((2, 16, 16), False), ((1, 16, 48), False),
                         ((1, 16, 49), True), ((4, 32, 32), True)):
        assert fused._composing_pays(tf.zeros((*pixels, 256)), grow, kernel) == pays
    assert fused._composing_pays(tf.zeros((2, 16, 16, 256), "bfloat16"), grow, kernel)


def test_only_large_photographs_in_bfloat16_are_cut_in_strips():
    for shape, precision, strips in [
            ((1, 512, 512, 16), "bfloat16", 4), ((4, 512, 512, 16), "bfloat16", 4),
            ((1, 256, 256, 16), "bfloat16", 1), ((1, 510, 512, 16), "bfloat16", 1),
            ((1, 512, 512, 16), "float32", 1), ((None, None, None, 16), "bfloat16", 1)]:
        assert kernel_gradient.strips_of(keras.KerasTensor(shape, precision)) == strips
