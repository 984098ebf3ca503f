"""The gradient of a convolution by its kernel on processors: whole, in strips, or by matrix products.

In strips (bfloat16 by AVX512_BF16 alone, two cores of an AMD EPYC, medians of eight) a training step took
229 -> 216 ms a photograph, at width 32 830 -> 785 ms. By matrix products (float32 by AVX2, likewise, medians
of six) it took 931 -> 755 ms.
"""

import math

import tensorflow as tf

from running.machine import processor_flags

AVX2_ALONE = processor_flags() & {"avx2", "avx512f"} == {"avx2"}
LARGE = 1 << 21  # bytes of a photograph in bfloat16


def kernel_gradient(inputs, kernel, upstream, stride=1):
    """Returns the gradient of conv2d(inputs, kernel, stride) by the kernel, (R, R, C, K).

    inputs: (N, stride H, stride W, C). upstream: the gradient by the outputs, (N, H, W, K).
    """
    if by_products(kernel):
        return _by_matrix_products(inputs, kernel, upstream)
    strips = strips_of(inputs)
    if strips == 1 or kernel.shape[0] == 1:
        return _whole(inputs, kernel, upstream, stride)
    return _in_strips(inputs, kernel, upstream, stride, strips)


def by_products(kernel):
    """Whether matrix products are faster here: with AVX2 alone oneDNN's way takes up to 2.6 times as long."""
    large = kernel.shape[:2] == (3, 3) and kernel.shape[2] * kernel.shape[3] >= 512
    return AVX2_ALONE and kernel.dtype == "float32" and large


def strips_of(inputs):
    """Returns into how many strips, each of an even number of rows, (N, H, W, C) is cut; 1 if it stays whole.

    In bfloat16 oneDNN first turns each photograph around as a whole, and what is more than LARGE has left the
    cache again before it is used.
    """
    strips = 1
    if inputs.dtype == tf.bfloat16 and None not in inputs.shape[1:]:
        while 2 * math.prod(inputs.shape[1:]) > strips * LARGE and inputs.shape[1] % (4 * strips) == 0:
            strips *= 2
    return strips


def inputs_gradient(inputs, kernel, upstream):
    """Returns the gradient of conv2d(inputs, kernel) by the inputs, (N, H, W, C)."""
    return tf.raw_ops.Conv2DBackpropInput(input_sizes=tf.shape(inputs), filter=kernel, out_backprop=upstream,
                                          strides=[1] * 4, padding="SAME")


def _whole(inputs, kernel, upstream, stride):
    return tf.raw_ops.Conv2DBackpropFilter(input=inputs, filter_sizes=kernel.shape, out_backprop=upstream,
                                           strides=[1, stride, stride, 1], padding="SAME")


def _in_strips(inputs, kernel, upstream, stride, strips):
    _, rows, columns, channels = inputs.shape
    seen = tf.reshape(inputs, (-1, strips, rows // strips, columns, channels))
    given = tf.reshape(upstream, (-1, strips, rows // strips // stride, columns // stride, kernel.shape[3]))
    # Across a cut the kernel's outermost rows alone see something.
    cuts = [tf.concat([part[:, :-1, -few:], part[:, 1:, :few]], 2)
            for part, few in ((seen, stride), (given, 1))]

    def gradient(*pair):
        images, gradients = (tf.reshape(part, (-1, *part.shape[2:])) for part in pair)
        return _whole(images, kernel, gradients, stride)

    within, across = gradient(seen, given), gradient(*cuts)
    return tf.concat([within[:1] + across[:1], within[1:-1], within[-1:] + across[-1:]], 0)


def _by_matrix_products(inputs, kernel, upstream):
    """For a kernel of 3x3 and stride 1.

    With all pixels in a row and black ones around each photograph, what the kernel's nine places saw is the
    same row, shifted.
    """
    around = [[0, 0], [1, 1], [1, 1], [0, 0]]
    seen, given = (tf.reshape(tf.pad(part, around), (-1, part.shape[-1])) for part in (inputs, upstream))
    width = tf.shape(inputs)[2] + 2
    count = tf.shape(seen)[0] - 2 * (width + 1)
    given = given[width + 1:width + 1 + count]
    shifts = [row * width + column for row in range(3) for column in range(3)]
    products = [tf.matmul(seen[shift:shift + count], given, transpose_a=True) for shift in shifts]
    return tf.reshape(tf.stack(products), kernel.shape)
