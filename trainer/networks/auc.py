"""AUC while a network fits: of a real face and a fake drawn at random, how often the fake is ranked higher."""

from typing import Any

import keras
from keras import ops

# Between a label and no label (outliers and drawings, of which both classes are equally right).
_SURE = 0.75


@keras.saving.register_keras_serializable("trainer")
class FakeAUC(keras.metrics.AUC):
    """Area under the ROC curve of P(fake), over the pictures that are either real or fake.

    Args:
        fake_index: column of the fake class.
        name: in the logs.
        arguments: of :class:`keras.metrics.AUC`.
    """

    def __init__(self, fake_index: int = 1, name: str = "auc", **arguments: Any) -> None:
        super().__init__(name=name, **arguments)
        self.fake_index = fake_index

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch.

        Args:
            y_true: ``[N, 2]``, one-hot, or half of each.
            y_pred: ``[N, 2]``, probabilities; of a sigmoid pair they are normalised.
            sample_weight: not used: every picture counts once.
        """
        truth, scores = y_true[:, self.fake_index], ops.cast(y_pred, "float32")
        p_fake = scores[:, self.fake_index] / ops.maximum(ops.sum(scores, axis=1), keras.config.epsilon())
        sure = ops.cast(ops.max(y_true, axis=1) > _SURE, "float32")
        super().update_state(ops.cast(truth > _SURE, "float32"), p_fake, sample_weight=sure)

    def get_config(self) -> dict[str, Any]:
        """Return what it is made from."""
        config: dict[str, Any] = super().get_config()
        return config | {"fake_index": self.fake_index}
