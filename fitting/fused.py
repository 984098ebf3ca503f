"""Layers for training on processors that compute what Keras's own compute, in fewer passes over memory.

Their names are those of keras.layers, so that fitting/layers.py can put them in place of those. None of them
reaches a file, since checkpoint.save copies the weights into stock layers.

What they save of a bfloat16 step (width 16, four 512x512 photographs, one core of a Xeon with AMX, least of
eight): the gradient of ReLU 1011 -> 944 ms, that of the last layer -> 922 ms; the way up, on a busier
machine, 1389 -> 1184 ms.
"""

import math

import keras
import tensorflow as tf

from fitting.kernel_gradient import by_products, inputs_gradient, kernel_gradient, strips_of
from prediction.folded_network import composed

__all__ = ["BatchNormalization", "Concatenate", "Conv2D", "Conv2DTranspose", "ReLU"]


class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's by TensorFlow's fused operation: the same numbers, moving statistics included.

    Keras 3 computes moments and scale in separate float32 passes, a third of a training step in bfloat16.
    """

    def call(self, inputs, training=None, mask=None):
        statistics = (None, None) if training else (self.moving_mean, self.moving_variance)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma, self.beta, *statistics, epsilon=self.epsilon, is_training=bool(training))
        if training:
            self._remember(mean, variance, tf.cast(tf.size(inputs) / tf.shape(inputs)[-1], "float32"))
        return outputs

    def _remember(self, mean, variance, count):
        biased = variance * (count - 1) / count  # the operation applies Bessel's correction, Keras does not
        for kept, new in ((self.moving_mean, mean), (self.moving_variance, biased)):
            kept.assign(kept * self.momentum + new * (1 - self.momentum))


class ReLU(keras.layers.ReLU):
    """Keras's, with a bfloat16 gradient that is computed on integers."""

    def call(self, inputs):
        return _relu(inputs) if inputs.dtype == tf.bfloat16 else super().call(inputs)


@tf.custom_gradient
def _relu(inputs):
    outputs = tf.nn.relu(inputs)

    def gradient(upstream):
        # A bfloat16 is above zero where the int16 of its bits is, and integers are passed on twice as fast.
        bits = _not_in_place(lambda up, out: tf.raw_ops.ReluGrad(gradients=up, features=out),
                             tf.bitcast(upstream, tf.int16), tf.bitcast(outputs, tf.int16))
        return tf.bitcast(bits, tf.bfloat16)

    return outputs, gradient


def _not_in_place(operation, *tensors):
    """Returns operation(*tensors), kept from writing over one of them: in place it is 7 times slower.

    A list holds on to the tensors until the result is there.
    """
    kind = tensors[0].dtype
    held = tf.raw_ops.EmptyTensorList(element_shape=-1, max_num_elements=-1, element_dtype=kind)
    for tensor in (*tensors, operation(*tensors)):
        held = tf.raw_ops.TensorListPushBack(input_handle=held, tensor=tensor)
    result = tf.raw_ops.TensorListPopBack(input_handle=held, element_shape=-1, element_dtype=kind)[1]
    return tf.ensure_shape(result, tensors[0].shape)


class Conv2DTranspose(keras.layers.Conv2DTranspose):
    """Leaves its work to Conv2D: hands on its inputs and its kernel, (N, H, W, 2C) and (2, 2, C, 2C)."""

    def call(self, inputs):
        return inputs, tf.convert_to_tensor(self.kernel)

    def compute_output_spec(self, inputs):
        shapes = inputs.shape, self.kernel.shape
        return tuple(keras.KerasTensor(shape, self.compute_dtype) for shape in shapes)


class Concatenate(keras.layers.Layer):
    """Leaves its work to Conv2D: hands on [skip, (below, its kernel)]."""

    def __init__(self, axis=-1, **settings):
        super().__init__(**settings)

    def call(self, inputs):
        return inputs


class Conv2D(keras.layers.Conv2D):
    """Keras's, and what Conv2DTranspose and Concatenate leave to it.

    A 1x1 convolution in float32 takes bfloat16 as it is.
    """

    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        self.autocast = self.compute_dtype != "float32"
        self.input_spec = None

    def build(self, input_shape):
        joined = isinstance(input_shape[0], (tuple, list))
        if joined:
            skip, (_, grow) = input_shape
            input_shape = (*skip[:-1], skip[-1] + grow[2])
        super().build(input_shape)
        self.input_spec = None

    def compute_output_spec(self, inputs):
        skip = inputs[0] if isinstance(inputs, (tuple, list)) else inputs
        return keras.KerasTensor((*skip.shape[:-1], self.filters), self.compute_dtype)

    def call(self, inputs):
        if isinstance(inputs, (tuple, list)):
            skip, (below, grow) = inputs
            return _grow_join_convolve(skip, below, grow, tf.convert_to_tensor(self.kernel))
        return super().call(inputs)

    def convolution_op(self, inputs, kernel):
        widens = inputs.dtype == tf.bfloat16 and self.compute_dtype == "float32"
        if widens and self.kernel_size == (1, 1):
            return _widen(inputs, tf.convert_to_tensor(kernel))
        if by_products(kernel) or strips_of(inputs) > 1:
            return _convolve(inputs, tf.convert_to_tensor(kernel))
        return super().convolution_op(inputs, kernel)


