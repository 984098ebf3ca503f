"""Layers for training that compute what Keras's stock layers compute, in fewer passes over memory (TensorFlow, CPU).

The names are those of keras.layers, so that `model.unet` is built from either. None of these reaches a file: `model.save`
copies the weights into stock layers. Importing this imports TensorFlow.

What it buys in a bfloat16 step (width 16, four 512x512 photographs, one core of a Xeon with AMX, least of eight, or of ten
for the last): gradient of ReLU 1011 -> 944 ms, of the last layer -> 922 ms; the way up, on a busy machine, a further
1389 -> 1184 ms. With AVX512_BF16 alone (two cores of an AMD EPYC, medians of eight in turns) gradients of kernels in strips:
229 -> 216 ms a photograph, at width 32 830 -> 785. In a float32 step on AVX2 (likewise, medians of six) gradients of kernels as
matrix products: 931 -> 755 ms a photograph.
"""

import math

import keras
import tensorflow as tf
from keras.layers import MaxPooling2D

from model import composed, processor_flags

AVX2_ALONE = processor_flags() & {"avx2", "avx512f"} == {"avx2"}

__all__ = ["BatchNormalization", "Concatenate", "Conv2D", "Conv2DTranspose", "MaxPooling2D", "ReLU"]


class BatchNormalization(keras.layers.BatchNormalization):
    """By TensorFlow's fused operation: the same numbers, moving statistics included.

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
    """With a bfloat16 gradient that is computed on integers."""

    def call(self, inputs):
        return _relu(inputs) if inputs.dtype == tf.bfloat16 else super().call(inputs)


@tf.custom_gradient
def _relu(inputs):
    outputs = tf.nn.relu(inputs)

    def gradient(upstream):
        # A bfloat16 is above zero where the int16 of its bits is, and TensorFlow passes or blanks integers twice as fast
        bits = _apart(lambda up, out: tf.raw_ops.ReluGrad(gradients=up, features=out),
                      tf.bitcast(upstream, tf.int16), tf.bitcast(outputs, tf.int16))
        return tf.bitcast(bits, tf.bfloat16)

    return outputs, gradient


def _apart(operation, *tensors):
    """operation(*tensors), kept from writing its result over one of them: in place it is not vectorized, 7 times slower.

    A list holds on to the tensors until the result is there.
    """
    held = tf.raw_ops.EmptyTensorList(element_shape=-1, max_num_elements=-1, element_dtype=tensors[0].dtype)
    for tensor in (*tensors, operation(*tensors)):
        held = tf.raw_ops.TensorListPushBack(input_handle=held, tensor=tensor)
    result = tf.raw_ops.TensorListPopBack(input_handle=held, element_shape=-1, element_dtype=tensors[0].dtype)[1]
    return tf.ensure_shape(result, tensors[0].shape)


class Conv2DTranspose(keras.layers.Conv2DTranspose):
    """Puts its work off: hands on its inputs and its kernel, (N, H, W, 2C) and (2, 2, C, 2C), for Conv2D."""

    def call(self, inputs):
        return inputs, tf.convert_to_tensor(self.kernel)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, self.compute_dtype), keras.KerasTensor(self.kernel.shape, self.compute_dtype)


class Concatenate(keras.layers.Layer):
    """Puts its work off: hands on [skip, (below, its kernel)] as it is."""

    def call(self, inputs):
        return inputs


class Conv2D(keras.layers.Conv2D):
    """Does what Conv2DTranspose and Concatenate put off; and a 1x1 convolution in float32 takes bfloat16 as it is."""

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
        if inputs.dtype == tf.bfloat16 and self.compute_dtype == "float32" and self.kernel_size == (1, 1):
            return _widen(inputs, tf.convert_to_tensor(kernel))
        if _by_products(kernel) or _strips(inputs) > 1:
            return _convolve(inputs, tf.convert_to_tensor(kernel))
        return super().convolution_op(inputs, kernel)


def _grow_join_convolve(skip, below, grow, kernel):
    """Transposed convolution of `below`, concatenation behind `skip`, convolution: what two convolutions can do alone.

    (N, H, W, C), (N, H/2, W/2, 2C), (2, 2, C, 2C), (3, 3, 2C, K) -> (N, H, W, K). A convolution of a concatenation is the
    sum of two; and that of a transposed convolution with stride 2 is itself one, of 4x4: 15 % fewer multiplications, and
    neither the grown nor the joined layer is ever written.
    """
    channels = skip.shape[-1]
    through = composed(grow, kernel[:, :, channels:])
    size = tf.concat([tf.shape(skip)[:-1], tf.shape(kernel)[-1:]], 0)
    return _convolve_and_add(skip, kernel[:, :, :channels], _convolve_transposed(below, through, size))


@tf.custom_gradient
def _convolve_transposed(below, through, size):
    """conv2d_transpose(below, through, size, 2): (N, H/2, W/2, 2C), (4, 4, K, 2C) -> (N, H, W, K)."""

    def gradient(upstream):
        return tf.nn.conv2d(upstream, through, 2, "SAME"), _kernel_gradient(upstream, through, below, 2), None

    return tf.nn.conv2d_transpose(below, through, size, 2, "SAME"), gradient


@tf.custom_gradient
def _convolve_and_add(inputs, kernel, addend):
    """conv2d(inputs, kernel) + addend. A sum that follows a convolution with a bias costs nothing: it is fused into it."""

    def convolve(tensor, weights):
        nothing = tf.minimum(tf.abs(weights[0, 0, 0]), 0)  # a bias that the graph's optimizer does not know to be zero
        return tf.nn.bias_add(tf.nn.conv2d(tensor, weights, 1, "SAME"), nothing)

    def gradient(upstream):
        # as a convolution too, since the gradient that comes through the pooling is added to it
        inputs_gradient = convolve(upstream, tf.transpose(kernel[::-1, ::-1], (0, 1, 3, 2)))
        return inputs_gradient, _kernel_gradient(inputs, kernel, upstream), upstream

    return convolve(inputs, kernel) + addend, gradient


@tf.custom_gradient
def _convolve(inputs, kernel):
    """conv2d(inputs, kernel) of a kernel whose gradient is computed here."""

    def gradient(upstream):
        return _inputs_gradient(inputs, kernel, upstream), _kernel_gradient(inputs, kernel, upstream)

    return tf.nn.conv2d(inputs, kernel, 1, "SAME"), gradient


def _inputs_gradient(inputs, kernel, upstream):
    """Of conv2d(inputs, kernel): (N, H, W, C), (R, R, C, K), (N, H, W, K) -> (N, H, W, C)."""
    return tf.raw_ops.Conv2DBackpropInput(input_sizes=tf.shape(inputs), filter=kernel, out_backprop=upstream,
                                          strides=[1] * 4, padding="SAME")


def _by_products(kernel):
    """Whether matrix products give this kernel's gradient faster: on AVX2 oneDNN's own is up to 2.6 times slower."""
    return AVX2_ALONE and kernel.dtype == "float32" and kernel.shape[:2] == (3, 3) and kernel.shape[2] * kernel.shape[3] >= 512


def _strips(inputs):
    """Into how many strips of an even number of rows (N, H, W, C) is cut for the gradient of a kernel; 1: it stays whole.

    In bfloat16 oneDNN first turns each photograph around as a whole, and more than two megabytes leave the cache again
    before they are used.
    """
    strips = 1
    if inputs.dtype == tf.bfloat16 and None not in inputs.shape[1:]:
        while 2 * math.prod(inputs.shape[1:]) > strips << 21 and inputs.shape[1] % (4 * strips) == 0:
            strips *= 2
    return strips


def _kernel_gradient(inputs, kernel, upstream, stride=1):
    """Of conv2d(inputs, kernel, stride): (N, sH, sW, C), (R, R, C, K), (N, H, W, K) -> (R, R, C, K)."""
    if _by_products(kernel):
        return _kernel_gradient_by_products(inputs, kernel, upstream)

    def computed(inputs, upstream):
        return tf.raw_ops.Conv2DBackpropFilter(input=inputs, filter_sizes=kernel.shape, out_backprop=upstream,
                                               strides=[1, stride, stride, 1], padding="SAME")

    strips = _strips(inputs)
    if strips == 1 or kernel.shape[0] == 1:
        return computed(inputs, upstream)
    _, rows, columns, channels = inputs.shape
    seen = tf.reshape(inputs, (-1, strips, rows // strips, columns, channels))
    told = tf.reshape(upstream, (-1, strips, rows // strips // stride, columns // stride, kernel.shape[3]))
    # Across a cut the kernel's outermost rows alone see something
    cuts = [tf.concat([part[:, :-1, -few:], part[:, 1:, :few]], 2) for part, few in ((seen, stride), (told, 1))]
    within, across = (computed(*(tf.reshape(part, (-1, *part.shape[2:])) for part in pair)) for pair in ((seen, told), cuts))
    return tf.concat([within[:1] + across[:1], within[1:-1], within[-1:] + across[-1:]], 0)


def _kernel_gradient_by_products(inputs, kernel, upstream):
    """Of conv2d(inputs, kernel), 3x3."""
    # Pixels in a row, black ones around each picture: what the kernel's nine places saw of them is the same row, shifted
    seen, told = (tf.reshape(tf.pad(part, [[0, 0], [1, 1], [1, 1], [0, 0]]), (-1, part.shape[-1])) for part in (inputs, upstream))
    width = tf.shape(inputs)[2] + 2
    count = tf.shape(seen)[0] - 2 * (width + 1)
    told = told[width + 1:width + 1 + count]
    places = [row * width + column for row in range(3) for column in range(3)]
    products = [tf.matmul(seen[place:place + count], told, transpose_a=True) for place in places]
    return tf.reshape(tf.stack(products), kernel.shape)


@tf.custom_gradient
def _widen(inputs, kernel):
    """(N, H, W, C) bfloat16, (1, 1, C, K) float32 -> (N, H, W, K) float32."""

    def gradient(upstream):
        narrow = tf.cast(upstream, inputs.dtype)
        inputs_gradient = _inputs_gradient(inputs, tf.cast(kernel, inputs.dtype), narrow)
        return inputs_gradient, tf.cast(_kernel_gradient(inputs, kernel, narrow), kernel.dtype)

    return tf.nn.conv2d(tf.cast(inputs, kernel.dtype), kernel, 1, "SAME"), gradient
