"""Batch normalisation in one kernel where the backend has one, and Keras's own elsewhere.

Keras computes moments, normalises and scales step by step, each over the whole tensor; on TensorFlow's CPU kernels that
was two fifths of a training step of EfficientNet-Lite0. The mathematics is the same (Ioffe and Szegedy 2015,
arXiv:1502.03167).
"""

from typing import Any

import keras
from keras import layers


@keras.saving.register_keras_serializable(package="trainer")
class FusedBatchNormalization(layers.BatchNormalization):
    """``keras.layers.BatchNormalization`` over the last axis of float32 ``[N, H, W, C]``, faster in training.

    The moving variance takes the unbiased variance of a batch there (divided by ``N H W - 1``), Keras's the biased one.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Take and give float32 ``[N, H, W, C]``."""
        fused = keras.backend.backend() == "tensorflow" and self.compute_dtype == "float32" and mask is None
        if not (training and self.trainable and fused):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma.value, self.beta.value, epsilon=self.epsilon, is_training=True
        )
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + now * (1.0 - self.momentum))
        return outputs
