"""AUC metric for training: the probability that a random fake is ranked above a random real face."""

from typing import Any

import keras
from keras import ops

# Separates one-hot labels from the half-half labels of outliers and drawings.
_MIN_LABEL = 0.75


@keras.saving.register_keras_serializable("trainer")
class FakeAUC(keras.metrics.AUC):
    """Area under the ROC curve of P(fake) over the pictures that are labelled real or fake.

    Args:
        fake_index: column of the fake class.
        name: name in the logs.
        arguments: passed to :class:`keras.metrics.AUC`.
    """

    def __init__(self, fake_index: int = 1, name: str = "auc", **arguments: Any) -> None:
        super().__init__(name=name, **arguments)
        self.fake_index = fake_index

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch.

        Args:
            y_true: ``[N, 2]``, one-hot, or 0.5 for both classes.
            y_pred: ``[N, 2]``, probabilities; those of a sigmoid pair are normalised.
            sample_weight: ignored; every picture has weight 1.
        """
        truth, scores = y_true[:, self.fake_index], ops.cast(y_pred, "float32")
        p_fake = scores[:, self.fake_index] / ops.maximum(ops.sum(scores, axis=1), keras.config.epsilon())
        labelled = ops.cast(ops.max(y_true, axis=1) > _MIN_LABEL, "float32")
        super().update_state(ops.cast(truth > _MIN_LABEL, "float32"), p_fake, sample_weight=labelled)

    def get_config(self) -> dict[str, Any]:
        """Return the configuration, including ``fake_index``."""
        config: dict[str, Any] = super().get_config()
        return config | {"fake_index": self.fake_index}
