"""Consistency loss: two differently degraded views of a picture should get the same prediction."""

from typing import Any

import keras
from keras import ops

_EPSILON = 1e-6


@keras.saving.register_keras_serializable(package="trainer")
class Consistency(keras.layers.Layer):
    """Identity on probabilities that, in training, adds a consistency loss between neighbours in the batch.

    The loss is the symmetric Kullback-Leibler divergence of rows 0 and 1, 2 and 3, and so on. AugMix (Hendrycks et al.
    2020, arXiv:1912.02781) shows that such a loss makes predictions more stable under corruptions.
    """

    def __init__(self, weight: float, **options: Any) -> None:
        """Set the ``weight`` that multiplies the loss."""
        super().__init__(**options)
        self.weight = weight

    def call(self, probabilities: Any, training: bool = False) -> Any:
        """Return the probabilities unchanged: float32 ``[2 N, 2]`` in training, ``[N, 2]`` otherwise."""
        if training:
            pairs = ops.reshape(ops.clip(probabilities, _EPSILON, 1.0), (-1, 2, probabilities.shape[-1]))
            first, second = pairs[:, 0], pairs[:, 1]
            divergence = ops.sum((first - second) * (ops.log(first) - ops.log(second)), axis=-1)
            self.add_loss(self.weight * ops.mean(divergence))
        return probabilities

    def get_config(self) -> dict[str, Any]:
        """Return the configuration, including ``weight``."""
        return {**super().get_config(), "weight": self.weight}
