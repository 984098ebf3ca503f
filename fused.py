"""Layers for training that compute what Keras's stock layers compute, in fewer passes over memory (TensorFlow, CPU).

They never reach a file: `model.save` copies the weights into stock layers. Importing this imports TensorFlow.
"""

import keras
import tensorflow as tf


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """keras.layers.BatchNormalization by TensorFlow's fused operation: the same numbers, moving statistics included.

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
