"""Consistency: two views of one picture, degraded each in its own way, ought to get one answer."""

from typing import Any

import keras
from keras import ops

_LEAST = 1e-6


@keras.saving.register_keras_serializable(package="trainer")
class Consistency(keras.layers.Layer):
    """Passes probabilities on, and in training adds how far those of neighbours in the batch are apart.

    The loss is the symmetric Kullback-Leibler divergence of rows 0 and 1, 2 and 3, and so on; AugMix (Hendrycks et al.
    2020, arXiv:1912.02781) found such a loss to steady a network under corruptions.
    """

    def __init__(self, weight: float, **options: Any) -> None:
        """``weight`` multiplies the loss."""
        super().__init__(**options)
        self.weight = weight

    def call(self, probabilities: Any, training: bool = False) -> Any:
        """Take and give float32 ``[2 N, 2]`` in training, ``[N, 2]`` else."""
        if training:
            pairs = ops.reshape(ops.clip(probabilities, _LEAST, 1.0), (-1, 2, probabilities.shape[-1]))
            first, second = pairs[:, 0], pairs[:, 1]
            apart = ops.sum((first - second) * (ops.log(first) - ops.log(second)), axis=-1)
            self.add_loss(self.weight * ops.mean(apart))
        return probabilities

    def get_config(self) -> dict[str, Any]:
        """Return what a saved model keeps."""
        return {**super().get_config(), "weight": self.weight}
