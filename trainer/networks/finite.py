"""Finite: whether a network's weights are still numbers; one that diverged would be exported as any other."""

import keras
import numpy as np


def finite(model: keras.Model) -> bool:
    """Return whether all weights of a network are numbers."""
    return all(bool(np.isfinite(keras.ops.convert_to_numpy(weight)).all()) for weight in model.weights)


def diverged(epoch: int) -> str:
    """Return what is said where weights have become NaN or infinite."""
    return f"training diverged in epoch {epoch}: weights are not finite; begin a new run with a smaller --learning-rate"
