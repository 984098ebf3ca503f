"""The network as it predicts: batch normalizations folded into convolutions, compiled for one size of square.

    network = folded(model, precision)                a U-Net of fewer operations with the same probabilities
    function = compiled(network, (2, 912, 912, 3))    the same as a function of tensors of exactly this shape
"""

import keras
import tensorflow as tf
from keras import layers, ops

from model import PROBABILITY, shape_of
from running.machine import gpu_capabilities


def folded(model, precision="float32"):
    """Returns a U-Net for prediction that gives the probabilities of `model` from fewer operations.

    Batch normalizations go into the convolutions before them: gamma (w * x - mean) / s + beta =
    (gamma w / s) * x + (beta - gamma mean / s), with s = sqrt(variance + epsilon). On the way up, the
    convolution of a concatenation is the sum of two, and that of a transposed convolution with stride 2 is
    itself one, of 4x4.
    """
    width, depth = shape_of(model)
    weights = {layer.name: layer.get_weights() for layer in model.layers}
    for name in [name for name in weights if f"{name}_normalization" in weights]:
        gamma, beta, mean, variance = weights[f"{name}_normalization"]
        scale = gamma / (variance + model.get_layer(f"{name}_normalization").epsilon) ** 0.5
        weights[name] = [weights[name][0] * scale, beta - mean * scale]
    for level in range(depth):
        kernel, bias = weights[f"up{level}_1"]
        weights[f"up{level}_1"] = [kernel[:, :, :width << level], bias]
        grow = weights[f"up{level}_grow"][0]
        weights[f"up{level}_grow"] = [composed(grow, kernel[:, :, width << level:])]
    twin = folded_unet(width, depth, precision)
    for layer in twin.layers:
        if layer.weights:
            layer.set_weights(weights[layer.name])
    return twin


def folded_unet(width, depth, precision):
    """Returns model.unet's twin without batch normalization, which adds where model.unet concatenates.

    Its weights and its input are of that precision too: kept in float32 they would take 60 MB more.
    """
    def convolve(x, channels, name, activation="relu"):
        return layers.Conv2D(channels, 3, padding="same", activation=activation, kernel_initializer="zeros",
                             dtype=precision, name=name)(x)

    x = inputs = keras.Input((None, None, 3), dtype=precision, name="photograph")
    skips = []
    for level in range(depth):
        x = convolve(convolve(x, width << level, f"down{level}_1"), width << level, f"down{level}_2")
        skips.append(x)
        x = layers.MaxPooling2D(dtype=precision, name=f"pool{level}")(x)
    x = convolve(convolve(x, width << depth, "bottom_1"), width << depth, "bottom_2")
    for level in reversed(range(depth)):
        x = layers.Conv2DTranspose(width << level, 4, strides=2, padding="same", use_bias=False,
                                   dtype=precision, name=f"up{level}_grow")(x)
        skip = convolve(skips[level], width << level, f"up{level}_1", activation=None)
        x = layers.Add(dtype=precision, name=f"up{level}_sum")([skip, x])
        x = layers.ReLU(dtype=precision, name=f"up{level}_relu")(x)
        x = convolve(x, width << level, f"up{level}_2")
    # float32: bfloat16 has 8 bits of mantissa, and thresholds and ROC curves would turn into stairs.
    outputs = layers.Conv2D(1, 1, activation="sigmoid", dtype="float32", name=PROBABILITY)(x)
    return keras.Model(inputs, outputs, name="unet")


def composed(grow, kernel):
    """Returns one transposed convolution of stride 2 in place of two operations.

    (2, 2, C, I), transposed with stride 2, and then (3, 3, C, K) -> (4, 4, K, I), transposed with stride 2.
    """
    turned = ops.transpose(kernel[::-1, ::-1], (0, 1, 3, 2))
    both = ops.conv_transpose(ops.transpose(grow, (3, 0, 1, 2)), turned, strides=1, padding="valid")
    return ops.transpose(both, (1, 2, 3, 0))


def compiled(network, shape):
    """Returns a folded network as a function of tensors of exactly this shape.

    (N, S, S, 3) in the network's precision -> (N, S, S, 1) float32. If the size is known, TensorFlow fuses
    the sums on the way up. Weights that are constants are turned to the layout of the convolutions once and
    not at every call, which saves an eighth of the time of a square of 512. On a processor the last layer, in
    float32, is left to XLA, which makes one pass of it: 6 % of the time of two squares.
    """
    features, last = keras.Model(network.input, network.layers[-2].output), network.layers[-1]
    weights, (kernel, bias) = [weight.numpy() for weight in features.variables], last.get_weights()

    @tf.function(autograph=False, jit_compile=not gpu_capabilities())
    def probability(seen):
        products = tf.cast(seen, tf.float32) * kernel[0, 0, :, 0]
        return tf.sigmoid(tf.reduce_sum(products, -1, keepdims=True) + bias)

    @tf.function(autograph=False)
    def function(squares):
        constants = [tf.constant(weight) for weight in weights]
        return probability(features.stateless_call(constants, [], squares, training=False)[0])

    return function.get_concrete_function(tf.TensorSpec(shape, network.input.dtype))