def _grow_join_convolve(skip, below, grow, kernel):
    """Returns the convolution of `skip` concatenated with the transposed convolution of `below`.

    (N, H, W, C), (N, H/2, W/2, 2C), (2, 2, C, 2C), (3, 3, 2C, K) -> (N, H, W, K). Two convolutions do it:
    that of a concatenation is the sum of two, and that of a transposed convolution with stride 2 is itself
    one, of 4x4. This saves 15 % of the multiplications, and the grown and the joined layer are never written.
    """
    channels = skip.shape[-1]
    by_skip, by_grown = kernel[:, :, :channels], kernel[:, :, channels:]
    if _composing_pays(below, grow, by_grown):
        size = tf.concat([tf.shape(skip)[:-1], tf.shape(kernel)[-1:]], 0)
        addend = _convolve_transposed(below, composed(grow, by_grown), size)
    else:
        addend = _convolve(tf.nn.conv2d_transpose(below, grow, tf.shape(skip), 2), by_grown)
    return _convolve_and_add(skip, by_skip, addend)


def _composing_pays(below, grow, kernel):
    """Returns whether to compose two kernels takes fewer multiplications than it saves in a step.

    In bfloat16 nothing else was tried. Crops of 256 in twos have too few pixels at the lowest level of width
    16; a step of them takes 478 ms with, 457 ms without (float32 by AVX2, medians of five in turns).
    """
    if below.dtype == tf.bfloat16 or None in below.shape:
        return True
    pixels, (grown, channels), filters = math.prod(below.shape[:-1]), grow.shape[2:], kernel.shape[-1]
    apart = 4 * channels * grown + 4 * 9 * grown * filters
    return 4 * 9 * channels * grown * filters < pixels * (apart - 16 * channels * filters)


@tf.custom_gradient
def _convolve_transposed(below, through, size):
    """Returns conv2d_transpose with stride 2: (N, H/2, W/2, 2C), (4, 4, K, 2C) -> (N, H, W, K)."""

    def gradient(upstream):
        return tf.nn.conv2d(upstream, through, 2, "SAME"), kernel_gradient(upstream, through, below, 2), None

    return tf.nn.conv2d_transpose(below, through, size, 2, "SAME"), gradient


@tf.custom_gradient
def _convolve_and_add(inputs, kernel, addend):
    """Returns conv2d(inputs, kernel) + addend: a sum that is fused into a convolution with a bias is free."""

    def convolve(tensor, weights):
        zero = tf.minimum(tf.abs(weights[0, 0, 0]), 0)  # a bias that the graph's optimizer cannot foresee
        return tf.nn.bias_add(tf.nn.conv2d(tensor, weights, 1, "SAME"), zero)

    def gradient(upstream):
        # A convolution with a bias too, since the gradient that comes through the pooling is added to it.
        by_inputs = convolve(upstream, tf.transpose(kernel[::-1, ::-1], (0, 1, 3, 2)))
        return by_inputs, kernel_gradient(inputs, kernel, upstream), upstream

    return convolve(inputs, kernel) + addend, gradient


@tf.custom_gradient
def _convolve(inputs, kernel):
    """Returns conv2d(inputs, kernel), whose gradient by the kernel is computed here."""

    def gradient(upstream):
        return inputs_gradient(inputs, kernel, upstream), kernel_gradient(inputs, kernel, upstream)

    return tf.nn.conv2d(inputs, kernel, 1, "SAME"), gradient


@tf.custom_gradient
def _widen(inputs, kernel):
    """Returns conv2d(inputs, kernel): (N, H, W, C) bfloat16, (1, 1, C, K) float32 -> (N, H, W, K) float32."""

    def gradient(upstream):
        narrow = tf.cast(upstream, inputs.dtype)
        by_inputs = inputs_gradient(inputs, tf.cast(kernel, inputs.dtype), narrow)
        return by_inputs, tf.cast(kernel_gradient(inputs, kernel, narrow), kernel.dtype)

    return tf.nn.conv2d(tf.cast(inputs, kernel.dtype), kernel, 1, "SAME"), gradient
